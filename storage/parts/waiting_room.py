"""How much may wait in Postgres while S3 is away: octets of large parts, of the whole installation, about.

They are counted when somebody wants in, at most every COUNTED_EVERY_S; in between each process adds what it let in
itself. So several processes together let in somewhat more than there is room for.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from storage.database import Database
from storage.errors import ColdTierUnavailable
from storage.query import Query

COUNTED_EVERY_S = 3.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in Postgres for S3. Accepted mail that is not placed yet (`inbound`) is counted whole."""

    parts: int
    octets: int


_COUNT = Query(
    """
    SELECT w.parts, w.octets + i.octets AS octets
      FROM (SELECT count(*) AS parts, coalesce(sum(stored_octets), 0)::bigint AS octets
              FROM blob WHERE is_waiting AND object_id IS NULL AND tenant_id > 0) w,
           (SELECT coalesce(sum(octets), 0)::bigint AS octets FROM inbound) i
    """,
    row=Waiting,
    role="waypost_system",
    scans=["inbound"],
)


async def waiting(database: Database) -> Waiting:
    async with database.system_single() as connection:
        return await _COUNT.one(connection)


class WaitingRoom:
    """One per process."""

    def __init__(self, database: Database, limit_octets: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._limit_octets = limit_octets
        self._clock = clock
        self._counting = asyncio.Lock()
        self._counted_at = float("-inf")
        self._octets = 0

    async def let_in(self, octets: int) -> None:
        """Raises ColdTierUnavailable when there is no room, StoreUnavailable when it cannot be counted."""
        async with self._counting:
            now = self._clock()
            if now - self._counted_at >= COUNTED_EVERY_S:
                self._octets = (await waiting(self._database)).octets
                self._counted_at = now
            if self._octets + octets > self._limit_octets:
                raise ColdTierUnavailable("S3 is away, and as much waits for it as may")
            self._octets += octets
