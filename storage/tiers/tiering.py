"""Hot blobs go cold: past the tenant's age, or the oldest ones while there is more than its budget.

Blobs stand in a pack in the order of the mailboxes that show them, so that who downloads one reads few packs from the
beginning to the end. The rows in Postgres stay until their week is dropped (`weeks`).
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date

from storage.blobs.layout import SealedChunk
from storage.blobs.objects import ObjectStore
from storage.blobs.packs import TARGET_OCTETS, SealedContent
from storage.database import Database
from storage.keys import TenantKeys
from storage.query import Query
from storage.steps import reached
from storage.tiers.moving import Moved, Progress, Source, move
from storage.tiers.turns import FULL_SPEED, Turns, in_turns
from storage.types import BlobDigest
from tenants.types import TenantId

WORK = "tiering"
"""The name of its lease."""

CANDIDATES = 20_000
_ROWS_AT_ONCE = 500
_PACK_BLOBS = 4_000
PACKS_AT_ONCE = 2
WORTH_A_PACK_OCTETS = 1024 * 1024
PATIENCE_DAYS = 14
"""Less than WORTH_A_PACK_OCTETS waits so much longer for company."""
YOUNGEST_DAYS = 1
"""However full it is, what came today stays hot."""


@dataclass(frozen=True, slots=True)
class Hot:
    """What of a tenant rests in Postgres."""

    octets: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    digest: bytes
    octets: int
    stored_octets: int
    content_on: date
    age_days: int


@dataclass(frozen=True, slots=True)
class _Sealed:
    digest: bytes
    key_id: int
    codec: int
    sealed: bytes


_HOT = Query(
    """
    SELECT coalesce(sum(stored_octets), 0)::bigint AS octets FROM blob
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND object_id IS NULL
    """,
    row=Hot,
)
_OLD_ENOUGH = Query(
    """
    SELECT c.digest, c.octets, c.stored_octets, c.content_on, CURRENT_DATE - c.content_on AS age_days
      FROM (
          SELECT b.tenant_id, b.digest, b.octets, b.stored_octets, b.content_on FROM blob b
           WHERE b.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND b.object_id IS NULL
             AND b.content_on < CURRENT_DATE - %(days)s::integer
             AND b.touched_at < CURRENT_DATE - %(days)s::integer
             AND (b.read_on IS NULL OR b.read_on < CURRENT_DATE - %(days)s::integer)
           ORDER BY b.content_on LIMIT %(limit)s
      ) c
     CROSS JOIN LATERAL (
          SELECT u.message_id FROM message_blob u
           WHERE u.tenant_id = c.tenant_id AND u.digest = c.digest LIMIT 1
      ) u
      LEFT JOIN LATERAL (
          SELECT p.account_id, p.mailbox_id, p.uid FROM placement p
           WHERE p.tenant_id = c.tenant_id AND p.message_id = u.message_id LIMIT 1
      ) p ON true
     ORDER BY p.account_id, p.mailbox_id, p.uid, c.digest
    """,
    row=_Candidate,
)
_READ_SEALED = Query(
    "SELECT digest, key_id, codec, sealed FROM read_sealed_v1(%(tenant_id)s, %(digests)s, %(days)s)", row=_Sealed
)


async def hot(database: Database, tenant_id: TenantId) -> Hot:
    async with database.read(tenant_id) as connection:
        return await _HOT.one(connection, tenant_id=tenant_id)


@dataclass(frozen=True, slots=True)
class _Work:
    """What moving a tenant's blobs needs. `stuck` grows by what cannot be moved: what has moved does not come again."""

    database: Database
    objects: ObjectStore
    keys: TenantKeys
    stuck: set[bytes]
    packs_at_once: int


async def tier(
    database: Database,
    objects: ObjectStore,
    keys: TenantKeys,
    *,
    cold_after_days: int | None,
    hot_budget_octets: int | None,
    most_packs: int | None = None,
    stuck: set[bytes] | None = None,
    turns: Turns = FULL_SPEED,
    progress: Progress = lambda _: None,
) -> Moved:
    """Move what is past the age, then the oldest until no more than the budget is hot; or until `most_packs` were made.

    What is in `stuck` is left out, and what turns out not to be movable is added there. Does nothing while another
    process does it for the tenant. Raises ColdTierUnavailable, StoreUnavailable; what was moved until then stays moved.
    """
    moved = Moved()
    tried = 0
    at_once = 1 if turns.are_short else PACKS_AT_ONCE
    work = _Work(database, objects, keys, set() if stuck is None else stuck, at_once)

    def tell(pack: Moved) -> None:
        nonlocal tried
        tried += 1
        moved.add(pack)
        progress(pack)

    async def make(packs: AsyncGenerator[Moved, None]) -> None:
        await in_turns(turns, database, keys.tenant_id, WORK, packs, tell)

    if cold_after_days is not None:
        await make(_packs(work, max(cold_after_days, 0), None, most_packs))
    left = None if most_packs is None else most_packs - tried
    if hot_budget_octets is not None and left != 0:
        excess = (await hot(database, keys.tenant_id)).octets - hot_budget_octets
        if excess > 0:
            await make(_packs(work, YOUNGEST_DAYS, excess, left))
    moved.is_unfinished = tried == most_packs
    return moved


