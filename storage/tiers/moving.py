"""Blobs move into a pack: the row of the object, its octets, a look at what S3 kept, and then the rows of the blobs.

Whatever ends this half way leaves the blobs where they were, and an object that upkeep gives up a day later.
"""

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import psycopg

from storage.blobs import codec
from storage.blobs.codec import CHUNK_OCTETS, Codec
from storage.blobs.layout import SealedChunk
from storage.blobs.objects import ObjectStore
from storage.blobs.opening import NumberedChunk, open_chunks
from storage.blobs.packs import Pack, SealedContent, build_pack
from storage.blobs.tiered import object_name
from storage.database import Database
from storage.errors import ColdTierUnavailable, ContentDamaged
from storage.keys import TenantKeys
from storage.query import Query
from storage.steps import reached
from storage.types import BlobDigest
from tenants.types import TenantId


class ObjectGivenUp(Exception):
    """An object was doomed while its octets were being written, since that took longer than anybody believes."""


PACK = 1
PART = 2


@dataclass(frozen=True, slots=True)
class Source:
    """A blob as it rests now: in the object `object_id`, or in Postgres (None)."""

    content: SealedContent
    object_id: int | None


@dataclass(slots=True)
class Moved:
    """What a run of moving came to; `damaged` could not be opened, or is not what its name says, and stays.

    `is_unfinished`: it ended because as much was moved as was asked for, and there may be more.
    """

    blobs: int = 0
    octets_before: int = 0
    octets: int = 0
    packs: int = 0
    damaged: list[BlobDigest] = field(default_factory=list)
    is_unfinished: bool = False

    def add(self, other: "Moved") -> None:
        self.blobs += other.blobs
        self.octets_before += other.octets_before
        self.octets += other.octets
        self.packs += other.packs
        self.damaged += other.damaged


Progress = Callable[[Moved], None]
"""Told of each pack when it is in its place."""


@dataclass(frozen=True, slots=True)
class _Count:
    blobs: int


_BEGIN = Query[None](
    """
    INSERT INTO object (tenant_id, id, kind, created_at)
    VALUES (waypost_tenant(%(tenant_id)s), %(object_id)s, %(kind)s, now())
    """
)
_MOVE = Query(
    """
    SELECT move_to_object_v1(
        %(tenant_id)s, %(object_id)s, %(sources)s::bigint[], %(digests)s, %(offsets)s, %(layouts)s, %(stored)s,
        %(octets)s, %(sha256)s) AS blobs
    """,
    row=_Count,
)
_GIVE_UP = Query[None](
    """
    UPDATE object SET state = 2, doomed_at = now()
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND id = %(object_id)s AND state = 0
    """
)


async def begin_object(database: Database, tenant_id: TenantId, kind: int) -> int:
    """The id of a new object whose octets may be written now."""
    object_id = secrets.randbits(63)
    async with database.read(tenant_id) as connection:
        await _BEGIN.execute(connection, tenant_id=tenant_id, object_id=object_id, kind=kind)
    return object_id


async def give_up_object(database: Database, tenant_id: TenantId, object_id: int) -> None:
    """Nothing will rest in an object that was begun; one that is in use already stays."""
    async with database.read(tenant_id) as connection:
        await _GIVE_UP.execute(connection, tenant_id=tenant_id, object_id=object_id)


async def move(database: Database, objects: ObjectStore, keys: TenantKeys, sources: Sequence[Source]) -> Moved:
    """Move blobs into one new pack, each opened and compared with its name before.

    Raises ColdTierUnavailable, StoreUnavailable: then they are where they were.
    """
    prepared, damaged = await asyncio.to_thread(_prepared, keys, [source.content for source in sources])
    if not prepared:
        return Moved(damaged=damaged)
    pack = await asyncio.to_thread(build_pack, prepared)
    object_id = await begin_object(database, keys.tenant_id, PACK)
    reached("moving: begun")
    await _write(objects, object_name(keys.tenant_id, object_id), pack)
    reached("moving: written")
    moved = await _flip(database, keys.tenant_id, object_id, pack, {each.content.digest: each for each in sources})
    reached("moving: moved")
    before = {source.content.digest: source.content.stored_octets for source in sources}
    return Moved(
        blobs=moved,
        octets_before=sum(before[blob.digest] for blob in pack.blobs),
        octets=len(pack.octets),
        packs=1,
        damaged=damaged,
    )


