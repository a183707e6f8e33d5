"""zstd for whole pieces of octets, in any thread.

A compressor or decompressor of the library must not be used by two threads at once: it writes over its own memory, and
what comes out is damaged without a word. So each thread has its own. Dictionaries are only read, and shared.
"""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import zstandard

from storage.errors import ContentDamaged

Packing = Callable[[bytes], bytes]

LEVEL = 1  # beside 3, on mail: 0.6 of the time, 1.02 of the octets
THOROUGH_LEVEL = 6

_DICTIONARIES = Path(__file__).with_name("dictionaries")
_MAGIC = b"\x28\xb5\x2f\xfd"


class _Contexts(threading.local):
    """Made anew for every thread that looks."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True)
        self.thorough = zstandard.ZstdCompressor(level=THOROUGH_LEVEL, write_content_size=True)
        self.decompressor = zstandard.ZstdDecompressor()


_contexts = _Contexts()


def pack(octets: bytes) -> bytes:
    return _contexts.compressor.compress(octets)


def pack_thoroughly(octets: bytes) -> bytes:
    """Smaller, and slower; `unpack` undoes it."""
    return _contexts.thorough.compress(octets)


def unpack(packed: bytes, *, limit_octets: int) -> bytes:
    """Undo `pack`. Raises ContentDamaged for what cannot be undone, or to more octets than the limit."""
    return _unpack(_contexts.decompressor, packed, limit_octets)


def _unpack(decompressor: zstandard.ZstdDecompressor, frame: bytes, limit_octets: int) -> bytes:
    try:
        if zstandard.frame_content_size(frame) > limit_octets:  # the library believes the frame rather than the limit
            raise ContentDamaged("a zstd frame is longer than anything we write")
        return decompressor.decompress(frame, max_output_size=limit_octets)
    except zstandard.ZstdError:
        raise ContentDamaged("a zstd frame does not open") from None


class _DictionaryContexts(threading.local):
    def __init__(self, quick: zstandard.ZstdCompressionDict, thorough: zstandard.ZstdCompressionDict) -> None:
        self.quick = zstandard.ZstdCompressor(dict_data=quick, write_content_size=True, write_dict_id=False)
        self.thorough = zstandard.ZstdCompressor(dict_data=thorough, write_content_size=True, write_dict_id=False)
        self.decompressor = zstandard.ZstdDecompressor(dict_data=quick)


class Dictionary:
    """zstd with one of the dictionaries that ship with Waypost (`dictionaries/README.md`).

    Frames are kept without their first four octets, which never differ, and without the number of the dictionary:
    whoever keeps a frame notes beside it what it was packed with. A few kilobytes gain most.
    """

    def __init__(
        self,
        name: str,
        sha256: str,
        *,
        quick: zstandard.ZstdCompressionParameters,
        thorough: zstandard.ZstdCompressionParameters,
    ) -> None:
        octets = (_DICTIONARIES / name).read_bytes()
        if hashlib.sha256(octets).hexdigest() != sha256:
            raise RuntimeError(f"storage/dictionaries/{name} was altered: what was packed with it would not open")
        self._contexts = _DictionaryContexts(_prepared(octets, quick), _prepared(octets, thorough))

    def pack(self, octets: bytes) -> bytes:
        return self._contexts.quick.compress(octets)[4:]

    def pack_thoroughly(self, octets: bytes) -> bytes:
        return self._contexts.thorough.compress(octets)[4:]

    def unpack(self, packed: bytes, *, limit_octets: int) -> bytes:
        """Undo either. Raises ContentDamaged for what cannot be undone, or to more octets than the limit."""
        return _unpack(self._contexts.decompressor, _MAGIC + packed, limit_octets)

    def opener(self, *, limit_octets: int) -> Callable[[bytes], bytes]:
        """`unpack` for this thread alone, a quarter faster: for those who open by the ten thousand."""
        decompress, size = self._contexts.decompressor.decompress, zstandard.frame_content_size

        def unpack(packed: bytes) -> bytes:
            frame = _MAGIC + packed
            try:
                if size(frame) <= limit_octets:
                    return decompress(frame, limit_octets)
            except zstandard.ZstdError:
                raise ContentDamaged("a zstd frame does not open") from None
            raise ContentDamaged("a zstd frame is longer than anything we write")

        return unpack


def _prepared(octets: bytes, parameters: zstandard.ZstdCompressionParameters) -> zstandard.ZstdCompressionDict:
    dictionary = zstandard.ZstdCompressionDict(octets)
    dictionary.precompute_compress(compression_params=parameters)
    return dictionary


def _parameters(strategy: int, *, min_match: int, search_log: int = 1) -> zstandard.ZstdCompressionParameters:
    """Of the library's levels none suits a few kilobytes with a dictionary of 32: they look for too long matches, or in
    a window that does not reach the dictionary."""
    return zstandard.ZstdCompressionParameters(
        window_log=17,
        chain_log=15,
        hash_log=15,
        search_log=search_log,
        min_match=min_match,
        target_length=0,
        strategy=strategy,
    )


HEADER_1 = Dictionary(
    "header-1.zdict",
    "6d95b9510176e2ba26b3a8cf2fc7aa59d0aa428d841b6b3c11d43f3363c1daa3",
    quick=_parameters(zstandard.STRATEGY_GREEDY, min_match=4),
    thorough=_parameters(zstandard.STRATEGY_LAZY2, min_match=4, search_log=4),
)
WIRE_1 = Dictionary(
    "wire-1.zdict",
    "26c859fa90456c60d170e32b896de07ba5684468fd079ea278e13928a08c163f",
    quick=_parameters(zstandard.STRATEGY_DFAST, min_match=4),
    thorough=_parameters(zstandard.STRATEGY_LAZY2, min_match=4, search_log=4),
)
BODY_1 = Dictionary(
    "body-1.zdict",
    "664f645b249e8d541ac750e5d8aac79c2b42e2e3d03b417c410b5256e19d8296",
    quick=_parameters(zstandard.STRATEGY_FAST, min_match=5),
    thorough=_parameters(zstandard.STRATEGY_LAZY, min_match=4, search_log=2),
)
