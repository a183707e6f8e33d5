"""Packs of which half is dead, and small ones of which there are many, become fewer: what lives in them moves on.

A pack that nothing rests in any more is doomed, and deleted when no restore to a point in time can want it (`doomed`).
What moves is opened and sealed under the current key, so compaction is also how old keys go out of use. Packs under
legal hold are left where they are, doomed like others; S3 itself keeps them until the hold ends.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass

from storage.blobs.hot import HotBlobs
from storage.blobs.layout import cut_chunks
from storage.blobs.objects import ObjectStore
from storage.blobs.packs import TARGET_OCTETS, SealedContent
from storage.blobs.tiered import object_name
from storage.database import Database
from storage.errors import ContentDamaged
from storage.keys import TenantKeys
from storage.query import Query
from storage.steps import reached
from storage.tiers.moving import Moved, Progress, Source, move, seal_content, verified
from storage.tiers.turns import FULL_SPEED, Turns, in_turns
from storage.types import BlobDigest
from tenants.types import TenantId

WORK = "compaction"
MANY_SMALL = 16
_PACKS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class WornPack:
    id: int
    octets: int
    live_octets: int


@dataclass(frozen=True, slots=True)
class _Resident:
    digest: bytes
    octets: int
    object_offset: int
    layout: bytes


_HALF_DEAD = Query(
    """
    SELECT id, octets, live_octets FROM object
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND state = 1 AND kind = 1
       AND live_octets < octets / 2 - live_blobs * 50 AND id > %(after)s
     ORDER BY id LIMIT %(limit)s
    """,
    row=WornPack,
)
_SMALL = Query(
    """
    SELECT id, octets, live_octets FROM object
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND state = 1 AND kind = 1
       AND octets < 2097152
     ORDER BY created_at LIMIT %(limit)s
    """,
    row=WornPack,
)
_RESIDENTS = Query(
    """
    SELECT digest, octets, coalesce(object_offset, 0) AS object_offset, coalesce(layout, ''::bytea) AS layout FROM blob
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND object_id = %(object_id)s
     ORDER BY object_offset
    """,
    row=_Resident,
)


async def worn_packs(database: Database, tenant_id: TenantId) -> AsyncIterator[WornPack]:
    """Packs worth writing anew, each once: small ones if there are many, and half dead ones."""
    async with database.read(tenant_id) as connection:
        small = await _SMALL.all(connection, tenant_id=tenant_id, limit=_PACKS_AT_ONCE)
    if len(small) < MANY_SMALL:
        small = []
    for pack in small:
        yield pack
    told = {pack.id for pack in small}
    after = 0
    while True:
        async with database.read(tenant_id) as connection:
            half_dead = await _HALF_DEAD.all(connection, tenant_id=tenant_id, after=after, limit=_PACKS_AT_ONCE)
        if not half_dead:
            return
        after = half_dead[-1].id
        for pack in half_dead:
            if pack.id not in told:
                yield pack


async def _given(packs: Sequence[WornPack]) -> AsyncIterator[WornPack]:
    for pack in packs:
        yield pack


async def compact(
    database: Database,
    objects: ObjectStore,
    keys: TenantKeys,
    *,
    packs: Sequence[WornPack] | None = None,
    turns: Turns = FULL_SPEED,
    progress: Progress = lambda _: None,
) -> Moved:
    """Write worn packs anew, or those given. Does nothing while another process does it for the tenant.

    Raises ColdTierUnavailable, StoreUnavailable; what was moved until then stays moved.
    """
    moved = Moved()

    def tell(pack: Moved) -> None:
        moved.add(pack)
        progress(pack)

    chosen = worn_packs(database, keys.tenant_id) if packs is None else _given(packs)
    await in_turns(turns, database, keys.tenant_id, WORK, _compacted(database, objects, keys, chosen), tell)
    return moved


async def _compacted(
    database: Database, objects: ObjectStore, keys: TenantKeys, packs: AsyncIterator[WornPack]
) -> AsyncGenerator[Moved, None]:
    """One new pack after the other, each told of when it is in its place."""
    async for sources, damaged in _loads(database, objects, keys, packs):
        reached("compaction: read")
        done = await move(database, objects, keys, sources)
        done.damaged += damaged
        yield done


async def _loads(
    database: Database, objects: ObjectStore, keys: TenantKeys, packs: AsyncIterator[WornPack]
) -> AsyncIterator[tuple[list[Source], list[BlobDigest]]]:
    """What lives in the packs, a pack full at a time."""
    sources: list[Source] = []
    damaged: list[BlobDigest] = []
    octets = 0
    async for pack in packs:
        found, broken = await read_pack(database, objects, keys, pack.id, pack.octets)
        damaged += broken
        for source in found:
            sources.append(source)
            octets += source.content.stored_octets
            if octets >= TARGET_OCTETS:
                yield sources, damaged
                sources, damaged, octets = [], [], 0
    if sources or damaged:
        yield sources, damaged


async def read_pack(
    database: Database, objects: ObjectStore, keys: TenantKeys, object_id: int, octets: int
) -> tuple[list[Source], list[BlobDigest]]:
    """What lives in a pack, sealed; and what cannot be read there, nor in a copy that Postgres happens to hold."""
    async with database.read(keys.tenant_id) as connection:
        residents = await _RESIDENTS.all(connection, tenant_id=keys.tenant_id, object_id=object_id)
    if not residents:
        return [], []
    contents: list[SealedContent | None] = [None] * len(residents)
    for _ in range(2):  # what changed on its way is whole the second time
        if None in contents:
            contents = await _contents(objects, keys, object_id, octets, residents)
    sources: list[Source] = []
    damaged: list[BlobDigest] = []
    for resident, content in zip(residents, contents, strict=True):
        digest = BlobDigest(resident.digest)
        if content is None:
            content = await _spare(database, keys, digest, resident.octets)
        if content is None:
            damaged.append(digest)
        else:
            sources.append(Source(content, object_id))
    return sources, damaged


async def _contents(
    objects: ObjectStore, keys: TenantKeys, object_id: int, octets: int, residents: Sequence[_Resident]
) -> list[SealedContent | None]:
    try:
        kept = await objects.get(object_name(keys.tenant_id, object_id), 0, octets)
    except ContentDamaged:
        return [None] * len(residents)
    return await asyncio.to_thread(lambda: [_content(keys, resident, kept) for resident in residents])


def _content(keys: TenantKeys, resident: _Resident, kept: bytes) -> SealedContent | None:
    """As it stands in the pack; None if that is damaged."""
    try:
        chunks = cut_chunks(resident.layout, kept, resident.object_offset)
        content = SealedContent(BlobDigest(resident.digest), resident.octets, chunks)
        verified(keys, content)
    except ContentDamaged:
        return None
    return content


async def _spare(database: Database, keys: TenantKeys, digest: BlobDigest, octets: int) -> SealedContent | None:
    async with database.read(keys.tenant_id) as connection:
        found = await HotBlobs().read_spare(connection, keys, digest, 0, octets) if octets else b""
    return None if found is None else seal_content(keys, digest, found)
