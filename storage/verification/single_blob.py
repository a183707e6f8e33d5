"""One blob by itself, wherever its row says at this moment that it rests: the second look at what seemed damaged."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from storage.blobs.opening import NumberedChunk, last_chunk
from storage.blobs.tiered import object_name
from storage.errors import ColdTierUnavailable, ContentDamaged
from storage.keys import TenantKeys
from storage.types import BlobDigest
from storage.verification.blob_rows import BlobRow, hot_chunks, one_blob, resting_chunks
from storage.verification.examination import Examination
from storage.verification.findings import Finding, Kind
from storage.verification.ground import Ground

CHUNKS_AT_ONCE = 4
_LOOKS = 4  # a blob that is moved each time somebody looks is read often enough


@dataclass(frozen=True, slots=True)
class Damage:
    """A blob that is not whole at the place its row names."""

    row: BlobRow
    reason: str


async def look_again(ground: Ground, keys: TenantKeys, digest: bytes) -> Damage | None:
    """Read the blob anew. None: it is whole, or it is gone.

    It counts as damaged only when its row named the same place before and after. Raises ColdTierUnavailable.
    """
    row = await _row(ground, keys, digest)
    for _ in range(_LOOKS):
        if row is None:
            return None
        try:
            await examine_at(ground, keys, row)
        except ContentDamaged as damage:
            now = await _row(ground, keys, digest)
            if now is not None and is_same_place(now, row):
                return Damage(now, damage.what)
            row = now
        else:
            return None
    return None


def is_same_place(one: BlobRow, other: BlobRow) -> bool:
    return (one.content_on, one.object_id, one.object_offset) == (
        other.content_on,
        other.object_id,
        other.object_offset,
    )


async def examine_at(ground: Ground, keys: TenantKeys, row: BlobRow) -> int:
    """Whole, a few chunks at a time; returns how many octets it stores. Raises ContentDamaged, ColdTierUnavailable."""
    examination = Examination(keys, BlobDigest(row.digest), row.octets)
    chunks = _hot(ground, keys, row) if row.object_id is None else _cold(ground, keys, row)
    async for some in chunks:
        await asyncio.to_thread(_take_all, examination, some)
    examination.end()
    return examination.stored_octets


async def _hot(ground: Ground, keys: TenantKeys, row: BlobRow) -> AsyncIterator[list[NumberedChunk]]:
    for first in range(0, last_chunk(row.octets) + 1, CHUNKS_AT_ONCE):
        async with ground.database.read(keys.tenant_id) as connection:
            found = await hot_chunks(connection, keys.tenant_id, [row.digest], first, first + CHUNKS_AT_ONCE - 1)
        chunks = found.get(row.digest, [])
        await _spend(ground, chunks)
        yield chunks


async def _cold(ground: Ground, keys: TenantKeys, row: BlobRow) -> AsyncIterator[list[NumberedChunk]]:
    if ground.bucket is None:
        raise ColdTierUnavailable("no object store is configured")
    assert row.object_id is not None
    places = resting_chunks(row)
    for at in range(0, len(places), CHUNKS_AT_ONCE):
        some = places[at : at + CHUNKS_AT_ONCE]
        start = some[0].offset
        octets = await ground.bucket.get(object_name(keys.tenant_id, row.object_id), start, some[-1].end - start)
        chunks = [
            NumberedChunk(each.number, each.key_id, each.codec, octets[each.offset - start : each.end - start])
            for each in some
        ]
        await _spend(ground, chunks)
        yield chunks


async def _spend(ground: Ground, chunks: list[NumberedChunk]) -> None:
    octets = sum(len(chunk.sealed) for chunk in chunks)
    ground.report.tally.octets += octets
    await ground.pace.spend(octets)


def _take_all(examination: Examination, chunks: list[NumberedChunk]) -> None:
    for chunk in chunks:
        examination.take(chunk)


async def _row(ground: Ground, keys: TenantKeys, digest: bytes) -> BlobRow | None:
    async with ground.database.read(keys.tenant_id) as connection:
        return await one_blob(connection, keys.tenant_id, digest)


def unreachable(keys: TenantKeys, what: str, reason: ColdTierUnavailable) -> Finding:
    return Finding(Kind.CONTENT_UNREACHABLE, keys.tenant_id, {"what": what, "reason": reason.reason})
