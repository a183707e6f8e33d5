"""Content wherever it rests: in Postgres, or in objects (packs of cold blobs, large parts).

No connection to Postgres is held while S3 is asked. A copy in an object that is damaged or gone is told of, and where
Postgres holds one still, that is read instead.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from storage.blobs.hot import FoundInObject, HotBlobs
from storage.blobs.layout import InObject, SealedChunk, unpack_layout
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


@dataclass(frozen=True, slots=True)
class WholeBlob:
    """A blob of one chunk that rests in an object."""

    digest: BlobDigest
    place: InObject


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
        async with database.read(keys.tenant_id) as connection:
            found = await self.hot.read(connection, keys, digest, offset, length)
        if isinstance(found, bytes):
            return found
        try:
            return await self._read_in_object(keys, digest, found, ChunkRange(offset, length))
        except ContentDamaged as damage:
            self._on_damage(keys.tenant_id, digest, damage)
            async with database.read(keys.tenant_id) as connection:
                spare = await self.hot.read_spare(connection, keys, digest, offset, length)
            if spare is None:
                raise
            return spare

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

    async def fetch(self, tenant_id: TenantId, blobs: Sequence[WholeBlob]) -> list[SealedChunk | StorageError]:
        """The sealed chunks of blobs of one chunk each, or why they cannot be had, in the order asked."""
        if self._ranges is None:
            return [ColdTierUnavailable("no object store is configured")] * len(blobs)
        ranges = []
        places = []
        for blob in blobs:
            chunks = unpack_layout(blob.place.layout)
            place = chunks[0] if len(chunks) == 1 else None
            places.append(place)
            ranges.append(_range(tenant_id, blob.place, 0, place.octets if place else 0))
        found = await self._ranges.read_many(ranges)
        return [
            ContentDamaged(f"blob {blob.digest.hex()} is not one chunk")
            if place is None
            else octets
            if isinstance(octets, StorageError)
            else SealedChunk(place.key_id, place.codec, octets)
            for blob, place, octets in zip(blobs, places, found, strict=True)
        ]


def _range(tenant_id: TenantId, place: InObject, offset: int, length: int) -> Range:
    return Range(object_name(tenant_id, place.object_id), place.offset + offset, length, place.object_octets)
