"""What becomes of what an account expunges is asked once in a few seconds."""

import pytest

from storage.database import Database
from storage.keeping import REMEMBERED_S, Keepings
from tenants.policies import Keeping
from tests.conftest import Company, RunningServices
from tests.directory_rows import Directory


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("whose", ["tenant", "account"])
async def test_a_hold_is_felt_after_a_moment(
    database: Database, services: RunningServices, company: Company, whose: str
) -> None:
    clock, directory = Clock(), Directory(services)
    keepings = Keepings(clock=clock)
    ada = await company.person("ada")
    directory.tenant(company.tenant_id, recoverable_days=0)
    directory.account(ada)
    before = Keeping(0, is_held=False)
    assert await keepings.of(database, company.tenant_id, ada.account_id) == before
    if whose == "tenant":
        directory.tenant(company.tenant_id, is_held=True)
    else:
        directory.account(ada, is_held=True)
    clock.now += REMEMBERED_S - 0.1
    assert await keepings.of(database, company.tenant_id, ada.account_id) == before
    clock.now += 0.2
    assert await keepings.of(database, company.tenant_id, ada.account_id) == Keeping(0, is_held=True)


async def test_an_account_that_the_directory_does_not_know_keeps_by_default(
    database: Database, company: Company
) -> None:
    ada = await company.person("ada")
    assert await Keepings().of(database, company.tenant_id, ada.account_id) == Keeping()
