"""How full the pools of tenants are: what all accounts of a tenant may have together.

Account rows are locked one by one, so that nobody counts a pool exactly: each process sums it every few seconds, and
adds what it lets in itself. A pool is passed by what the other processes let in within SUMMED_S, and by nothing else.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from storage.database import Database
from storage.errors import OverQuota
from storage.query import Query
from tenants.policies import pool_limits
from tenants.types import TenantId

SUMMED_S = 5.0
LIMITS_READ_S = 10.0


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """What the accounts of a tenant use together, and may use."""

    used_octets: int
    limit_octets: int

    @property
    def left_octets(self) -> int:
        return max(self.limit_octets - self.used_octets, 0)


def limit_within(pool: PoolUsage | None, used_octets: int, own_limit_octets: int | None) -> int | None:
    """What an account may have, of which so much is used: its own limit, or less where the pool leaves it less; None:
    nothing limits it."""
    if pool is None:
        return own_limit_octets
    of_pool = used_octets + pool.left_octets
    return of_pool if own_limit_octets is None else min(own_limit_octets, of_pool)


@dataclass(frozen=True, slots=True)
class _Used:
    used_octets: int


@dataclass(slots=True)
class _Pool:
    used_octets: int
    summed_at: float


_SUM = Query(
    """
    SELECT coalesce(sum(used_octets), 0)::bigint AS used_octets FROM account_state WHERE tenant_id = %(tenant_id)s
    """,
    row=_Used,
    role="waypost_system",
)


class Pools:
    """Of this process. Every method raises StoreUnavailable."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limits: dict[TenantId, int] = {}
        self._limits_read_at = float("-inf")
        self._pools: dict[TenantId, _Pool] = {}
        self._reading = asyncio.Lock()

    async def usage(self, database: Database, tenant_id: TenantId) -> PoolUsage | None:
        """None: the tenant has no pool."""
        if self._clock() - self._limits_read_at > LIMITS_READ_S:
            await self._read_limits(database)
        limit_octets = self._limits.get(tenant_id)
        if limit_octets is None:
            return None
        pool = self._pools.get(tenant_id)
        if pool is None or self._clock() - pool.summed_at > SUMMED_S:
            pool = await self._sum(database, tenant_id)
        return PoolUsage(pool.used_octets, limit_octets)

    async def let_in(self, database: Database, tenant_id: TenantId, octets: int) -> OverQuota | None:
        """Is there room for so many more? Then they count from now on. With 0: is the pool not full yet?"""
        usage = await self.usage(database, tenant_id)
        if usage is None:
            return None
        if octets > usage.left_octets or not usage.left_octets:
            return OverQuota(usage.used_octets, usage.limit_octets)
        self._pools[tenant_id].used_octets += octets
        return None

    async def _read_limits(self, database: Database) -> None:
        async with self._reading:
            now = self._clock()
            if now - self._limits_read_at <= LIMITS_READ_S:
                return
            async with database.system_single() as connection:
                self._limits = await pool_limits(connection)
            self._limits_read_at = now
            self._pools = {each: pool for each, pool in self._pools.items() if each in self._limits}

    async def _sum(self, database: Database, tenant_id: TenantId) -> _Pool:
        async with self._reading:
            now = self._clock()
            pool = self._pools.get(tenant_id)
            if pool is not None and now - pool.summed_at <= SUMMED_S:
                return pool
            async with database.system_single() as connection:
                used = (await _SUM.one(connection, tenant_id=tenant_id)).used_octets
            pool = self._pools[tenant_id] = _Pool(used, now)
            return pool
