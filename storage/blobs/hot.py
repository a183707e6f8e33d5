"""The hot tier: sealed chunks in Postgres, in the cell of the tenant."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from storage.blobs.codec import CHUNK_OCTETS, compress
from storage.blobs.layout import InObject, SealedChunk
from storage.blobs.opening import ChunkRange, NumberedChunk, last_chunk, maybe_in_thread, open_range
from storage.errors import ContentDamaged
from storage.keys import TenantKeys
from storage.query import Connection, Query
from storage.types import BlobDigest, BlobOctets
from tenants.types import TenantId


@dataclass(frozen=True, slots=True)
class SealedBlob:
    """A blob of one chunk, ready to be written in the transaction of the message that uses it."""

    digest: BlobDigest
    octets: int
    key_id: int
    codec: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class _Claimed:
    is_new: bool
    content_on: date


@dataclass(frozen=True, slots=True)
class _Chunk:
    octets: int | None
    object_id: int | None
    object_offset: int | None
    object_octets: int | None
    layout: bytes | None
    chunk: int | None
    key_id: int | None
    codec: int | None
    sealed: bytes | None


@dataclass(frozen=True, slots=True)
class _SpareChunk:
    octets: int
    content_on: date
    chunk: int
    key_id: int
    codec: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class FoundInObject:
    """A blob of `octets` that does not rest in Postgres."""

    octets: int
    place: InObject


@dataclass(frozen=True, slots=True)
class _Deleted:
    blobs: int


_PUT_ONE = Query[None](
    """
    SELECT put_blob_v1(%(tenant_id)s, %(digest)s, %(octets)s, %(key_id)s, %(codec)s::smallint, %(sealed)s)
    """
)
_CLAIM = Query(
    """
    INSERT INTO blob (tenant_id, digest, octets, content_on, touched_at, is_waiting, stored_octets)
    VALUES (waypost_tenant(%(tenant_id)s), %(digest)s, %(octets)s, CURRENT_DATE, now(), %(is_waiting)s, %(stored)s)
    ON CONFLICT (tenant_id, digest) DO UPDATE SET touched_at = now()
    RETURNING xmax = 0 AS is_new, content_on
    """,
    row=_Claimed,
)
_ADD_CHUNK = Query[None](
    """
    INSERT INTO blob_content (tenant_id, digest, chunk, content_on, key_id, codec, sealed)
    VALUES (waypost_tenant(%(tenant_id)s), %(digest)s, %(chunk)s, %(content_on)s, %(key_id)s, %(codec)s, %(sealed)s)
    ON CONFLICT (tenant_id, digest, chunk, content_on)
    DO UPDATE SET key_id = EXCLUDED.key_id, codec = EXCLUDED.codec, sealed = EXCLUDED.sealed
    """
)
_NOTE_STORED = Query[None](
    """
    UPDATE blob SET stored_octets = %(stored)s WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND digest = %(digest)s
    """
)
_READ_CHUNKS = Query(
    """
    SELECT octets, object_id, object_offset, object_octets, layout, chunk, key_id, codec, sealed
      FROM read_chunks_v2(%(tenant_id)s, %(digest)s, %(first)s, %(last)s)
    """,
    row=_Chunk,
)
_READ_SPARE_CHUNKS = Query(
    """
    SELECT octets, content_on, chunk, key_id, codec, sealed
      FROM read_spare_chunks_v1(%(tenant_id)s, %(digest)s, %(first)s, %(last)s)
    """,
    row=_SpareChunk,
)
_DELETE = Query(
    "SELECT delete_blobs_v1(%(tenant_id)s, %(digests)s, %(grace_s)s) AS blobs",
    row=_Deleted,
)


def seal_small(keys: TenantKeys, octets: bytes) -> SealedBlob:
    """Name, pack and seal a blob of at most one chunk."""
    digest = keys.digest(octets)
    codec, packed = compress(octets)
    return SealedBlob(digest, len(octets), keys.current, codec, keys.seal(digest, 0, True, codec, packed))


class HotBlobs:
    """Content in `blob_content`, and the rows of all blobs.

    Blobs never change. `grace_s` holds collection off a blob that was claimed lately.
    """

    def __init__(self, grace_s: float = 86_400.0) -> None:
        self.grace_s = grace_s

    async def put_sealed(self, connection: Connection, keys: TenantKeys, blob: SealedBlob) -> None:
        query, values = self.putting(keys, blob)
        await query.execute(connection, **values)

    def putting(self, keys: TenantKeys, blob: SealedBlob) -> tuple[Query[None], dict[str, object]]:
        """The statement that puts a blob of one chunk, for `run_together`."""
        return _PUT_ONE, {
            "tenant_id": keys.tenant_id,
            "digest": blob.digest,
            "octets": blob.octets,
            "key_id": blob.key_id,
            "codec": blob.codec,
            "sealed": blob.sealed,
        }

    async def put(self, connection: Connection, keys: TenantKeys, octets: bytes | memoryview) -> BlobDigest:
        if len(octets) <= CHUNK_OCTETS:
            blob = await maybe_in_thread(len(octets), seal_small, keys, bytes(octets))
            await self.put_sealed(connection, keys, blob)
            return blob.digest
        digest = await asyncio.to_thread(keys.long_digest, octets)
        await self.put_long(connection, keys, digest, octets)
        return digest

    async def put_long(
        self,
        connection: Connection,
        keys: TenantKeys,
        digest: BlobDigest,
        octets: BlobOctets,
        *,
        is_waiting: bool = False,
    ) -> None:
        """A blob of more than nothing, in the transaction of its message; one chunk of it at a time is in memory.

        `is_waiting`: for a place in an object.
        """
        claimed = await _CLAIM.one(
            connection, tenant_id=keys.tenant_id, digest=digest, octets=len(octets), is_waiting=is_waiting, stored=0
        )
        if not claimed.is_new:
            return
        stored = 0
        last = last_chunk(len(octets))
        for chunk in range(last + 1):
            piece = octets[chunk * CHUNK_OCTETS : (chunk + 1) * CHUNK_OCTETS]
            codec, sealed = await asyncio.to_thread(_seal_chunk, keys, digest, chunk, chunk == last, piece)
            stored += len(sealed)
            await _ADD_CHUNK.execute(
                connection,
                tenant_id=keys.tenant_id,
                digest=digest,
                chunk=chunk,
                content_on=claimed.content_on,
                key_id=keys.current,
                codec=codec,
                sealed=sealed,
            )
        await _NOTE_STORED.execute(connection, tenant_id=keys.tenant_id, digest=digest, stored=stored)

    async def read(
        self, connection: Connection, keys: TenantKeys, digest: BlobDigest, offset: int, length: int
    ) -> bytes | FoundInObject:
        """A range of a blob, or where it rests instead. Raises ContentDamaged when it is missing, cut or altered."""
        wanted = ChunkRange(offset, length)
        rows = await _READ_CHUNKS.all(
            connection, tenant_id=keys.tenant_id, digest=digest, first=wanted.first, last=wanted.last
        )
        if rows and (row := rows[0]).object_id is not None:
            assert row.octets is not None
            assert row.object_offset is not None
            assert row.layout is not None
            place = InObject(row.object_id, row.object_octets or 0, row.object_offset, row.layout)
            return FoundInObject(row.octets, place)
        chunks = [
            NumberedChunk(row.chunk, row.key_id, row.codec, row.sealed)
            for row in rows
            if row.chunk is not None and row.key_id is not None and row.codec is not None and row.sealed is not None
        ]
        return await open_range(keys, digest, (rows[0].octets or 0) if rows else 0, chunks, wanted)

    async def read_spare(
        self, connection: Connection, keys: TenantKeys, digest: BlobDigest, offset: int, length: int
    ) -> bytes | None:
        """The same from any copy that Postgres still holds, whatever the row says; None without a good one."""
        wanted = ChunkRange(offset, length)
        rows = await _READ_SPARE_CHUNKS.all(
            connection, tenant_id=keys.tenant_id, digest=digest, first=wanted.first, last=wanted.last
        )
        for day in dict.fromkeys(row.content_on for row in rows):
            copy = [row for row in rows if row.content_on == day]
            chunks = [NumberedChunk(row.chunk, row.key_id, row.codec, row.sealed) for row in copy]
            with contextlib.suppress(ContentDamaged):
                return await open_range(keys, digest, copy[0].octets, chunks, wanted)
        return None

    async def delete(self, connection: Connection, keys: TenantKeys, digests: Sequence[BlobDigest]) -> int:
        deleted = await _DELETE.one(connection, tenant_id=keys.tenant_id, digests=list(digests), grace_s=self.grace_s)
        return deleted.blobs


async def put_chunks(
    connection: Connection, tenant_id: TenantId, digest: BlobDigest, octets: int, chunks: Sequence[SealedChunk]
) -> None:
    """A blob that is sealed already, in a transaction; one that is here is claimed."""
    stored = sum(len(chunk.sealed) for chunk in chunks)
    claimed = await _CLAIM.one(
        connection, tenant_id=tenant_id, digest=digest, octets=octets, is_waiting=False, stored=stored
    )
    if not claimed.is_new:
        return
    for number, chunk in enumerate(chunks):
        await _ADD_CHUNK.execute(
            connection,
            tenant_id=tenant_id,
            digest=digest,
            chunk=number,
            content_on=claimed.content_on,
            key_id=chunk.key_id,
            codec=chunk.codec,
            sealed=chunk.sealed,
        )


def _seal_chunk(
    keys: TenantKeys, digest: BlobDigest, chunk: int, is_last: bool, octets: bytes | memoryview
) -> tuple[int, bytes]:
    codec, packed = compress(bytes(octets))
    return codec, keys.seal(digest, chunk, is_last, codec, packed)
