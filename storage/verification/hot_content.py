"""The content that rests in Postgres: every chunk opened, every digest made anew."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from storage.blobs.codec import CHUNK_OCTETS
from storage.errors import ContentDamaged
from storage.keys import TenantKeys
from storage.types import BlobDigest
from storage.verification.blob_rows import BlobRow, Chunks, hot_blobs, hot_chunks
from storage.verification.damaged_blobs import judge
from storage.verification.examination import examine
from storage.verification.ground import Ground
from storage.verification.pace import one_ahead
from storage.verification.single_blob import examine_at
from storage.verification.stored_octets import judge_stored_octets

_PAGE_BLOBS = 1000
_BATCH_OCTETS = 4 * 1024 * 1024
_LAST_CHUNK_NUMBER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Batch:
    """Blobs of one chunk each, with what was found of their chunks."""

    rows: Sequence[BlobRow]
    chunks: Chunks


@dataclass(frozen=True, slots=True)
class _Examined:
    damaged: Sequence[bytes]
    miscounted: Sequence[bytes]


async def verify_hot(ground: Ground, keys: TenantKeys, first: bytes, before: bytes) -> AsyncIterator[bytes]:
    """Hot blobs by digest from `first` to before `before`. Gives, from time to time, where to go on from."""
    while True:
        async with ground.database.read(keys.tenant_id) as connection:
            rows = await hot_blobs(connection, keys.tenant_id, first, before, ground.choice.since, _PAGE_BLOBS)
        if not rows:
            return
        await _verify_short(ground, keys, [row for row in rows if row.octets <= CHUNK_OCTETS])
        for row in rows:
            if row.octets > CHUNK_OCTETS:
                await _verify_long(ground, keys, row)
        first = rows[-1].digest + b"\0"  # the next there can be
        yield first


async def _verify_short(ground: Ground, keys: TenantKeys, rows: Sequence[BlobRow]) -> None:
    async for batch in one_ahead(_batches(ground, keys, rows)):
        examined = await asyncio.to_thread(_examine_batch, keys, batch)
        ground.report.tally.hot_blobs += len(batch.rows)
        for digest in examined.damaged:
            await judge(ground, keys, digest)
        for digest in examined.miscounted:
            await judge_stored_octets(ground, keys, digest)


async def _batches(ground: Ground, keys: TenantKeys, rows: Sequence[BlobRow]) -> AsyncIterator[_Batch]:
    for some in _of_few_octets(rows):
        async with ground.database.read(keys.tenant_id) as connection:
            chunks = await hot_chunks(connection, keys.tenant_id, [row.digest for row in some], 0, _LAST_CHUNK_NUMBER)
        octets = sum(len(chunk.sealed) for found in chunks.values() for chunk in found)
        ground.report.tally.octets += octets
        await ground.pace.spend(octets)
        yield _Batch(some, chunks)


def _of_few_octets(rows: Sequence[BlobRow]) -> Iterator[list[BlobRow]]:
    some: list[BlobRow] = []
    octets = 0
    for row in rows:
        some.append(row)
        octets += row.octets
        if octets >= _BATCH_OCTETS:
            yield some
            some, octets = [], 0
    if some:
        yield some


def _examine_batch(keys: TenantKeys, batch: _Batch) -> _Examined:
    damaged, miscounted = [], []
    for row in batch.rows:
        try:
            stored = examine(keys, BlobDigest(row.digest), row.octets, batch.chunks.get(row.digest, []))
        except ContentDamaged:
            damaged.append(row.digest)
        else:
            if stored != row.stored_octets:
                miscounted.append(row.digest)
    return _Examined(damaged, miscounted)


async def _verify_long(ground: Ground, keys: TenantKeys, row: BlobRow) -> None:
    ground.report.tally.hot_blobs += 1
    try:
        stored = await examine_at(ground, keys, row)
    except ContentDamaged:
        await judge(ground, keys, row.digest)
    else:
        if stored != row.stored_octets:
            await judge_stored_octets(ground, keys, row.digest)
