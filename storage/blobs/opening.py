"""Sealed chunks become the octets they hold."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from storage.blobs.codec import CHUNK_OCTETS, decompress
from storage.errors import ContentDamaged
from storage.keys import TenantKeys
from storage.types import BlobDigest

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_IN_A_THREAD_OCTETS = 256 * 1024  # packing and sealing more than this takes a millisecond or more


@dataclass(frozen=True, slots=True)
class ChunkRange:
    """Octets wanted of a blob, and the numbers of the chunks that hold them. `length` is more than none."""

    offset: int
    length: int

    @property
    def first(self) -> int:
        return self.offset // CHUNK_OCTETS

    @property
    def last(self) -> int:
        return (self.offset + self.length - 1) // CHUNK_OCTETS


@dataclass(frozen=True, slots=True)
class NumberedChunk:
    number: int
    key_id: int
    codec: int
    sealed: bytes


async def open_range(
    keys: TenantKeys, digest: BlobDigest, blob_octets: int, chunks: Sequence[NumberedChunk], wanted: ChunkRange
) -> bytes:
    """The wanted octets out of the chunks that hold them. Raises ContentDamaged when one is missing, cut or altered."""
    if [chunk.number for chunk in chunks] != list(range(wanted.first, wanted.last + 1)):
        raise ContentDamaged(f"blob {digest.hex()} has not all of its chunks")
    opened = await maybe_in_thread(wanted.length, open_chunks, keys, digest, blob_octets, chunks)
    start = wanted.offset - wanted.first * CHUNK_OCTETS
    if len(opened) < start + wanted.length:
        raise ContentDamaged(f"blob {digest.hex()} is cut")
    return opened[start : start + wanted.length]


def open_chunks(keys: TenantKeys, digest: BlobDigest, blob_octets: int, chunks: Sequence[NumberedChunk]) -> bytes:
    """Chunks that follow each other, opened. In any thread."""
    last = last_chunk(blob_octets)
    opened = [
        decompress(
            chunk.codec,
            keys.open(chunk.key_id, digest, chunk.number, chunk.number == last, chunk.codec, chunk.sealed),
        )
        for chunk in chunks
    ]
    return opened[0] if len(opened) == 1 else b"".join(opened)


def last_chunk(blob_octets: int) -> int:
    """The number of a blob's last chunk."""
    return max(0, (blob_octets - 1) // CHUNK_OCTETS)


async def maybe_in_thread(
    octets: int, work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """Long packing must not hold up the loop; short packing must not pay for a thread."""
    if octets > _IN_A_THREAD_OCTETS:
        return await asyncio.to_thread(work, *arguments, **named)
    return work(*arguments, **named)
