"""Whether the sealed chunks of a blob are the content its digest names. In any thread."""

import hashlib
import hmac

from storage.blobs.codec import CHUNK_OCTETS
from storage.blobs.opening import NumberedChunk, last_chunk, open_chunks
from storage.errors import ContentDamaged
from storage.keys import DIGEST_OCTETS, TenantKeys
from storage.types import BlobDigest


class Examination:
    """Hand it the chunks of one blob in order, then `end`. Both raise ContentDamaged, saying what is wrong."""

    __slots__ = ("_digest", "_keys", "_last", "_next", "_octets", "_opened", "_running", "stored_octets")

    def __init__(self, keys: TenantKeys, digest: BlobDigest, octets: int) -> None:
        self._keys = keys
        self._digest = digest
        self._octets = octets
        self._last = last_chunk(octets)
        self._next = 0
        self._opened = 0
        self._running = hmac.new(keys.naming_key, digestmod=hashlib.sha256)
        self.stored_octets = 0

    def take(self, chunk: NumberedChunk) -> None:
        if chunk.number != self._next:
            raise ContentDamaged(f"chunk {self._next} is missing")
        if chunk.number > self._last:
            raise ContentDamaged("there are chunks after the last")
        opened = open_chunks(self._keys, self._digest, self._octets, [chunk])
        if len(opened) != min(CHUNK_OCTETS, self._octets - chunk.number * CHUNK_OCTETS):
            raise ContentDamaged(f"chunk {chunk.number} holds {len(opened)} octets")
        self._running.update(opened)
        self._opened += len(opened)
        self._next += 1
        self.stored_octets += len(chunk.sealed)

    def end(self) -> None:
        if self._next <= self._last:
            raise ContentDamaged(f"chunk {self._next} is missing")
        if self._running.digest()[:DIGEST_OCTETS] != self._digest:
            raise ContentDamaged("the octets are others than the digest says")


def examine(keys: TenantKeys, digest: BlobDigest, octets: int, chunks: list[NumberedChunk]) -> int:
    """A blob of which all chunks are at hand. Returns how many octets they store; raises ContentDamaged."""
    examination = Examination(keys, digest, octets)
    for chunk in chunks:
        examination.take(chunk)
    examination.end()
    return examination.stored_octets
