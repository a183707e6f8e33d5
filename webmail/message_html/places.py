"""How many images are fetched at once: a few for one person, so that the slow ones of one leave room for others."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tenants.types import AccountId


class TooManyWaiting(Exception):
    """One person asks for more at once than may wait."""


class Places:
    def __init__(self, at_once: int, *, of_one: int, waiting_of_one: int) -> None:
        self._at_once = asyncio.Semaphore(at_once)
        self._of_one = of_one
        self._waiting_of_one = waiting_of_one
        self._of_accounts: dict[AccountId, asyncio.Semaphore] = {}
        self._here: Counter[AccountId] = Counter()

    @asynccontextmanager
    async def one(self, account_id: AccountId) -> AsyncIterator[None]:
        """Waits for it. Raises TooManyWaiting."""
        if self._here[account_id] >= self._waiting_of_one:
            raise TooManyWaiting
        self._here[account_id] += 1
        of_account = self._of_accounts.setdefault(account_id, asyncio.Semaphore(self._of_one))
        try:
            async with of_account, self._at_once:
                yield
        finally:
            self._here[account_id] -= 1
            if not self._here[account_id]:
                del self._here[account_id], self._of_accounts[account_id]
