"""Not faster than so many octets a second, so that mail is served beside it."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TypeVar

Item = TypeVar("Item")

_CREDIT_S = 0.25  # what may be spent at once after a pause


class Pace:
    """Spend octets with `spend`, which waits when it went too fast. None: as fast as it goes."""

    def __init__(self, octets_per_s: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._octets_per_s = octets_per_s
        self._clock = clock
        self._paid_until = clock()

    def owes_s(self, octets: int) -> float:
        """How long to wait after these."""
        if self._octets_per_s is None:
            return 0.0
        now = self._clock()
        self._paid_until = max(self._paid_until, now - _CREDIT_S) + octets / self._octets_per_s
        return max(0.0, self._paid_until - now)

    async def spend(self, octets: int) -> None:
        await asyncio.sleep(self.owes_s(octets))


async def one_ahead(items: AsyncIterator[Item]) -> AsyncGenerator[Item, None]:
    """The same items; while one is looked at, the next is fetched."""
    coming = asyncio.ensure_future(_next(items))
    try:
        while True:
            item = await coming
            if item is None:
                return
            coming = asyncio.ensure_future(_next(items))
            yield item
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


async def _next(items: AsyncIterator[Item]) -> Item | None:
    return await anext(items, None)
