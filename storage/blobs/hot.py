"""The hot tier: sealed chunks in Postgres, in the cell of the tenant."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import ParamSpec, TypeVar

from storage.blobs.codec import CHUNK_OCTETS, compress, decompress
from storage.blobs.store import SealedBlob
from storage.errors import ContentDamaged
from storage.keys import TenantKeys
from storage.query import Connection, Query
from storage.types import BlobDigest

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_IN_A_THREAD_OCTETS = 256 * 1024  # packing and sealing more than this takes a millisecond or more


@dataclass(frozen=True, slots=True)
class _Claimed:
    is_new: bool
    content_on: date


@dataclass(frozen=True, slots=True)
class _Chunk:
    octets: int
    chunk: int
    key_id: int
    codec: int
    sealed: bytes


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
    INSERT INTO blob (tenant_id, digest, octets, content_on, touched_at)
    VALUES (waypost_tenant(%(tenant_id)s), %(digest)s, %(octets)s, CURRENT_DATE, now())
    ON CONFLICT (tenant_id, digest) DO UPDATE SET touched_at = now()
    RETURNING xmax = 0 AS is_new, content_on
    """,
    row=_Claimed,
)
_ADD_CHUNK = Query[None](
    """
    INSERT INTO blob_content (tenant_id, digest, chunk, content_on, key_id, codec, sealed)
    VALUES (waypost_tenant(%(tenant_id)s), %(digest)s, %(chunk)s, %(content_on)s, %(key_id)s, %(codec)s, %(sealed)s)
    """
)
_READ_CHUNKS = Query(
    """
    SELECT octets, chunk, key_id, codec, sealed
      FROM read_chunks_v1(%(tenant_id)s, %(digest)s, %(first)s, %(last)s)
    """,
    row=_Chunk,
)
_DELETE = Query(
    """
    WITH gone AS (
        DELETE FROM blob b
         WHERE b.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND b.digest = ANY (%(digests)s)
           AND b.touched_at < now() - make_interval(secs => %(grace_s)s)
           AND NOT EXISTS (
               SELECT FROM message_blob u WHERE u.tenant_id = b.tenant_id AND u.digest = b.digest)
        RETURNING b.tenant_id, b.digest, b.content_on
    ), emptied AS (
        DELETE FROM blob_content c USING gone
         WHERE c.tenant_id = gone.tenant_id AND c.digest = gone.digest AND c.content_on = gone.content_on
    )
    SELECT count(*) AS blobs FROM gone
    """,
    row=_Deleted,
)


def seal_small(keys: TenantKeys, octets: bytes) -> SealedBlob:
    """Name, pack and seal a blob of at most one chunk."""
    digest = keys.digest(octets)
    codec, packed = compress(octets)
    return SealedBlob(digest, len(octets), keys.current, codec, keys.seal(digest, 0, True, codec, packed))


class HotBlobs:
    """A BlobStore over `blob` and `blob_content`. `grace_s` holds collection off a blob that was claimed lately."""

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
            blob = await _maybe_in_thread(len(octets), seal_small, keys, bytes(octets))
            await self.put_sealed(connection, keys, blob)
            return blob.digest
        digest = await asyncio.to_thread(keys.long_digest, octets)
        claimed = await _CLAIM.one(connection, tenant_id=keys.tenant_id, digest=digest, octets=len(octets))
        if claimed.is_new:
            last = (len(octets) - 1) // CHUNK_OCTETS
            for chunk in range(last + 1):
                piece = bytes(octets[chunk * CHUNK_OCTETS : (chunk + 1) * CHUNK_OCTETS])
                codec, sealed = await asyncio.to_thread(_seal_chunk, keys, digest, chunk, chunk == last, piece)
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
        return digest

    async def read(
        self, connection: Connection, keys: TenantKeys, digest: BlobDigest, offset: int, length: int
    ) -> bytes:
        if length <= 0:
            return b""
        first, last = offset // CHUNK_OCTETS, (offset + length - 1) // CHUNK_OCTETS
        chunks = await _READ_CHUNKS.all(connection, tenant_id=keys.tenant_id, digest=digest, first=first, last=last)
        if [chunk.chunk for chunk in chunks] != list(range(first, last + 1)):
            raise ContentDamaged(f"blob {digest.hex()} has not all of its chunks")
        opened = await _maybe_in_thread(length, _open_chunks, keys, digest, chunks)
        start = offset - first * CHUNK_OCTETS
        if len(opened) < start + length:
            raise ContentDamaged(f"blob {digest.hex()} is cut")
        return opened[start : start + length]

    async def delete(self, connection: Connection, keys: TenantKeys, digests: Sequence[BlobDigest]) -> int:
        deleted = await _DELETE.one(connection, tenant_id=keys.tenant_id, digests=list(digests), grace_s=self.grace_s)
        return deleted.blobs


async def _maybe_in_thread(
    octets: int, work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """Long packing must not hold up the loop; short packing must not pay for a thread."""
    if octets > _IN_A_THREAD_OCTETS:
        return await asyncio.to_thread(work, *arguments, **named)
    return work(*arguments, **named)


def _seal_chunk(keys: TenantKeys, digest: BlobDigest, chunk: int, is_last: bool, octets: bytes) -> tuple[int, bytes]:
    codec, packed = compress(octets)
    return codec, keys.seal(digest, chunk, is_last, codec, packed)


def _open_chunks(keys: TenantKeys, digest: BlobDigest, chunks: Sequence[_Chunk]) -> bytes:
    opened = []
    for row in chunks:
        is_last = row.chunk == max(0, (row.octets - 1) // CHUNK_OCTETS)
        packed = keys.open(row.key_id, digest, row.chunk, is_last, row.codec, row.sealed)
        opened.append(decompress(row.codec, packed))
    return opened[0] if len(opened) == 1 else b"".join(opened)
