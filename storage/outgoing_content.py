"""The octets of queued mail: sealed chunks under the tenant's data key, read one by one as they are sent."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass

from storage.blobs.codec import CHUNK_OCTETS, compress, decompress
from storage.database import Database
from storage.errors import ContentDamaged, MessageGone
from storage.keys import DIGEST_OCTETS, TenantKeys
from storage.outgoing_types import OutgoingId, QueuedMessage
from storage.query import Connection, Query
from storage.types import BlobDigest

_IN_A_THREAD_OCTETS = 256 * 1024


@dataclass(frozen=True, slots=True)
class SealedChunk:
    chunk: int
    key_id: int
    codec: int
    sealed: bytes


_PUT = Query[None](
    """
    INSERT INTO outgoing_content (tenant_id, outgoing_id, chunk, key_id, codec, sealed)
    VALUES (waypost_tenant(%(tenant_id)s), %(outgoing_id)s, %(chunk)s, %(key_id)s, %(codec)s::smallint, %(sealed)s)
    """
)


@dataclass(frozen=True, slots=True)
class _Found:
    n: int
    chunk: int
    key_id: int
    codec: int
    sealed: bytes


_READ = Query(
    """
    SELECT w.n::integer AS n, c.chunk, c.key_id, c.codec, c.sealed
      FROM unnest(%(ids)s::bigint[], %(chunks)s::integer[]) WITH ORDINALITY AS w (id, chunk, n)
      JOIN outgoing_content c ON c.outgoing_id = w.id AND c.chunk = w.chunk
     WHERE c.tenant_id = (SELECT waypost_tenant(%(tenant_id)s))
    """,
    row=_Found,
)


def new_content_name() -> bytes:
    """What the chunks of one message are sealed under: as long as a blob's digest, and drawn by lot."""
    return os.urandom(DIGEST_OCTETS)


def last_chunk(octets: int) -> int:
    return max(0, (octets - 1) // CHUNK_OCTETS)


async def seal(keys: TenantKeys, name: bytes, octets: memoryview, chunk: int) -> SealedChunk:
    """Chunk `chunk` of the whole message in `octets`; long packing goes to a thread."""
    piece = bytes(octets[chunk * CHUNK_OCTETS : (chunk + 1) * CHUNK_OCTETS])
    is_last = chunk == last_chunk(len(octets))
    if len(piece) > _IN_A_THREAD_OCTETS:
        return await asyncio.to_thread(_seal, keys, name, chunk, is_last, piece)
    return _seal(keys, name, chunk, is_last, piece)


async def put(connection: Connection, keys: TenantKeys, outgoing_id: OutgoingId, chunk: SealedChunk) -> None:
    await _PUT.execute(
        connection,
        tenant_id=keys.tenant_id,
        outgoing_id=outgoing_id,
        chunk=chunk.chunk,
        key_id=chunk.key_id,
        codec=chunk.codec,
        sealed=chunk.sealed,
    )


async def read_chunk(database: Database, keys: TenantKeys, message: QueuedMessage, chunk: int) -> bytes:
    """CHUNK_OCTETS of the message, less at its end; the first of them holds the header, and the body of most mail.

    Raises MessageGone (it left the queue meanwhile), ContentDamaged, StoreUnavailable.
    """
    (octets,) = await read_chunks(database, keys, [(message, chunk)])
    if isinstance(octets, Exception):
        raise octets
    return octets


async def read_chunks(
    database: Database, keys: TenantKeys, wanted: Sequence[tuple[QueuedMessage, int]]
) -> list[bytes | Exception]:
    """The same of several messages of one tenant, in one statement; exceptions are MessageGone and ContentDamaged.

    Raises StoreUnavailable.
    """
    async with database.read(keys.tenant_id) as connection:
        rows = await _READ.all(
            connection,
            tenant_id=keys.tenant_id,
            ids=[message.id for message, _ in wanted],
            chunks=[chunk for _, chunk in wanted],
        )
    octets: list[bytes | Exception] = [MessageGone(message.id) for message, _ in wanted]
    for row in rows:
        message, chunk = wanted[row.n - 1]
        is_last = chunk == last_chunk(message.octets)
        try:
            if len(row.sealed) > _IN_A_THREAD_OCTETS:
                octets[row.n - 1] = await asyncio.to_thread(_open, keys, message, row, is_last)
            else:
                octets[row.n - 1] = _open(keys, message, row, is_last)
        except ContentDamaged as damaged:
            octets[row.n - 1] = damaged
    return octets


def _seal(keys: TenantKeys, name: bytes, chunk: int, is_last: bool, octets: bytes) -> SealedChunk:
    codec, packed = compress(octets)
    return SealedChunk(chunk, keys.current, codec, keys.seal(BlobDigest(name), chunk, is_last, codec, packed))


def _open(keys: TenantKeys, message: QueuedMessage, row: _Found, is_last: bool) -> bytes:
    packed = keys.open(row.key_id, BlobDigest(message.content_name), row.chunk, is_last, row.codec, row.sealed)
    octets = decompress(row.codec, packed)
    expected = message.octets - row.chunk * CHUNK_OCTETS if is_last else CHUNK_OCTETS
    if len(octets) != expected:
        raise ContentDamaged(f"chunk {row.chunk} of queued message {message.id} is cut")
    return octets
