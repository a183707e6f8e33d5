"""The content that rests in objects: each object read once from its beginning to its end, in long ranges.

Its whole SHA-256 is made on the way where its row knows one, and every blob that rests in it is opened.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from storage.blobs.opening import NumberedChunk
from storage.blobs.tiered import object_name
from storage.errors import ColdTierUnavailable, ContentDamaged, ObjectMissing
from storage.keys import TenantKeys
from storage.types import BlobDigest
from storage.verification.blob_rows import BlobRow, RestingChunk, blobs_in, resting_chunks
from storage.verification.bucket import Bucket
from storage.verification.damaged_blobs import judge
from storage.verification.examination import Examination
from storage.verification.findings import Finding, Kind
from storage.verification.ground import Ground
from storage.verification.lost_objects import judge_missing, still_live
from storage.verification.object_rows import ObjectRow, live_objects
from storage.verification.pace import one_ahead
from storage.verification.single_blob import unreachable
from storage.verification.stored_octets import judge_stored_octets

RANGE_OCTETS = 4 * 1024 * 1024
_PAGE_OBJECTS = 100


@dataclass(slots=True)
class _Reading:
    """An object on its way through memory: `held` are the octets from `start` on that are not done with."""

    keys: TenantKeys
    blobs: Sequence[BlobRow]
    damaged: dict[bytes, None] = field(default_factory=dict)
    miscounted: list[bytes] = field(default_factory=list)
    start: int = 0
    held: bytes = b""
    whole: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    examinations: dict[bytes, Examination] = field(default_factory=dict)
    coming: list[tuple[RestingChunk, BlobRow, bool]] = field(default_factory=list)

    def lay_out(self) -> None:
        """What is to come, by offset; the last chunk of each blob is marked."""
        for row in self.blobs:
            try:
                chunks = resting_chunks(row)
            except ContentDamaged:
                self.damaged[row.digest] = None
                continue
            self.coming += [(chunk, row, chunk.number == len(chunks) - 1) for chunk in chunks]
            if not chunks:
                self.damaged[row.digest] = None
        self.coming.sort(key=lambda each: -each[0].offset)  # taken from the end

    def take(self, octets: bytes) -> None:
        """In any thread."""
        self.whole.update(octets)
        self.held += octets
        end = self.start + len(self.held)
        while self.coming and self.coming[-1][0].end <= end:
            self._examine(*self.coming.pop())
        next_start = min(self.coming[-1][0].offset, end) if self.coming else end
        self.held = self.held[next_start - self.start :]
        self.start = next_start

    def _examine(self, chunk: RestingChunk, row: BlobRow, is_last: bool) -> None:
        if row.digest in self.damaged:
            return
        examination = self.examinations.get(row.digest)
        if examination is None:
            examination = self.examinations[row.digest] = Examination(self.keys, BlobDigest(row.digest), row.octets)
        sealed = self.held[chunk.offset - self.start : chunk.end - self.start]
        try:
            examination.take(NumberedChunk(chunk.number, chunk.key_id, chunk.codec, sealed))
            if is_last:
                examination.end()
        except ContentDamaged:
            self.damaged[row.digest] = None
            return
        if is_last:
            del self.examinations[row.digest]
            if examination.stored_octets != row.stored_octets:
                self.miscounted.append(row.digest)


async def verify_objects(ground: Ground, keys: TenantKeys, first: int, before: int) -> AsyncIterator[int]:
    """What rests in live objects with ids from `first` to before `before`. Gives where to go on from."""
    while True:
        async with ground.database.read(keys.tenant_id) as connection:
            rows = await live_objects(connection, keys.tenant_id, first, before, ground.choice.since, _PAGE_OBJECTS)
        if not rows:
            return
        for row in rows:
            await _verify(ground, keys, row)
            yield row.id + 1
        first = rows[-1].id + 1


async def _verify(ground: Ground, keys: TenantKeys, row: ObjectRow) -> None:
    try:
        if ground.bucket is None:
            raise ColdTierUnavailable("no object store is configured")
        await _verify_in(ground.bucket, ground, keys, row)
    except ColdTierUnavailable as away:
        ground.report.add(unreachable(keys, f"object {row.id:016x}", away))


async def _verify_in(bucket: Bucket, ground: Ground, keys: TenantKeys, row: ObjectRow) -> None:
    """Raises ColdTierUnavailable."""
    name = object_name(keys.tenant_id, row.id)
    async with ground.database.read(keys.tenant_id) as connection:
        reading = _Reading(keys, await blobs_in(connection, keys.tenant_id, row.id))
    reading.lay_out()
    is_cut = False
    try:
        async for octets in one_ahead(_ranges(ground, bucket, name, row.octets)):
            await asyncio.to_thread(reading.take, octets)
    except ObjectMissing:
        await judge_missing(ground, keys, row)
        return
    except ContentDamaged:
        is_cut = True
    ground.report.tally.objects += 1
    ground.report.tally.cold_blobs += len(reading.blobs)
    suspects = dict(reading.damaged)
    suspects.update((each.digest, None) for _, each, _ in reading.coming)
    if (
        not is_cut
        and row.sha256 is not None
        and reading.whole.digest() != row.sha256
        and await still_live(ground, keys, row)
    ):
        values = {"object": f"{row.id:016x}", "octets": row.octets, "blobs": len(suspects)}
        ground.report.add(Finding(Kind.OBJECT_DAMAGED, keys.tenant_id, values))
    if is_cut and await still_live(ground, keys, row):
        facts = await bucket.facts(name)
        values = {"object": f"{row.id:016x}", "counted": row.octets, "found": facts.octets if facts else 0}
        ground.report.add(Finding(Kind.OBJECT_LENGTH, keys.tenant_id, values))
    for digest in suspects:
        await judge(ground, keys, digest)
    for digest in reading.miscounted:
        await judge_stored_octets(ground, keys, digest)


async def _ranges(ground: Ground, bucket: Bucket, name: str, octets: int) -> AsyncIterator[bytes]:
    for offset in range(0, octets, RANGE_OCTETS):
        length = min(RANGE_OCTETS, octets - offset)
        found = await bucket.get(name, offset, length)
        ground.report.tally.octets += length
        await ground.pace.spend(length)
        yield found