async def _write(objects: ObjectStore, name: str, pack: Pack) -> None:
    """Durable, and read back. Raises ColdTierUnavailable, also when what was kept is not what was sent."""
    await objects.put(name, pack.octets)
    reached("moving: uploaded")
    kept = await objects.get(name, 0, len(pack.octets))
    if await asyncio.to_thread(lambda: hashlib.sha256(kept).digest()) != pack.sha256:
        raise ColdTierUnavailable(f"object {name} was not kept as it was sent")


async def _flip(
    database: Database, tenant_id: TenantId, object_id: int, pack: Pack, sources: dict[BlobDigest, Source]
) -> int:
    async def attempt() -> int:
        async with database.read(tenant_id) as connection, _unless_given_up():
            moved = await _MOVE.one(
                connection,
                tenant_id=tenant_id,
                object_id=object_id,
                sources=[sources[blob.digest].object_id for blob in pack.blobs],
                digests=[blob.digest for blob in pack.blobs],
                offsets=[blob.offset for blob in pack.blobs],
                layouts=[blob.layout for blob in pack.blobs],
                stored=[blob.stored_octets for blob in pack.blobs],
                octets=len(pack.octets),
                sha256=pack.sha256,
            )
        return moved.blobs

    try:
        return await database.retried(attempt)
    except ObjectGivenUp:
        return 0


@contextlib.asynccontextmanager
async def _unless_given_up() -> AsyncIterator[None]:
    try:
        yield
    except psycopg.Error as refusal:
        if refusal.sqlstate == "WP010":
            raise ObjectGivenUp from None
        raise


def _prepared(keys: TenantKeys, contents: Sequence[SealedContent]) -> tuple[list[SealedContent], list[BlobDigest]]:
    """Contents as they will rest: compressed better where that saves something, under the current key. In a thread."""
    prepared, damaged = [], []
    for content in contents:
        try:
            prepared.append(_packed_anew(keys, content, verified(keys, content)))
        except ContentDamaged:
            damaged.append(content.digest)
    return prepared, damaged


def verified(keys: TenantKeys, content: SealedContent) -> bytes:
    """The octets of a blob, which are what its name says. Raises ContentDamaged."""
    chunks = [NumberedChunk(number, each.key_id, each.codec, each.sealed) for number, each in enumerate(content.chunks)]
    octets = open_chunks(keys, content.digest, content.octets, chunks)
    if len(octets) != content.octets or keys.long_digest(octets) != content.digest:
        raise ContentDamaged(f"blob {content.digest.hex()} is not what its name says")
    return octets


def _packed_anew(keys: TenantKeys, content: SealedContent, octets: bytes) -> SealedContent:
    """Chunks stay as they are where nothing would be saved and the key is the current one."""
    chunks = [
        old if old.key_id == keys.current and (old.codec == Codec.RAW or len(new.sealed) >= len(old.sealed)) else new
        for old, new in zip(content.chunks, seal_content(keys, content.digest, octets).chunks, strict=True)
    ]
    return SealedContent(content.digest, content.octets, chunks)


def seal_content(keys: TenantKeys, digest: BlobDigest, octets: bytes) -> SealedContent:
    """As it rests in a pack: compressed as well as that pays, under the current key."""
    pieces = [octets[start : start + CHUNK_OCTETS] for start in range(0, len(octets), CHUNK_OCTETS)] or [b""]
    chunks = []
    for number, piece in enumerate(pieces):
        kind, packed = codec.recompress(piece)
        sealed = keys.seal(digest, number, number == len(pieces) - 1, kind, packed)
        chunks.append(SealedChunk(keys.current, kind, sealed))
    return SealedContent(digest, len(octets), chunks)
