"""Blobs that people read again come back to Postgres: those read on two different days within the tenant's time.

One reading is not enough: a search, or a new phone that downloads everything, would bring everything back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.blobs.layout import cut_chunks, unpack_layout
from storage.blobs.objects import ObjectStore
from storage.blobs.packs import SealedContent
from storage.blobs.tiered import object_name
from storage.database import Database
from storage.errors import ContentDamaged
from storage.keys import TenantKeys
from storage.query import Query
from storage.steps import reached
from storage.tiers.moving import verified
from storage.types import BlobDigest
from tenants.types import TenantId

LARGEST_OCTETS = 1024 * 1024
AT_ONCE = 200
LONGEST_DAYS = 60
"""How long readings are remembered at most."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    digest: bytes
    octets: int
    object_id: int
    object_offset: int
    layout: bytes


@dataclass(frozen=True, slots=True)
class _IsMoved:
    is_moved: bool


_WANTED = Query(
    """
    SELECT b.digest, b.octets, coalesce(b.object_id, 0) AS object_id, coalesce(b.object_offset, 0) AS object_offset,
           coalesce(b.layout, ''::bytea) AS layout
      FROM (SELECT r.tenant_id, r.digest FROM cold_read r
             WHERE r.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND r.read_on > CURRENT_DATE - %(days)s::integer
             GROUP BY 1, 2 HAVING count(*) > 1) w
      JOIN blob b ON b.tenant_id = w.tenant_id AND b.digest = w.digest
     WHERE b.object_id IS NOT NULL AND b.stored_octets <= %(largest_octets)s
     LIMIT %(limit)s
    """,
    row=_Wanted,
)
_PROMOTE = Query(
    """
    SELECT promote_blob_v1(
        %(tenant_id)s, %(digest)s, %(object_id)s, %(keys)s::integer[], %(codecs)s::smallint[], %(sealed)s) AS is_moved
    """,
    row=_IsMoved,
)
_FORGET = Query[None](
    """
    DELETE FROM cold_read
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND digest = ANY (%(digests)s)
    """
)
_FORGET_OLD = Query[None](
    """
    DELETE FROM cold_read
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND read_on <= CURRENT_DATE - %(days)s::integer
    """
)


async def promote(database: Database, objects: ObjectStore, keys: TenantKeys, *, within_days: int | None) -> int:
    """Bring back what was read on two days within so many; None: nothing ever. Returns how many came.

    Raises ColdTierUnavailable, StoreUnavailable. What is damaged is left to whoever reads it.
    """
    promoted = 0
    while within_days is not None:
        async with database.read(keys.tenant_id) as connection:
            wanted = await _WANTED.all(
                connection,
                tenant_id=keys.tenant_id,
                days=within_days,
                limit=AT_ONCE,
                largest_octets=LARGEST_OCTETS,
            )
        for blob in wanted:
            promoted += await _promote(database, objects, keys, blob)
            reached("promotion: promoted")
        await _forget(database, keys.tenant_id, [blob.digest for blob in wanted])
        if len(wanted) < AT_ONCE:
            break
    async with database.read(keys.tenant_id) as connection:
        await _FORGET_OLD.execute(connection, tenant_id=keys.tenant_id, days=min(within_days or 0, LONGEST_DAYS))
    return promoted


async def _promote(database: Database, objects: ObjectStore, keys: TenantKeys, blob: _Wanted) -> int:
    try:
        length = sum(place.octets for place in unpack_layout(blob.layout))
        kept = await objects.get(object_name(keys.tenant_id, blob.object_id), blob.object_offset, length)
        chunks = cut_chunks(blob.layout, kept)
        verified(keys, SealedContent(BlobDigest(blob.digest), blob.octets, chunks))
    except ContentDamaged:
        return 0

    async def attempt() -> bool:
        async with database.read(keys.tenant_id) as connection:
            row = await _PROMOTE.one(
                connection,
                tenant_id=keys.tenant_id,
                digest=blob.digest,
                object_id=blob.object_id,
                keys=[chunk.key_id for chunk in chunks],
                codecs=[chunk.codec for chunk in chunks],
                sealed=[chunk.sealed for chunk in chunks],
            )
        return row.is_moved

    return int(await database.retried(attempt))


async def _forget(database: Database, tenant_id: TenantId, digests: Sequence[bytes]) -> None:
    if digests:
        async with database.read(tenant_id) as connection:
            await _FORGET.execute(connection, tenant_id=tenant_id, digests=list(digests))
