"""A person with an empty account, and the services a session needs, for each transcript."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from mailserver.imap.session.conversation import Services
from mailserver.services.watching import Watchers, WatchingConfig
from storage.database import Database
from storage.store import MailStore


@pytest.fixture
async def imap(store: MailStore, database: Database) -> AsyncIterator[Services]:
    watchers = Watchers(database, None, WatchingConfig())
    watchers.start()
    yield Services(store=replace(store, announce=watchers.announce), logins=None, watchers=watchers)
    await watchers.close()
