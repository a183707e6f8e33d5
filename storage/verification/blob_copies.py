"""Other copies of a blob's chunks: left in Postgres from before it went cold, or in packs that were replaced.

Only what a restore could want still is there to be found, so none is no surprise.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from storage.blobs.layout import unpack_layout
from storage.blobs.opening import NumberedChunk
from storage.blobs.packs import PackedBlob, read_index
from storage.blobs.tiered import object_name
from storage.database import Database
from storage.errors import ContentDamaged
from storage.query import Connection, Query
from storage.verification.bucket import Bucket
from tenants.types import TenantId

_PACKS = 200  # of the replaced ones the newest are looked through
_BEGINNING_OCTETS = 8
_INDEX_OCTETS = 512 * 1024


@dataclass(frozen=True, slots=True)
class _Day:
    content_on: date


@dataclass(frozen=True, slots=True)
class _SpareChunk:
    chunk: int
    key_id: int
    codec: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class _PackRow:
    id: int
    octets: int


_DAYS = Query(
    """
    SELECT DISTINCT c.content_on FROM blob_content c
     WHERE c.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND c.digest = %(digest)s
     ORDER BY c.content_on DESC
    """,
    row=_Day,
)
_SPARE = Query(
    """
    SELECT c.chunk, c.key_id, c.codec, c.sealed FROM blob_content c
     WHERE c.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND c.digest = %(digest)s
       AND c.content_on = %(content_on)s AND c.chunk = %(chunk)s
    """,
    row=_SpareChunk,
)
_REPLACED_PACKS = Query(
    """
    SELECT o.id, o.octets FROM object o
     WHERE o.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND o.state = 2 AND o.kind = 1
     ORDER BY o.doomed_at DESC LIMIT %(limit)s
    """,
    row=_PackRow,
)


@dataclass(frozen=True, slots=True)
class SpareDay:
    """Chunks that Postgres holds of a day."""

    content_on: date


@dataclass(frozen=True, slots=True)
class PackCopy:
    """Chunks in a pack that was replaced."""

    object_id: int
    blob: PackedBlob


@dataclass(frozen=True, slots=True)
class FetchedCopy:
    """Chunks that were read from such a pack."""

    chunks: Sequence[NumberedChunk]


Copy = SpareDay | FetchedCopy


async def spare_days(connection: Connection, tenant_id: TenantId, digest: bytes) -> list[SpareDay]:
    """Of all weeks that are kept, the newest first."""
    rows = await _DAYS.all(connection, tenant_id=tenant_id, digest=digest)
    return [SpareDay(row.content_on) for row in rows]


async def replaced_packs(database: Database, bucket: Bucket, tenant_id: TenantId) -> Mapping[bytes, PackCopy]:
    """What rests in packs that were replaced and are not deleted yet. Raises ColdTierUnavailable."""
    async with database.read(tenant_id) as connection:
        packs = await _REPLACED_PACKS.all(connection, tenant_id=tenant_id, limit=_PACKS)
    copies: dict[bytes, PackCopy] = {}
    for pack in packs:
        with contextlib.suppress(ContentDamaged):
            for blob in await _index_of(bucket, object_name(tenant_id, pack.id), pack.octets):
                copies.setdefault(blob.digest, PackCopy(pack.id, blob))
    return copies


async def _index_of(bucket: Bucket, name: str, octets: int) -> list[PackedBlob]:
    """The index stands at the end; one that is longer than was read makes the whole pack be read."""
    if octets > _BEGINNING_OCTETS + _INDEX_OCTETS:
        beginning = await bucket.get(name, 0, _BEGINNING_OCTETS)
        with contextlib.suppress(ContentDamaged):
            return read_index(beginning + await bucket.get(name, octets - _INDEX_OCTETS, _INDEX_OCTETS))
    return read_index(await bucket.get(name, 0, octets))


async def fetch(bucket: Bucket, tenant_id: TenantId, copy: PackCopy) -> FetchedCopy:
    """All of it in memory: nothing is to be locked while S3 is asked. Raises ContentDamaged, ColdTierUnavailable."""
    name = object_name(tenant_id, copy.object_id)
    places = unpack_layout(copy.blob.layout)
    sealed = await bucket.get(name, copy.blob.offset, sum(place.octets for place in places))
    return FetchedCopy(
        [
            NumberedChunk(number, place.key_id, place.codec, sealed[place.offset : place.offset + place.octets])
            for number, place in enumerate(places)
        ]
    )


async def chunks_of(
    connection: Connection, tenant_id: TenantId, digest: bytes, copy: Copy
) -> AsyncIterator[NumberedChunk]:
    """The chunks of a copy in order, as far as there are any."""
    if isinstance(copy, FetchedCopy):
        for chunk in copy.chunks:
            yield chunk
        return
    number = 0
    while row := await _SPARE.first(
        connection, tenant_id=tenant_id, digest=digest, content_on=copy.content_on, chunk=number
    ):
        yield NumberedChunk(row.chunk, row.key_id, row.codec, row.sealed)
        number += 1
