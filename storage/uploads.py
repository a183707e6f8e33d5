"""What people upload, until a message takes it in or a day is over (RFC 8620 §6): sealed chunks in Postgres.

Octets come piece by piece, from clients that take their time: each chunk is written as it is full, in a transaction of
its own, and nobody sees the upload before it is finished. One that is never finished goes with the expired ones.
"""

import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from storage.blobs.codec import CHUNK_OCTETS, compress
from storage.blobs.opening import ChunkRange, NumberedChunk, maybe_in_thread, open_range
from storage.database import Database
from storage.keys import DIGEST_OCTETS, TenantKeys
from storage.query import Query
from storage.types import BlobDigest, UploadId
from tenants.types import AccountId

KEPT_S = 86_400.0
EXPIRED_AT_ONCE = 500


class UploadGone(Exception):
    """It was deleted while it came, or is read."""

    def __init__(self, upload_id: int) -> None:
        super().__init__("the upload is no longer there")
        self.upload_id = upload_id


@dataclass(frozen=True, slots=True)
class UploadRoom:
    """What all uploads of an account may take up; older ones make room."""

    octets: int
    uploads: int


@dataclass(frozen=True, slots=True)
class Upload:
    """A finished upload. `name` is what its chunks are sealed under."""

    id: int
    octets: int
    name: bytes


@dataclass(frozen=True, slots=True)
class _Id:
    id: int


@dataclass(frozen=True, slots=True)
class _Count:
    count: int


@dataclass(frozen=True, slots=True)
class _Chunk:
    chunk: int
    key_id: int
    codec: int
    sealed: bytes


_BEGIN = Query(
    """
    INSERT INTO upload (tenant_id, account_id, name)
    VALUES (waypost_tenant(%(tenant_id)s), %(account_id)s, %(name)s) RETURNING id
    """,
    row=_Id,
)
_ADD = Query[None](
    """
    INSERT INTO upload_content (tenant_id, upload_id, chunk, key_id, codec, sealed)
    SELECT u.tenant_id, u.id, %(chunk)s::integer, %(key_id)s::integer, %(codec)s::smallint, %(sealed)s::bytea
      FROM upload u
     WHERE u.tenant_id = waypost_tenant(%(tenant_id)s) AND u.id = %(upload_id)s
       FOR KEY SHARE  -- whoever deletes it waits, and then takes this chunk along; nobody would find it afterwards
    """
)
_FINISH = Query(
    """
    SELECT finish_upload_v1(
               %(tenant_id)s, %(account_id)s, %(upload_id)s, %(octets)s, %(most_octets)s, %(most_uploads)s) AS count
    """,
    row=_Count,
)
_DROP = Query[None](
    """
    DELETE FROM upload WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND id = %(upload_id)s
    """
)
_FIND = Query(
    """
    SELECT id, coalesce(octets, 0) AS octets, name FROM upload
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND account_id = %(account_id)s
       AND id = ANY (%(upload_ids)s) AND octets IS NOT NULL
    """,
    row=Upload,
)
_READ = Query(
    """
    SELECT chunk, key_id, codec, sealed FROM upload_content
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND upload_id = %(upload_id)s
       AND chunk BETWEEN %(first)s AND %(last)s
     ORDER BY chunk
    """,
    row=_Chunk,
)
_EXPIRE = Query(
    """
    WITH gone AS (
        DELETE FROM upload u
         USING (SELECT tenant_id, id FROM upload WHERE uploaded_at < now() - make_interval(secs => %(kept_s)s)
                 LIMIT %(limit)s) e
         WHERE u.tenant_id = e.tenant_id AND u.id = e.id
        RETURNING 1
    )
    SELECT count(*)::integer AS count FROM gone
    """,
    row=_Count,
    role="waypost_system",
    scans=["upload"],  # what a day brought
)


