from collections.abc import AsyncIterator

import pytest

from mailserver.imap.session.conversation import Services
from storage.database import Database
from storage.store import MailStore
from tests.imap_services import imap_services


@pytest.fixture
async def imap(store: MailStore, database: Database) -> AsyncIterator[Services]:
    async with imap_services(store, database) as services:
        yield services
