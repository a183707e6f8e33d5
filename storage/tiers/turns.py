"""Work in short turns with rests between them, or in one go."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

from storage.database import Database
from storage.leases import leased
from storage.tiers.moving import Moved, Progress
from storage.tiers.pace import rest_s
from tenants.types import TenantId


class Turns:
    """All works that share one of these keep together to its `duty`, the share of time that they work (1: all of it).

    Whoever is cancelled while it rests has nothing to tidy up: leases are taken within a turn.
    """

    def __init__(
        self,
        duty: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._duty = duty
        self._wait = wait
        self._one_at_a_time = asyncio.Lock()
        self.clock = clock

    @property
    def are_short(self) -> bool:
        """Whether a turn should end after one pack."""
        return self._duty < 1

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Begins when it is our turn, and ends after the rest; work that fails is not rested after."""
        if not self.are_short:
            yield
            return
        async with self._one_at_a_time:
            began = self.clock()
            yield
            await self._wait(rest_s(self.clock() - began, self._duty))


FULL_SPEED = Turns(1.0)


async def in_turns(
    turns: Turns, database: Database, tenant_id: TenantId, work: str, packs: AsyncGenerator[Moved, None], tell: Progress
) -> None:
    """Have packs made, one a turn where turns are short. The lease of the work is held meanwhile, but not during rests.

    Ends early when another process has it.
    """
    async with aclosing(packs):
        while await _turn(turns, database, tenant_id, work, packs, tell):
            pass


async def _turn(
    turns: Turns, database: Database, tenant_id: TenantId, work: str, packs: AsyncIterator[Moved], tell: Progress
) -> bool:
    """Whether there may be more."""
    async with turns.turn(), leased(database, tenant_id, work) as lease:
        if lease is None:
            return False
        async for pack in packs:
            tell(pack)
            if turns.are_short:
                return True
            if not await lease.renew():
                return False
    return False
