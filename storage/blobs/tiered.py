"""Content wherever it rests: in Postgres, or in objects (packs of cold blobs, large parts).

No connection to Postgres is held while S3 is asked. A copy that is damaged or gone is told of, and where Postgres holds
another still, that is read instead.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from storage.blobs.hot import FoundInObject, HotBlobs
from storage.blobs.layout import ChunkPlace, InObject, SealedChunk, unpack_layout
from storage.blobs.opening import ChunkRange, NumberedChunk, open_range
from storage.blobs.ranges import Range, RangeReader, ReadsObjects
from storage.database import Database
from storage.errors import ColdTierUnavailable, ContentDamaged, StorageError
from storage.keys import TenantKeys
from storage.read_notes import ReadNotes
from storage.types import BlobDigest
from tenants.types import TenantId

Damaged = Callable[[TenantId, BlobDigest, ContentDamaged], None]


def object_name(tenant_id: TenantId, object_id: int) -> str:
    """Of an object in the bucket."""
    return f"{tenant_id}/{object_id:016x}"


class Located(Protocol):
    """A row that says where the only blob of a message rests: in an object, if `object_id` is set."""

    @property
    def digest(self) -> bytes | None: ...
    @property
    def object_id(self) -> int | None: ...
    @property
    def object_offset(self) -> int | None: ...
    @property
    def object_octets(self) -> int | None: ...
    @property
    def layout(self) -> bytes | None: ...


class TieredBlobs:
    """One per process. `objects` None: there is no S3, and everything rests in Postgres.

    `on_damage` hears of every copy that was found damaged; it never blocks or raises.
    """

    def __init__(
        self,
        hot: HotBlobs,
        objects: ReadsObjects | None = None,
        *,
        on_damage: Damaged = lambda _tenant, _digest, _damage: None,
    ) -> None:
        self.hot = hot
        self.notes = ReadNotes()
        self._ranges = RangeReader(objects) if objects is not None else None
        self._on_damage = on_damage

    async def read(self, database: Database, keys: TenantKeys, digest: BlobDigest, offset: int, length: int) -> bytes:
        """A range of a blob. Raises ContentDamaged when no copy is whole, ColdTierUnavailable, StoreUnavailable."""
        if length <= 0:
            return b""
        try:
            return await self._read_where_it_rests(database, keys, digest, offset, length)
        except ContentDamaged:
            pass  # it changed on its way, or the blob moved meanwhile: a second look tells
        try:
            return await self._read_where_it_rests(database, keys, digest, offset, length)
        except ContentDamaged as damage:
            self._on_damage(keys.tenant_id, digest, damage)
            async with database.read(keys.tenant_id) as connection:
                spare = await self.hot.read_spare(connection, keys, digest, offset, length)
            if spare is None:
                raise
            return spare

    async def _read_where_it_rests(
        self, database: Database, keys: TenantKeys, digest: BlobDigest, offset: int, length: int
    ) -> bytes:
        async with database.read(keys.tenant_id) as connection:
            found = await self.hot.read(connection, keys, digest, offset, length)
        if isinstance(found, bytes):
            return found
        try:
            return await self._read_in_object(keys, digest, found, ChunkRange(offset, length))
        except ContentDamaged:
            if self._ranges is not None:
                self._ranges.forget(object_name(keys.tenant_id, found.place.object_id))
            raise

    async def _read_in_object(
        self, keys: TenantKeys, digest: BlobDigest, found: FoundInObject, wanted: ChunkRange
    ) -> bytes:
        if self._ranges is None:
            raise ColdTierUnavailable("no object store is configured")
        chunks = unpack_layout(found.place.layout)
        if wanted.last >= len(chunks):
            raise ContentDamaged(f"blob {digest.hex()} has not all of its chunks")
        first, last = chunks[wanted.first], chunks[wanted.last]
        sealed = await self._ranges.read(
            _range(keys.tenant_id, found.place, first.offset, last.offset + last.octets - first.offset)
        )
        numbered = [
            NumberedChunk(number, chunk.key_id, chunk.codec, sealed[chunk.offset - first.offset :][: chunk.octets])
            for number, chunk in enumerate(chunks[wanted.first : wanted.last + 1], wanted.first)
        ]
        return await open_range(keys, digest, found.octets, numbered, wanted)

    async def fetch_for(
        self, tenant_id: TenantId, rows: Iterable[Located]
    ) -> Mapping[bytes, SealedChunk | StorageError]:
        """By digest, the sealed chunks of blobs of one chunk that rest in objects, or why they cannot be had."""
        cold = {
            row.digest: InObject(row.object_id, row.object_octets or 0, row.object_offset or 0, row.layout or b"")
            for row in rows
            if row.digest is not None and row.object_id is not None
        }
        if not cold:
            return {}
        if self._ranges is None:
            return dict.fromkeys(cold, ColdTierUnavailable("no object store is configured"))
        chunks = {digest: _only_chunk(digest, place) for digest, place in cold.items()}
        good = {digest: chunk for digest, chunk in chunks.items() if isinstance(chunk, ChunkPlace)}
        octets = await self._ranges.read_many(
            [_range(tenant_id, cold[digest], 0, chunk.octets) for digest, chunk in good.items()]
        )
        read = {
            digest: found if isinstance(found, StorageError) else SealedChunk(chunk.key_id, chunk.codec, found)
            for (digest, chunk), found in zip(good.items(), octets, strict=True)
        }
        damaged = {digest: chunk for digest, chunk in chunks.items() if isinstance(chunk, ContentDamaged)}
        return {**read, **damaged}


def _only_chunk(digest: bytes, place: InObject) -> ChunkPlace | ContentDamaged:
    try:
        chunks = unpack_layout(place.layout)
    except ContentDamaged as damage:
        return damage
    return chunks[0] if len(chunks) == 1 else ContentDamaged(f"blob {digest.hex()} is not one chunk")


def _range(tenant_id: TenantId, place: InObject, offset: int, length: int) -> Range:
    return Range(object_name(tenant_id, place.object_id), place.offset + offset, length, place.object_octets)
