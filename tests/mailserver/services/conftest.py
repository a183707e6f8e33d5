"""People with mail, for the tests of services."""

import pytest

from storage.store import MailStore
from tests.conftest import Company
from tests.someone import Someone


@pytest.fixture
async def ada(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person("ada"))
