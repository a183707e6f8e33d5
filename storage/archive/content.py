"""Content on its way into an archive and out of it: sealed as it rests, opened only to compare it with its name."""

import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path

from storage.archive.files import Archive, ArchiveWriter
from storage.archive.format import KEYS, ArchiveUnusable, BlobHead, key_check
from storage.blobs.codec import CHUNK_OCTETS, decompress
from storage.blobs.hot import put_chunks
from storage.blobs.layout import SealedChunk, cut_chunks, unpack_layout
from storage.blobs.opening import last_chunk
from storage.blobs.ranges import Range, RangeReader, ReadsObjects
from storage.blobs.tiered import object_name
from storage.errors import ColdTierUnavailable, ContentDamaged
from storage.key_files import read_master_keys, read_tenant_key
from storage.keys import DIGEST_OCTETS, KeyRow, TenantKeys, unwrap_tenant_keys
from storage.query import Connection
from storage.types import BlobDigest
from tenants.types import TenantId

Blob = tuple[BlobHead, list[SealedChunk]]

_AT_ONCE = 200
_AT_ONCE_OCTETS = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a blob rests, as a snapshot sees it. `object_id` None: in Postgres, since `content_on`."""

    digest: BlobDigest
    octets: int
    content_on: date
    object_id: int | None
    offset: int | None
    layout: bytes | None
    object_octets: int | None


# Each by its key, whatever Postgres knows of the tables (see `taking`).
_PLACES = """
    SELECT b.digest, b.octets, b.content_on, b.object_id, b.object_offset, b.layout,
           (SELECT o.octets FROM object o WHERE o.tenant_id = %(tenant_id)s AND o.id = b.object_id)
      FROM (SELECT DISTINCT n.digest FROM ({used}) n) d
     CROSS JOIN LATERAL (SELECT * FROM blob f WHERE f.tenant_id = %(tenant_id)s AND f.digest = d.digest OFFSET 0) b
     ORDER BY b.object_id NULLS FIRST, b.object_offset, b.digest
"""
_CHUNKS = """
    SELECT c.digest, c.content_on, c.chunk, c.key_id, c.codec, c.sealed
      FROM blob_content c
     WHERE c.tenant_id = %(tenant_id)s AND c.digest = ANY (%(digests)s)
     ORDER BY c.digest, c.content_on, c.chunk
