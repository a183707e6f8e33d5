"""The work of the tiers for every tenant in turn, each by its policy. One tenant's trouble is not the next one's, but
that of S3 is everybody's: while it is away the round ends.

Rounds of tiering may last long, since there are rests in it: nobody waits for those who have much to move, and once in
an hour everything is looked at again.
"""

import math
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from storage.blobs.breaker import BreakerState
from storage.blobs.objects import ObjectStore
from storage.database import Database
from storage.errors import KeyUnusable, StorageError
from storage.keys import KeyRing, TenantKeys
from storage.query import Query
from storage.tiers import compaction, doomed, promotion, tiering
from storage.tiers.moving import Moved, Progress
from storage.tiers.pace import is_pressing
from storage.tiers.turns import FULL_SPEED, Turns
from tenants.policies import TenantPolicy, policies
from tenants.types import TenantId

VISIT_PACKS = 16
"""After so many the next tenant is served."""
LOOK_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class TieringConfig:
    """How much may be hot, whatever the policies of tenants say, and how much upkeep hurries."""

    hot_limit_octets: int = field(default=0, metadata={"least": 0})
    """content of all tenants in Postgres together; beyond it the oldest of each goes cold early; 0: no limit"""
    duty: float = field(default=0.02, metadata={"least": 0.001, "most": 1})
    """share of the time in which upkeep moves and compacts, with rests between; 1: no rests"""


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


@dataclass(frozen=True, slots=True)
class _HasContent:
    has_content: bool | None


@dataclass(frozen=True, slots=True)
class _Look:
    """At one moment: what is asked for, what each tenant may have hot, and who has so much more that it presses."""

    policies: dict[TenantId, TenantPolicy] = field(default_factory=dict)
    budgets: dict[TenantId, int | None] = field(default_factory=dict)
    pressing: set[TenantId] = field(default_factory=set)

    def order(self, waiting: Iterable[TenantId]) -> deque[TenantId]:
        """Where it presses comes first, then who waits already, then the others."""
        waiting = [tenant_id for tenant_id in waiting if tenant_id in self.policies]
        return deque(dict.fromkeys([*sorted(self.pressing), *waiting, *self.policies]))


_HAS_CONTENT = Query(
    "SELECT EXISTS (SELECT FROM blob WHERE tenant_id = waypost_tenant(%(tenant_id)s)) AS has_content", row=_HasContent
)
_CLOCK = Query("SELECT clock_is_steady_v1(%(wary_s)s) AS is_steady", row=_Steady, role="waypost_system")


@dataclass(frozen=True, slots=True)
class Tiers:
    """What the work needs."""

    database: Database
    objects: ObjectStore
    keys: KeyRing
    config: TieringConfig = TieringConfig()

    async def tier(
        self,
        progress: Progress = lambda _: None,
        *,
        turns: Turns = FULL_SPEED,
        lasts_s: float = math.inf,
        pressing: Callable[[int], None] = lambda _: None,
    ) -> Round:
        """Move what is old, and what is too much; a visit to each tenant, and another one to those who have more.

        `turns` are not kept to where it presses; `pressing` is told of how many tenants that is so. Raises
        StoreUnavailable when the policies cannot be read.
        """
        done = Round()
        stuck: dict[TenantId, set[bytes]] = defaultdict(set)
        look = _Look()
        waiting: deque[TenantId] = deque()

        async def visit(keys: TenantKeys) -> None:
            tenant_id = keys.tenant_id
            moved = await tiering.tier(
                self.database,
                self.objects,
                keys,
                cold_after_days=look.policies[tenant_id].cold_after_days,
                hot_budget_octets=look.budgets[tenant_id],
                most_packs=VISIT_PACKS,
                stuck=stuck[tenant_id],
                turns=FULL_SPEED if tenant_id in look.pressing else turns,
                progress=progress,
            )
            done.moved.add(moved)
            if moved.is_unfinished:
                waiting.append(tenant_id)

        began_s = look_at_s = turns.clock()
        while (now_s := turns.clock()) < began_s + lasts_s:
            if now_s >= look_at_s:
                look, look_at_s = await self._look(), now_s + LOOK_EVERY_S
                waiting = look.order(waiting)
                pressing(len(look.pressing))
            if not waiting or not await self._serve(waiting.popleft(), done, visit):
                break
        return done

    async def compact(self, progress: Progress = lambda _: None, *, turns: Turns = FULL_SPEED) -> Round:
        async def turn(_policy: TenantPolicy, done: Round, keys: TenantKeys) -> None:
            compacted = await compaction.compact(self.database, self.objects, keys, turns=turns, progress=progress)
            done.moved.add(compacted)

        return await self._round(await self.policies(), turn)

    async def promote(self) -> Round:
        async def turn(policy: TenantPolicy, done: Round, keys: TenantKeys) -> None:
            within = policy.promote_within_days
            done.count += await promotion.promote(self.database, self.objects, keys, within_days=within)

        return await self._round(await self.policies(), turn)

    async def delete_doomed(self, *, kept_s: float) -> Round:
        """Give up abandoned objects and delete doomed ones; no deleting while the clock cannot be believed."""

        async def turn(_policy: TenantPolicy, done: Round, keys: TenantKeys) -> None:
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
        turn: Callable[[TenantPolicy, Round, TenantKeys], Awaitable[None]],
    ) -> Round:
        done = Round()
        for tenant_id, policy in found.items():
            if not await self._serve(tenant_id, done, partial(turn, policy, done)):
                break
        return done

    async def _serve(self, tenant_id: TenantId, done: Round, work: Callable[[TenantKeys], Awaitable[None]]) -> bool:
        """Whether the round goes on: without S3 each of thousands of tenants would begin an object for nothing."""
        try:
            await work(await self.keys.of(tenant_id))
        except KeyUnusable as unusable:
            if await self._has_content(tenant_id):  # a tenant that was shredded has neither a key nor anything to move
                done.refused[tenant_id] = str(unusable)
        except StorageError as refusal:
            done.refused[tenant_id] = str(refusal)
            return self.objects.breaker is not BreakerState.OPEN
        return True

    async def _has_content(self, tenant_id: TenantId) -> bool:
        async with self.database.read(tenant_id) as connection:
            return bool((await _HAS_CONTENT.one(connection, tenant_id=tenant_id)).has_content)

    async def _look(self) -> _Look:
        """What each tenant may have hot: by its policy, and of the installation's limit its share."""
        found = await self.policies()
        limit = self.config.hot_limit_octets
        budgets = {tenant_id: policy.hot_budget_octets for tenant_id, policy in found.items()}
        octets = {
            tenant_id: (await tiering.hot(self.database, tenant_id)).octets
            for tenant_id, budget in budgets.items()
            if limit or budget is not None
        }
        pressing = {
            each for each, budget in budgets.items() if budget is not None and is_pressing(octets[each], budget)
        }
        total = sum(octets.values())
        if limit and total > limit:
            for tenant_id, budget in budgets.items():
                share = octets[tenant_id] * limit // total
                budgets[tenant_id] = share if budget is None else min(budget, share)
            if is_pressing(total, limit):
                pressing = set(found)
        return _Look(found, budgets, pressing)


async def clock_is_steady(database: Database, *, wary_s: float) -> bool:
    """Whether ages can be believed: after a leap of the clock they cannot, for so long."""
    async with database.system() as connection:
        return (await _CLOCK.one(connection, wary_s=wary_s)).is_steady
