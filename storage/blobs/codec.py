"""How octets are packed before they are sealed: raw, or zstd, for a few kilobytes with a dictionary of mail."""

from dataclasses import dataclass
from enum import IntEnum

from storage import zstd
from storage.blobs.base64_runs import fold, unfold
from storage.errors import ContentDamaged
from storage.zstd import Packing

CHUNK_OCTETS = 1024 * 1024  # what is compressed, sealed and read as one
_WORTH_TRYING_OCTETS = 64
_SAMPLE_OCTETS = 16 * 1024
_UNFOLDED_OCTETS = 128 * 1024


class Codec(IntEnum):
    """Stored beside each chunk; numbers are never given out again, and what was written with one is always read."""

    RAW = 0
    ZSTD = 1
    BODY_1 = 2  # with the dictionary body-1
    BASE64_BODY_1 = 3  # the same, and base64 within was decoded first
    BASE64_ZSTD = 4


@dataclass(frozen=True, slots=True)
class _Effort:
    """How short pieces are packed, with the dictionary, and longer ones, where it would take long and gain little."""

    short: Packing
    short_octets: int
    long: Packing


_QUICK = _Effort(zstd.BODY_1.pack, 8 * 1024, zstd.pack)
_THOROUGH = _Effort(zstd.BODY_1.pack_thoroughly, 16 * 1024, zstd.pack_thoroughly)


def compress(octets: bytes) -> tuple[Codec, bytes]:
    """Pack when that saves at least a sixteenth. Long content is tried by its middle first."""
    return _packed(octets, _QUICK)


def recompress(octets: bytes) -> tuple[Codec, bytes]:
    """The same, smaller and three times slower: for what moves to the cold tier. `decompress` undoes both."""
    return _packed(octets, _THOROUGH)


def _packed(octets: bytes, effort: _Effort) -> tuple[Codec, bytes]:
    if len(octets) < _WORTH_TRYING_OCTETS:
        return Codec.RAW, octets
    unfolded = None
    if len(octets) <= _UNFOLDED_OCTETS:
        unfolded = unfold(octets)
    else:
        middle = len(octets) // 2
        sample = octets[middle : middle + _SAMPLE_OCTETS]
        if not _pays(zstd.pack(sample), sample):
            return Codec.RAW, octets
    content = octets if unfolded is None else unfolded
    if len(content) <= effort.short_octets:
        codec, packed = Codec.BODY_1 if unfolded is None else Codec.BASE64_BODY_1, effort.short(content)
    else:
        codec, packed = Codec.ZSTD if unfolded is None else Codec.BASE64_ZSTD, effort.long(content)
    return (codec, packed) if _pays(packed, octets) else (Codec.RAW, octets)


def _pays(packed: bytes, octets: bytes) -> bool:
    return len(packed) <= len(octets) - len(octets) // 16


def decompress(codec: int, packed: bytes, limit_octets: int = CHUNK_OCTETS) -> bytes:
    """Undo `compress` and `recompress`. Raises ContentDamaged for what we cannot have written."""
    match codec:
        case Codec.RAW:
            return packed
        case Codec.ZSTD:
            return zstd.unpack(packed, limit_octets=limit_octets)
        case Codec.BODY_1:
            return zstd.BODY_1.unpack(packed, limit_octets=limit_octets)
        case Codec.BASE64_BODY_1:
            return fold(zstd.BODY_1.unpack(packed, limit_octets=limit_octets), limit_octets=limit_octets)
        case Codec.BASE64_ZSTD:
            return fold(zstd.unpack(packed, limit_octets=limit_octets), limit_octets=limit_octets)
    raise ContentDamaged(f"codec {codec} is not known")
