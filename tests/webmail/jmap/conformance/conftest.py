"""One account for the tests of a file: they leave the letters as they were."""

import asyncio

import pytest

from mailserver.assembly import Parts
from mailserver.web import Application
from storage.provisioning import provision_account
from tests.conftest import RunningServices
from tests.people import new_person
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.conformance.account import Account, seeded


@pytest.fixture(scope="module")
async def account(services: RunningServices, parts: Parts, application: Application) -> Account:
    person = await asyncio.to_thread(new_person, services)
    await provision_account(parts.store.database, person.principal.tenant_id, person.principal.account_id)
    return await seeded(Jmap(application, person, parts.store))


@pytest.fixture(scope="module")
def jmap(account: Account) -> Jmap:
    return account.jmap