"""


def check(keys: TenantKeys, digest: BlobDigest, octets: int, chunks: Sequence[SealedChunk]) -> None:
    """Raises ContentDamaged unless the chunks open and are what the digest names."""
    last = last_chunk(octets)
    if len(chunks) != last + 1:
        raise ContentDamaged(f"blob {digest.hex()} has not all of its chunks")
    running = hmac.new(keys.naming_key, digestmod=hashlib.sha256)
    found = 0
    for number, chunk in enumerate(chunks):
        opened = decompress(
            chunk.codec, keys.open(chunk.key_id, digest, number, number == last, chunk.codec, chunk.sealed)
        )
        running.update(opened)
        found += len(opened)
    if found != octets or running.digest()[:DIGEST_OCTETS] != digest:
        raise ContentDamaged(f"blob {digest.hex()} is not what its name says")


def archived_keys(archive: Archive, secrets: Path) -> TenantKeys:
    """Of the rows in the archive, opened with the tenant's key file; it may have keys that were given up since.

    Raises KeyUnusable, and ArchiveUnusable when they are not those that its manifest tells of.
    """
    tenant_id = TenantId(archive.manifest.tenant_id)
    rows = [
        KeyRow(row["id"], row["purpose"], bytes.fromhex(row["wrapped"].removeprefix("\\x")), True)
        for row in archive.rows(KEYS)
    ]
    keys = unwrap_tenant_keys(tenant_id, read_tenant_key(secrets, read_master_keys(secrets), tenant_id), rows)
    if key_check(keys.naming_key) != archive.manifest.key_check:
        raise ArchiveUnusable("its keys are not those that its manifest tells of")
    return keys


def checked(archived: TenantKeys, now: TenantKeys, blob: Blob) -> Blob:
    """What was archived, as it can be kept now: sealed anew if its key is there no more. Raises ArchiveUnusable."""
    head, chunks = blob
    try:
        check(archived, head.digest, head.octets, chunks)
        last = last_chunk(head.octets)
        return head, [
            chunk
            if now.data_keys.get(chunk.key_id) == archived.data_keys[chunk.key_id]
            else SealedChunk(
                now.current,
                chunk.codec,
                now.seal(
                    head.digest, number, number == last, chunk.codec,
                    archived.open(chunk.key_id, head.digest, number, number == last, chunk.codec, chunk.sealed),
                ),
            )
            for number, chunk in enumerate(chunks)
        ]  # fmt: skip
    except ContentDamaged as damage:
        raise ArchiveUnusable(damage.what) from None


class SnapshotContent:
    """Content as a transaction sees it that reads everything at one moment. `objects` None: there is no S3."""

    def __init__(self, connection: Connection, keys: TenantKeys, objects: ReadsObjects | None) -> None:
        self._connection, self._keys = connection, keys
        self._ranges = RangeReader(objects) if objects is not None else None

    async def write(
        self, archive: ArchiveWriter, used: str, values: Mapping[str, object], progress: Callable[[int], None]
    ) -> tuple[int, list[BlobDigest]]:
        """The blobs whose digests the query `used` gives; returns how many, and those without a good copy.

        Raises ColdTierUnavailable.
        """
        damaged: list[BlobDigest] = []
        written = 0
        async for places in self._places(used, values):
            copies = await self._chunks([place.digest for place in places if place.object_id is None])
            for place in places:
                chunks = await self._good(place, copies.get(place.digest, []))
                if chunks is None:
                    damaged.append(place.digest)
                else:
                    archive.write_blob(place.digest, place.octets, chunks)
                    written += 1
            progress(written)
        return written, damaged

    async def _places(self, used: str, values: Mapping[str, object]) -> AsyncIterator[list[_Place]]:
        """A few at a time: what rests in objects in the order of the objects."""
        async with self._connection.cursor(name="waypost_archive", binary=True) as cursor:
            await cursor.execute(_PLACES.format(used=used).encode(), {**values, "tenant_id": self._keys.tenant_id})
            some: list[_Place] = []
            octets = 0
            async for row in cursor:
                place = _Place(BlobDigest(bytes(row[0])), *row[1:])
                some.append(place)
                octets += place.octets
                if len(some) >= _AT_ONCE or octets >= _AT_ONCE_OCTETS:
                    yield some
                    some, octets = [], 0
            yield some

    async def _good(self, place: _Place, copies: list[list[SealedChunk]]) -> list[SealedChunk] | None:
        """The first copy that opens: where the row says it is, then wherever else Postgres has one."""
        if place.object_id is not None:
            try:
                chunks = await self._in_object(place)
                check(self._keys, place.digest, place.octets, chunks)
                return chunks
            except ContentDamaged:
                copies = (await self._chunks([place.digest])).get(place.digest, [])
        for chunks in copies:
            try:
                check(self._keys, place.digest, place.octets, chunks)
            except ContentDamaged:
                continue
            return chunks
        return None

    async def _in_object(self, place: _Place) -> list[SealedChunk]:
        if self._ranges is None:
            raise ColdTierUnavailable("no object store is configured")
        assert place.object_id is not None
        assert place.offset is not None
        assert place.layout is not None
        layout = bytes(place.layout)
        length = sum(part.octets for part in unpack_layout(layout))
        name = object_name(self._keys.tenant_id, place.object_id)
        return cut_chunks(layout, await self._ranges.read(Range(name, place.offset, length, place.object_octets or 0)))

    async def _chunks(self, digests: Sequence[BlobDigest]) -> dict[BlobDigest, list[list[SealedChunk]]]:
        """Every copy that Postgres holds, the newest first."""
        if not digests:
            return {}
        rows = await self._connection.execute(_CHUNKS, {"tenant_id": self._keys.tenant_id, "digests": list(digests)})
        copies: dict[BlobDigest, list[list[SealedChunk]]] = {}
        for (digest, _), group in groupby(await rows.fetchall(), key=lambda row: (bytes(row[0]), row[1])):
            copy = [SealedChunk(key_id, codec, bytes(sealed)) for _, _, _, key_id, codec, sealed in group]
            copies.setdefault(BlobDigest(digest), []).insert(0, copy)
        return copies


# -- and back


async def put_back(connection: Connection, tenant_id: TenantId, blobs: Sequence[Blob]) -> None:
    """In a transaction: claim blobs, and write those that are not here. They are checked already."""
    for head, chunks in sorted(blobs, key=lambda blob: blob[0].digest):
        await put_chunks(connection, tenant_id, head.digest, head.octets, chunks)


def batches(blobs: Iterable[Blob]) -> Iterator[list[Blob]]:
    """As many as one transaction writes."""
    some: list[Blob] = []
    octets = 0
    for head, chunks in blobs:
        some.append((head, chunks))
        octets += min(head.octets, len(chunks) * CHUNK_OCTETS)
        if len(some) >= _AT_ONCE or octets >= _AT_ONCE_OCTETS:
            yield some
            some, octets = [], 0
    if some:
        yield some
