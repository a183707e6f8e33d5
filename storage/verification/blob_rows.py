"""Rows of blobs as verification reads them, and their chunks where these rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from storage.blobs.layout import unpack_layout
from storage.blobs.opening import NumberedChunk
from storage.errors import ContentDamaged
from storage.query import Connection, Query
from tenants.types import TenantId

ALL_DAYS = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class BlobRow:
    """`object_id` None: it is hot, since `content_on`."""

    digest: bytes
    octets: int
    content_on: date
    object_id: int | None
    object_offset: int | None
    layout: bytes | None
    stored_octets: int


@dataclass(frozen=True, slots=True)
class _Chunk:
    digest: bytes
    chunk: int
    key_id: int
    codec: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class _Uses:
    messages: int


_COLUMNS = "b.digest, b.octets, b.content_on, b.object_id, b.object_offset, b.layout, b.stored_octets"
_HOT = Query(
    f"""
    SELECT {_COLUMNS} FROM blob b
     WHERE b.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND b.digest >= %(first)s AND b.digest < %(before)s
       AND b.object_id IS NULL AND b.content_on >= %(since)s
     ORDER BY b.digest LIMIT %(limit)s
    """,  # noqa: S608 - our own column list
    row=BlobRow,
)
_IN_OBJECT = Query(
    f"""
    SELECT {_COLUMNS} FROM blob b
     WHERE b.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND b.object_id = %(object_id)s
     ORDER BY b.object_offset
    """,  # noqa: S608
    row=BlobRow,
)
_ONE = Query(
    f"""
    SELECT {_COLUMNS} FROM blob b
     WHERE b.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND b.digest = %(digest)s
    """,  # noqa: S608
    row=BlobRow,
)
_CHUNKS = Query(
    """
    SELECT c.digest, c.chunk, c.key_id, c.codec, c.sealed
      FROM blob b
      JOIN blob_content c
        ON c.tenant_id = b.tenant_id AND c.digest = b.digest AND c.content_on = b.content_on
     WHERE b.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND b.digest = ANY (%(digests)s) AND b.object_id IS NULL
       AND c.chunk BETWEEN %(first)s AND %(last)s
    """,
    row=_Chunk,
)
_USES = Query(
    """
    SELECT count(*) AS messages FROM (
        SELECT FROM message_blob u
         WHERE u.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND u.digest = %(digest)s LIMIT 1000) u
    """,
    row=_Uses,
)

Chunks = dict[bytes, list[NumberedChunk]]
"""The chunks of each blob in their order, by its digest."""


async def hot_blobs(
    connection: Connection, tenant_id: TenantId, first: bytes, before: bytes, since: date | None, limit: int
) -> list[BlobRow]:
    """Those from `first` to before `before` by digest, at most `limit`."""
    return await _HOT.all(
        connection, tenant_id=tenant_id, first=first, before=before, since=since or ALL_DAYS, limit=limit
    )


async def blobs_in(connection: Connection, tenant_id: TenantId, object_id: int) -> list[BlobRow]:
    """Those that rest in an object, in the order of their octets there."""
    return await _IN_OBJECT.all(connection, tenant_id=tenant_id, object_id=object_id)


async def one_blob(connection: Connection, tenant_id: TenantId, digest: bytes) -> BlobRow | None:
    return await _ONE.first(connection, tenant_id=tenant_id, digest=digest)


async def hot_chunks(
    connection: Connection, tenant_id: TenantId, digests: Sequence[bytes], first: int, last: int
) -> Chunks:
    """Of those of the blobs that are hot now; none of one that has no chunk."""
    rows = await _CHUNKS.all(connection, tenant_id=tenant_id, digests=list(digests), first=first, last=last)
    chunks: Chunks = {}
    for row in sorted(rows, key=lambda row: row.chunk):
        chunks.setdefault(row.digest, []).append(NumberedChunk(row.chunk, row.key_id, row.codec, row.sealed))
    return chunks


async def messages_using(connection: Connection, tenant_id: TenantId, digest: bytes) -> int:
    """At most 1,000 are counted."""
    return (await _USES.one(connection, tenant_id=tenant_id, digest=digest)).messages


@dataclass(frozen=True, slots=True)
class RestingChunk:
    """Where one chunk of a blob is in the object, from octet `offset` of that on."""

    number: int
    key_id: int
    codec: int
    offset: int
    octets: int

    @property
    def end(self) -> int:
        return self.offset + self.octets


def resting_chunks(row: BlobRow) -> list[RestingChunk]:
    """Of a blob that rests in an object. Raises ContentDamaged when its row does not say where."""
    if row.object_offset is None or row.layout is None:
        raise ContentDamaged("its row does not say where in the object it is")
    return [
        RestingChunk(number, place.key_id, place.codec, row.object_offset + place.offset, place.octets)
        for number, place in enumerate(unpack_layout(row.layout))
    ]
