"""Where the chunks of a blob are inside an object (pure).

A layout is 9 octets for each chunk, in order: key id, codec, sealed octets. The chunks stand one after the other.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from storage.errors import ContentDamaged

_CHUNK = struct.Struct(">IBI")
CHUNK_PLACE_OCTETS = _CHUNK.size


@dataclass(frozen=True, slots=True)
class SealedChunk:
    """One chunk as it rests, in Postgres and in objects alike."""

    key_id: int
    codec: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class ChunkPlace:
    """`offset` counts from the beginning of the blob in its object."""

    key_id: int
    codec: int
    offset: int
    octets: int


@dataclass(frozen=True, slots=True)
class InObject:
    """Where a blob rests: in which object, which is so long, from which octet on."""

    object_id: int
    object_octets: int
    offset: int
    layout: bytes


def pack_layout(chunks: Iterable[SealedChunk]) -> bytes:
    return b"".join(pack_place(each.key_id, each.codec, len(each.sealed)) for each in chunks)


def pack_place(key_id: int, codec: int, sealed_octets: int) -> bytes:
    """One chunk of a layout."""
    return _CHUNK.pack(key_id, codec, sealed_octets)


def unpack_layout(layout: bytes) -> list[ChunkPlace]:
    """Raises ContentDamaged for what is no layout."""
    if len(layout) % _CHUNK.size:
        raise ContentDamaged("a blob's layout is cut")
    places = []
    offset = 0
    for key_id, codec, octets in _CHUNK.iter_unpack(layout):
        places.append(ChunkPlace(key_id, codec, offset, octets))
        offset += octets
    return places


def cut_chunks(layout: bytes, octets: bytes, begin: int = 0) -> list[SealedChunk]:
    """The chunks of a blob whose first octet is at `begin`; those that are not there whole do not open.

    Raises ContentDamaged for what is no layout.
    """
    return [
        SealedChunk(place.key_id, place.codec, octets[begin + place.offset :][: place.octets])
        for place in unpack_layout(layout)
    ]
