"""How octets are packed before they are sealed: raw, or zstd."""

from enum import IntEnum

from storage import zstd
from storage.errors import ContentDamaged

CHUNK_OCTETS = 1024 * 1024  # what is compressed, sealed and read as one
_WORTH_TRYING_OCTETS = 64
_SAMPLE_OCTETS = 16 * 1024


class Codec(IntEnum):
    """Stored beside each chunk; numbers are never given out again."""

    RAW = 0
    ZSTD = 1


def compress(octets: bytes) -> tuple[Codec, bytes]:
    """Pack with zstd when that saves at least a sixteenth. Long content is tried by its beginning first."""
    if len(octets) < _WORTH_TRYING_OCTETS:
        return Codec.RAW, octets
    if len(octets) > 4 * _SAMPLE_OCTETS:
        middle = len(octets) // 2
        sample = octets[middle : middle + _SAMPLE_OCTETS]
        if len(zstd.pack(sample)) > len(sample) - len(sample) // 16:
            return Codec.RAW, octets
    packed = zstd.pack(octets)
    if len(packed) > len(octets) - len(octets) // 16:
        return Codec.RAW, octets
    return Codec.ZSTD, packed


def decompress(codec: int, packed: bytes, limit_octets: int = CHUNK_OCTETS) -> bytes:
    """Undo `compress`. Raises ContentDamaged for what we cannot have written."""
    if codec == Codec.RAW:
        return packed
    if codec != Codec.ZSTD:
        raise ContentDamaged(f"codec {codec} is not known")
    return zstd.unpack(packed, limit_octets=limit_octets)
