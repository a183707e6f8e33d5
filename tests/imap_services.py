"""The services that IMAP sessions need, real, in one process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from mailserver.imap.session.conversation import Services
from mailserver.services.failure_counts import LocalFailureCounts
from mailserver.services.login import LoginConfig, Logins
from mailserver.services.searching import Searches
from mailserver.services.throttle import ThrottleConfig
from mailserver.services.watching import Watchers, WatchingConfig
from storage.database import Database
from storage.store import MailStore


@asynccontextmanager
async def imap_services(store: MailStore, database: Database) -> AsyncIterator[Services]:
    """Without Redis: what this process announces reaches its own watchers, and nobody else is there."""
    counts = LocalFailureCounts(forget_after_s=3600, known_for_s=3600, limit=1000, clock=lambda: 0.0)
    logins = Logins(database, counts, LoginConfig(), ThrottleConfig(), clock=lambda: 0.0, sleep=_do_not_hold_back)
    watchers = Watchers(database, None, WatchingConfig())
    watchers.start()
    announcing = replace(store, announce=watchers.announce)
    searches = Searches(announcing)
    try:
        yield Services(announcing, logins, watchers, searches)
    finally:
        await searches.close()
        await watchers.close()
        logins.close()


async def _do_not_hold_back(seconds: float) -> None:
    """Failed sign-ins are answered at once, for the tests' sake."""
