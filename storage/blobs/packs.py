"""Packs: immutable objects in which the sealed blobs of one tenant rest side by side (pure).

    magic, 8 octets
    the chunks of the first blob, those of the second, …
    the index: for each blob its digest, offset, length, number of chunks, and layout
    the trailer: SHA-256 of the index, its length, the number of blobs, magic

Reading a blob needs only its row in Postgres. The index is for whoever has a pack and no rows.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from storage.blobs.layout import CHUNK_PLACE_OCTETS, SealedChunk, pack_layout, unpack_layout
from storage.errors import ContentDamaged
from storage.types import BlobDigest

TARGET_OCTETS = 16 * 1024 * 1024
"""How long a pack is made, about: it ends with the blob that passes this."""

_BEGINNING = b"WPPACK\x00\x01"
_END = b"WPPACKED"
_ENTRY = struct.Struct(">20sQQI")
_TRAILER = struct.Struct(">32sIQ8s")


@dataclass(frozen=True, slots=True)
class SealedContent:
    """A blob as it rests. `octets` is how long it is when opened."""

    digest: BlobDigest
    octets: int
    chunks: Sequence[SealedChunk]

    @property
    def stored_octets(self) -> int:
        return sum(len(chunk.sealed) for chunk in self.chunks)


@dataclass(frozen=True, slots=True)
class PackedBlob:
    """Where a blob came to stand in its pack."""

    digest: BlobDigest
    octets: int
    offset: int
    layout: bytes
    stored_octets: int


@dataclass(frozen=True, slots=True)
class Pack:
    octets: bytes
    blobs: Sequence[PackedBlob]
    sha256: bytes


def build_pack(contents: Sequence[SealedContent]) -> Pack:
    pieces = [_BEGINNING]
    offset = len(_BEGINNING)
    blobs = []
    for content in contents:
        stored = content.stored_octets
        blobs.append(PackedBlob(content.digest, content.octets, offset, pack_layout(content.chunks), stored))
        pieces += [chunk.sealed for chunk in content.chunks]
        offset += stored
    index = b"".join(
        _ENTRY.pack(blob.digest, blob.offset, blob.octets, len(blob.layout) // CHUNK_PLACE_OCTETS) + blob.layout
        for blob in blobs
    )
    pieces += [index, _TRAILER.pack(hashlib.sha256(index).digest(), len(index), len(blobs), _END)]
    octets = b"".join(pieces)
    return Pack(octets, blobs, hashlib.sha256(octets).digest())


def read_index(octets: bytes) -> list[PackedBlob]:
    """What a pack holds, by itself. Raises ContentDamaged."""
    if not octets.startswith(_BEGINNING) or not octets.endswith(_END) or len(octets) < _TRAILER.size:
        raise ContentDamaged("this is no pack")
    digest, length, count, _ = _TRAILER.unpack(octets[-_TRAILER.size :])
    index = octets[-_TRAILER.size - length : -_TRAILER.size]
    if len(index) != length or hashlib.sha256(index).digest() != digest:
        raise ContentDamaged("the index of a pack is damaged")
    blobs = []
    at = 0
    while at < len(index):
        name, offset, blob_octets, chunks = _ENTRY.unpack_from(index, at)
        at += _ENTRY.size
        layout = index[at : at + chunks * CHUNK_PLACE_OCTETS]
        at += len(layout)
        stored = sum(place.octets for place in unpack_layout(layout))
        blobs.append(PackedBlob(BlobDigest(name), blob_octets, offset, layout, stored))
    if len(blobs) != count:
        raise ContentDamaged("the index of a pack holds more or fewer blobs than it says")
    return blobs
