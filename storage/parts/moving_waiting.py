"""Large parts that waited in Postgres while S3 was away go to objects of their own, each opened and compared with its
name on the way. The rows in Postgres stay until their week is dropped.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from storage.blobs.layout import pack_place
from storage.blobs.objects import ObjectStore
from storage.blobs.opening import NumberedChunk, last_chunk
from storage.blobs.tiered import object_name
from storage.database import Database
from storage.errors import ColdTierUnavailable, ContentDamaged, KeyUnusable
from storage.keys import KeyRing, TenantKeys
from storage.leases import leased
from storage.parts.uploading import Uploaded, forget
from storage.query import Query
from storage.steps import reached
from storage.tiers.moving import PART, begin_object
from storage.types import BlobDigest
from storage.verification.examination import Examination
from tenants.types import TenantId

WORK = "parts"
"""The name of its lease."""
AT_ONCE = 200
_CHUNK_TIMEOUT_S = 120.0


@dataclass(slots=True)
class MovedParts:
    """What a run came to; `damaged` stay where they are and wait no more. Keys of `keyless` tenants cannot be used."""

    parts: int = 0
    octets: int = 0
    damaged: list[tuple[TenantId, BlobDigest]] = field(default_factory=list)
    keyless: list[TenantId] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Waiting:
    tenant_id: int
    digest: bytes
    octets: int
    content_on: date


@dataclass(frozen=True, slots=True)
class _Sealed:
    key_id: int
    codec: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class _IsMoved:
    is_moved: bool


_WAITING = Query(
    """
    SELECT tenant_id, digest, octets, content_on FROM blob
     WHERE is_waiting AND object_id IS NULL AND (tenant_id, digest) > (%(tenant_id)s, %(digest)s)
     ORDER BY tenant_id, digest LIMIT %(limit)s
    """,
    row=_Waiting,
    role="waypost_system",
)
_READ_CHUNK = Query(
    """
    SELECT key_id, codec, sealed FROM blob_content
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND digest = %(digest)s AND chunk = %(chunk)s
       AND content_on = %(content_on)s
    """,
    row=_Sealed,
)
_WAIT_NO_MORE = Query[None](
    """
    UPDATE blob SET is_waiting = false
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND digest = %(digest)s AND content_on = %(content_on)s
       AND is_waiting AND object_id IS NULL
    """
)
_MOVE = Query(
    """
    SELECT move_part_v1(
        %(tenant_id)s, %(digest)s, %(object_id)s, %(layout)s, %(stored_octets)s, %(sha256)s) AS is_moved
    """,
    row=_IsMoved,
)


async def move_waiting(database: Database, objects: ObjectStore, keys: KeyRing) -> MovedParts:
    """All that wait, of all tenants. Raises ColdTierUnavailable, StoreUnavailable; what was moved stays moved.

    A tenant whose parts another process moves is left to it.
    """
    moved = MovedParts()
    after: tuple[int, bytes] = (0, b"")
    while True:
        async with database.system_single() as connection:
            found = await _WAITING.all(connection, tenant_id=after[0], digest=after[1], limit=AT_ONCE)
        if not found:
            return moved
        after = (found[-1].tenant_id, found[-1].digest)
        for tenant_id in sorted({each.tenant_id for each in found}):
            own = [each for each in found if each.tenant_id == tenant_id]
            try:
                tenant_keys = await keys.of(TenantId(tenant_id))
            except KeyUnusable:
                moved.keyless.append(TenantId(tenant_id))
                continue
            await _move_of_tenant(database, objects, tenant_keys, own, moved)


async def _move_of_tenant(
    database: Database, objects: ObjectStore, keys: TenantKeys, parts: Sequence[_Waiting], moved: MovedParts
) -> None:
    async with leased(database, keys.tenant_id, WORK) as lease:
        for part in parts:
            if lease is None or not await lease.renew():
                return
            try:
                uploaded = await _upload(database, objects, keys, part)
            except ContentDamaged:
                if await _wait_no_more(database, keys.tenant_id, part):
                    moved.damaged.append((keys.tenant_id, BlobDigest(part.digest)))
                continue
            reached("waiting parts: uploaded")
            if await _move(database, keys, part, uploaded):
                moved.parts += 1
                moved.octets += uploaded.octets


async def _upload(database: Database, objects: ObjectStore, keys: TenantKeys, part: _Waiting) -> Uploaded:
    """Raises ContentDamaged when it does not open, is gone, or is not what its name says."""
    object_id = await begin_object(database, keys.tenant_id, PART)
    reached("waiting parts: begun")
    loop = asyncio.get_running_loop()

    def chunk(number: int) -> _Sealed | None:
        """Called in the thread that uploads."""
        reading = asyncio.run_coroutine_threadsafe(_read_chunk(database, keys.tenant_id, part, number), loop)
        return reading.result(_CHUNK_TIMEOUT_S)

    pieces = _VerifiedPieces(keys, part, chunk)
    name = object_name(keys.tenant_id, object_id)
    try:
        await objects.put_pieces(name, pieces, None)
        facts = await objects.facts(name)
        if facts is None or facts.octets != pieces.octets:
            raise ColdTierUnavailable(f"object {name} was not kept as it was sent")
    except (ColdTierUnavailable, ContentDamaged):
        await forget(database, keys.tenant_id, object_id)
        raise
    return Uploaded(object_id, pieces.layout, pieces.octets, pieces.sha256.digest())


async def _read_chunk(database: Database, tenant_id: TenantId, part: _Waiting, number: int) -> _Sealed | None:
    async with database.read(tenant_id) as connection:
        return await _READ_CHUNK.first(
            connection, tenant_id=tenant_id, digest=part.digest, chunk=number, content_on=part.content_on
        )


async def _wait_no_more(database: Database, tenant_id: TenantId, part: _Waiting) -> bool:
    """False if it is not there any more: then it was not damaged, but collected or moved while it was read."""
    async with database.read(tenant_id) as connection:
        return bool(
            await _WAIT_NO_MORE.execute(connection, tenant_id=tenant_id, digest=part.digest, content_on=part.content_on)
        )


class _VerifiedPieces:
    """The sealed chunks of a part as they rest, each opened; the last one comes only if all are what the name says."""

    def __init__(self, keys: TenantKeys, part: _Waiting, chunk: Callable[[int], _Sealed | None]) -> None:
        self._keys = keys
        self._part = part
        self._chunk = chunk
        self.layout = b""
        self.octets = 0
        self.sha256 = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        digest = BlobDigest(self._part.digest)
        examination = Examination(self._keys, digest, self._part.octets)
        last = last_chunk(self._part.octets)
        for number in range(last + 1):
            row = self._chunk(number)
            if row is None:
                raise ContentDamaged(f"blob {digest.hex()} has not all of its chunks")
            examination.take(NumberedChunk(number, row.key_id, row.codec, row.sealed))
            if number == last:
                examination.end()
            self.layout += pack_place(row.key_id, row.codec, len(row.sealed))
            self.octets += len(row.sealed)
            self.sha256.update(row.sealed)
            yield row.sealed


async def _move(database: Database, keys: TenantKeys, part: _Waiting, uploaded: Uploaded) -> bool:
    async def attempt() -> bool:
        async with database.read(keys.tenant_id) as connection:
            row = await _MOVE.one(
                connection,
                tenant_id=keys.tenant_id,
                digest=part.digest,
                object_id=uploaded.object_id,
                layout=uploaded.layout,
                stored_octets=uploaded.octets,
                sha256=uploaded.sha256,
            )
        return row.is_moved

    return await database.retried(attempt)
