"""zstd for whole pieces of octets, in any thread.

A compressor or decompressor of the library must not be used by two threads at once: it writes over its own memory, and
what comes out is damaged without a word. So each thread has its own.
"""

import threading

import zstandard

from storage.errors import ContentDamaged

LEVEL = 1  # beside 3, on mail: 0.6 of the time, 1.02 of the octets


class _Contexts(threading.local):
    """Made anew for every thread that looks."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True)
        self.decompressor = zstandard.ZstdDecompressor()


_contexts = _Contexts()


def pack(octets: bytes) -> bytes:
    return _contexts.compressor.compress(octets)


def unpack(packed: bytes, *, limit_octets: int) -> bytes:
    """Undo `pack`. Raises ContentDamaged for what cannot be undone, or to more octets than the limit."""
    try:
        if zstandard.frame_content_size(packed) > limit_octets:  # the library believes the frame rather than the limit
            raise ContentDamaged("a zstd frame is longer than anything we write")
        return _contexts.decompressor.decompress(packed, max_output_size=limit_octets)
    except zstandard.ZstdError:
        raise ContentDamaged("a zstd frame does not open") from None