async def receive(
    database: Database, keys: TenantKeys, account_id: AccountId, pieces: AsyncIterator[bytes], room: UploadRoom
) -> Upload:
    """Keep what comes. Raises StoreUnavailable, and whatever the pieces end with; then nothing is kept."""
    name = os.urandom(DIGEST_OCTETS)
    async with database.read(keys.tenant_id) as connection:
        upload_id = UploadId(
            (await _BEGIN.one(connection, tenant_id=keys.tenant_id, account_id=account_id, name=name)).id
        )
    try:
        octets = await _receive(database, keys, upload_id, name, pieces)
        async with database.read(keys.tenant_id) as connection:
            finished = await _FINISH.one(
                connection,
                tenant_id=keys.tenant_id,
                account_id=account_id,
                upload_id=upload_id,
                octets=octets,
                most_octets=room.octets,
                most_uploads=room.uploads,
            )
    except BaseException:
        await _drop(database, keys, upload_id)
        raise
    if not finished.count:
        raise UploadGone(upload_id)
    return Upload(upload_id, octets, name)


async def find(
    database: Database, keys: TenantKeys, account_id: AccountId, upload_ids: Sequence[UploadId]
) -> dict[UploadId, Upload]:
    """Those that are there; of another account none is."""
    async with database.read(keys.tenant_id) as connection:
        found = await _FIND.all(
            connection, tenant_id=keys.tenant_id, account_id=account_id, upload_ids=list(upload_ids)
        )
    return {UploadId(each.id): each for each in found}


async def read(database: Database, keys: TenantKeys, upload: Upload, offset: int, length: int) -> bytes:
    """Octets of an upload; less than `length` at its end. Raises UploadGone, ContentDamaged, StoreUnavailable."""
    length = max(0, min(length, upload.octets - offset))
    if not length:
        return b""
    wanted = ChunkRange(offset, length)
    async with database.read(keys.tenant_id) as connection:
        rows = await _READ.all(
            connection, tenant_id=keys.tenant_id, upload_id=upload.id, first=wanted.first, last=wanted.last
        )
    if not rows:
        raise UploadGone(upload.id)
    chunks = [NumberedChunk(row.chunk, row.key_id, row.codec, row.sealed) for row in rows]
    return await open_range(keys, BlobDigest(upload.name), upload.octets, chunks, wanted)


async def expire_uploads(database: Database, *, kept_s: float = KEPT_S) -> int:
    """Those of all tenants that came before. Returns how many went."""
    total = 0
    while True:
        async with database.system_single() as connection:
            gone = (await _EXPIRE.one(connection, kept_s=kept_s, limit=EXPIRED_AT_ONCE)).count
        total += gone
        if gone < EXPIRED_AT_ONCE:
            return total


async def _receive(
    database: Database, keys: TenantKeys, upload_id: UploadId, name: bytes, pieces: AsyncIterator[bytes]
) -> int:
    """Returns how many octets came. The last chunk is sealed as such, so it is held back until the end is known."""
    waiting = bytearray()
    chunk = 0
    async for piece in pieces:
        waiting += piece
        while len(waiting) > CHUNK_OCTETS:
            octets = bytes(waiting[:CHUNK_OCTETS])
            del waiting[:CHUNK_OCTETS]
            await _add(database, keys, upload_id, name, chunk, octets, is_last=False)
            chunk += 1
    if waiting:
        await _add(database, keys, upload_id, name, chunk, bytes(waiting), is_last=True)
    return chunk * CHUNK_OCTETS + len(waiting)


async def _add(
    database: Database, keys: TenantKeys, upload_id: UploadId, name: bytes, chunk: int, octets: bytes, *, is_last: bool
) -> None:
    codec, sealed = await maybe_in_thread(len(octets), _seal, keys, name, chunk, is_last, octets)
    async with database.read(keys.tenant_id) as connection:
        added = await _ADD.execute(
            connection,
            tenant_id=keys.tenant_id,
            upload_id=upload_id,
            chunk=chunk,
            key_id=keys.current,
            codec=codec,
            sealed=sealed,
        )
    if not added:
        raise UploadGone(upload_id)


def _seal(keys: TenantKeys, name: bytes, chunk: int, is_last: bool, octets: bytes) -> tuple[int, bytes]:
    codec, packed = compress(octets)
    return codec, keys.seal(BlobDigest(name), chunk, is_last, codec, packed)


async def _drop(database: Database, keys: TenantKeys, upload_id: UploadId) -> None:
    async with database.read(keys.tenant_id) as connection:
        await _DROP.execute(connection, tenant_id=keys.tenant_id, upload_id=upload_id)