async def _packs(
    work: _Work, days: int, limit_octets: int | None, most_packs: int | None
) -> AsyncGenerator[Moved, None]:
    """One pack after the other, each told of when it is in its place."""
    left = most_packs
    while left != 0:
        limit = CANDIDATES + len(work.stuck)
        candidates = await _candidates(work.database, work.keys.tenant_id, days, limit, limit_octets)
        candidates = [each for each in candidates if each.digest not in work.stuck]
        if not candidates or not _is_worth_it(candidates, days, limit_octets):
            return
        groups = _groups(candidates)[:left]
        before = 0
        async with aclosing(_moved(work, groups)) as packs:
            async for group, sources, done in packs:
                before += done.octets_before
                if done.blobs < len(group):
                    work.stuck.update(_stuck(group, sources, done))
                yield done
        if left is not None:
            left -= len(groups)
        if limit_octets is not None:
            limit_octets -= before
            if limit_octets <= 0:
                return


async def _moved(
    work: _Work, groups: Sequence[Sequence[_Candidate]]
) -> AsyncGenerator[tuple[Sequence[_Candidate], Sequence[Source], Moved], None]:
    """Each group with what became of it. While a pack is on its way to S3 the next one is made."""
    under_way: deque[tuple[Sequence[_Candidate], Sequence[Source], asyncio.Task[Moved]]] = deque()
    try:
        for group in groups:
            reached("tiering: chosen")
            sources = await _sealed(work.database, work.keys.tenant_id, group)
            task = asyncio.create_task(move(work.database, work.objects, work.keys, sources))
            under_way.append((group, sources, task))
            if len(under_way) == work.packs_at_once:
                earliest, theirs, task = under_way.popleft()
                yield earliest, theirs, await task
        while under_way:
            earliest, theirs, task = under_way.popleft()
            yield earliest, theirs, await task
    finally:
        for _, _, task in under_way:
            task.cancel()
        await asyncio.gather(*(task for _, _, task in under_way), return_exceptions=True)


def _stuck(group: Sequence[_Candidate], sources: Sequence[Source], done: Moved) -> set[bytes]:
    """What of a group would come again: without content, or damaged; all, if something else moved or ended the pack."""
    if done.blobs + len(done.damaged) < len(sources):
        return {each.digest for each in group}
    return {each.digest for each in group} - {each.content.digest for each in sources} | set(done.damaged)


async def _candidates(
    database: Database, tenant_id: TenantId, days: int, limit: int, limit_octets: int | None
) -> list[_Candidate]:
    async with database.read(tenant_id) as connection:
        found = await _OLD_ENOUGH.all(connection, tenant_id=tenant_id, days=days, limit=limit)
    if limit_octets is None:
        return found
    chosen = set()
    for candidate in sorted(found, key=lambda each: each.content_on):
        if limit_octets <= 0:
            break
        chosen.add(candidate.digest)
        limit_octets -= candidate.stored_octets
    return [candidate for candidate in found if candidate.digest in chosen]


def _is_worth_it(candidates: Sequence[_Candidate], days: int, limit_octets: int | None) -> bool:
    """A pack of a few messages a day would be a pack for every day."""
    if limit_octets is not None or sum(each.stored_octets for each in candidates) >= WORTH_A_PACK_OCTETS:
        return True
    return max(each.age_days for each in candidates) > days + min(days, PATIENCE_DAYS)


def _groups(candidates: Sequence[_Candidate]) -> list[list[_Candidate]]:
    groups: list[list[_Candidate]] = [[]]
    octets = 0
    for candidate in candidates:
        if octets >= TARGET_OCTETS or len(groups[-1]) >= _PACK_BLOBS:
            groups.append([])
            octets = 0
        groups[-1].append(candidate)
        octets += candidate.stored_octets
    return groups


async def _sealed(database: Database, tenant_id: TenantId, group: Sequence[_Candidate]) -> list[Source]:
    """In the order of the group, without those that have no content here any more."""
    chunks: dict[bytes, list[SealedChunk]] = {candidate.digest: [] for candidate in group}
    for start in range(0, len(group), _ROWS_AT_ONCE):
        some = group[start : start + _ROWS_AT_ONCE]
        async with database.read(tenant_id) as connection:
            rows = await _READ_SEALED.all(
                connection,
                tenant_id=tenant_id,
                digests=[each.digest for each in some],
                days=[each.content_on for each in some],
            )
        for row in rows:
            chunks[row.digest].append(SealedChunk(row.key_id, row.codec, row.sealed))
    return [
        Source(SealedContent(BlobDigest(each.digest), each.octets, chunks[each.digest]), None)
        for each in group
        if chunks[each.digest]
    ]
