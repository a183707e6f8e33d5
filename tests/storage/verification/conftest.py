"""A company whose mail is damaged in one way or another, and what verification says of it."""

import pytest

from storage.store import MailStore
from tests.conftest import Company, RunningServices
from tests.someone import Someone
from tests.storage.verification.damage import Damager


@pytest.fixture
async def ada(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person("ada"))


@pytest.fixture
def damager(services: RunningServices, store: MailStore, company: Company) -> Damager:
    return Damager(services.owner_url, store, company.tenant_id)
