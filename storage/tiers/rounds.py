"""The work of the tiers for every tenant in turn, each by its policy. One tenant's trouble is not the next one's, but
that of S3 is everybody's: while it is away the round ends.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from storage.blobs.breaker import BreakerState
from storage.blobs.objects import ObjectStore
from storage.database import Database
from storage.errors import StorageError
from storage.keys import KeyRing, TenantKeys
from storage.query import Query
from storage.tiers import compaction, doomed, promotion, tiering
from storage.tiers.moving import Moved, Progress
from tenants.policies import TenantPolicy, policies
from tenants.types import TenantId


@dataclass(frozen=True, slots=True)
class TieringConfig:
    """How much may be hot, whatever the policies of tenants say."""

    hot_limit_octets: int = field(default=0, metadata={"least": 0})
    """content of all tenants in Postgres together; beyond it the oldest of each goes cold early; 0: no limit"""


@dataclass(slots=True)
class Round:
    """What a round came to. `refused`: tenants whose turn ended early, and why; the round may have ended with the last
    of them."""

    moved: Moved = field(default_factory=Moved)
    count: int = 0
    refused: dict[TenantId, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Steady:
    is_steady: bool


_CLOCK = Query("SELECT clock_is_steady_v1(%(wary_s)s) AS is_steady", row=_Steady, role="waypost_system")


@dataclass(frozen=True, slots=True)
class Tiers:
    """What the work needs."""

    database: Database
    objects: ObjectStore
    keys: KeyRing
    config: TieringConfig = TieringConfig()

    async def tier(self, progress: Progress = lambda _: None) -> Round:
        """Move what is old, and what is too much. Raises StoreUnavailable when the policies cannot be read."""
        found = await self.policies()
        budgets = await self._budgets(found)

        async def turn(keys: TenantKeys, policy: TenantPolicy, done: Round) -> None:
            done.moved.add(
                await tiering.tier(
                    self.database,
                    self.objects,
                    keys,
                    cold_after_days=policy.cold_after_days,
                    hot_budget_octets=budgets[keys.tenant_id],
                    progress=progress,
                )
            )

        return await self._round(found, turn)

    async def compact(self, progress: Progress = lambda _: None) -> Round:
        async def turn(keys: TenantKeys, _policy: TenantPolicy, done: Round) -> None:
            done.moved.add(await compaction.compact(self.database, self.objects, keys, progress=progress))

        return await self._round(await self.policies(), turn)

    async def promote(self) -> Round:
        async def turn(keys: TenantKeys, policy: TenantPolicy, done: Round) -> None:
            within = policy.promote_within_days
            done.count += await promotion.promote(self.database, self.objects, keys, within_days=within)

        return await self._round(await self.policies(), turn)

    async def delete_doomed(self, *, kept_s: float) -> Round:
        """Give up abandoned objects and delete doomed ones; no deleting while the clock cannot be believed."""

        async def turn(keys: TenantKeys, _policy: TenantPolicy, done: Round) -> None:
            await doomed.doom_abandoned(self.database, keys.tenant_id)
            done.count += await doomed.delete_doomed(self.database, self.objects, keys.tenant_id, kept_s=kept_s)

        if not await clock_is_steady(self.database, wary_s=kept_s):
            return Round()
        return await self._round(await self.policies(), turn)

    async def policies(self) -> dict[TenantId, TenantPolicy]:
        async with self.database.system() as connection:
            return await policies(connection)

    async def _round(
        self,
        found: dict[TenantId, TenantPolicy],
        turn: Callable[[TenantKeys, TenantPolicy, Round], Awaitable[None]],
    ) -> Round:
        done = Round()
        for tenant_id, policy in found.items():
            try:
                await turn(await self.keys.of(tenant_id), policy, done)
            except StorageError as refusal:
                done.refused[tenant_id] = str(refusal)
                if self.objects.breaker is BreakerState.OPEN:
                    break  # each of thousands of tenants would begin an object for nothing
        return done

    async def _budgets(self, found: dict[TenantId, TenantPolicy]) -> dict[TenantId, int | None]:
        """What each tenant may have hot: by its policy, and of the installation's limit its share."""
        limit = self.config.hot_limit_octets
        budgets = {tenant_id: policy.hot_budget_octets for tenant_id, policy in found.items()}
        if not limit:
            return budgets
        octets = {tenant_id: (await tiering.hot(self.database, tenant_id)).octets for tenant_id in found}
        total = sum(octets.values())
        if total <= limit:
            return budgets
        for tenant_id, budget in budgets.items():
            share = octets[tenant_id] * limit // total
            budgets[tenant_id] = share if budget is None else min(budget, share)
        return budgets


async def clock_is_steady(database: Database, *, wary_s: float) -> bool:
    """Whether ages can be believed: after a leap of the clock they cannot, for so long."""
    async with database.system() as connection:
        return (await _CLOCK.one(connection, wary_s=wary_s)).is_steady
