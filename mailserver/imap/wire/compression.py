"""DEFLATE in both directions of a connection (RFC 4978, RFC 1951), with bounded memory.

A few octets can stand for a thousand times as many. So what comes is kept as it came and inflated a piece at a time, as
the caller takes it up: whoever stops taking it holds no more than he has received.

What is sent ends in a flush, so that the client can read all of it. After a flush the compressor holds nothing but what
makes later octets shorter, and may be thrown away: another one can go on from there.
"""

import zlib

PIECE_OCTETS = 65_536
"""How much is inflated at a time."""
_RAW = -15  # the largest window, without header and checksum: what a client may use
_RAW_SENT = -14
_MEMORY_LEVEL = 7
_LEVEL = 3
"""Together at most 128 KiB while octets are sent, and a seventh more of them than zlib's own choice, twice as fast."""


class CompressedDataInvalid(Exception):
    """What the client sends is no DEFLATE, or goes on after its end."""


class Compression:
    """Both directions from the moment that COMPRESS was answered."""

    __slots__ = ("_compressor", "_decompressor", "_pending")

    def __init__(self) -> None:
        self._decompressor = zlib.decompressobj(_RAW)
        self._compressor: zlib._Compress | None = None
        self._pending = b""

    @property
    def pending_octets(self) -> int:
        """Received, and not yet inflated."""
        return len(self._pending)

    def receive(self, data: bytes) -> None:
        self._pending += data

    def inflate(self) -> bytes:
        """The next octets that the client meant, at most PIECE_OCTETS; none: more must come.

        Raises CompressedDataInvalid.
        """
        if not self._pending:
            return b""
        if self._decompressor.eof:
            raise CompressedDataInvalid
        try:
            octets = self._decompressor.decompress(self._pending, PIECE_OCTETS)
        except zlib.error:
            raise CompressedDataInvalid from None
        self._pending = self._decompressor.unconsumed_tail or self._decompressor.unused_data
        return octets

    def deflate(self, octets: bytes) -> bytes:
        """What to send for these octets, readable to its end."""
        if self._compressor is None:
            self._compressor = _new_compressor()
        return self._compressor.compress(octets) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def rest(self) -> None:
        """Nothing is sent for a while: hold as little as possible."""
        self._compressor = None

    def end(self) -> tuple[bytes, bytes]:
        """The last octets to send, and what was received after the client's own end (RFC 8437 §4.1)."""
        return (self._compressor or _new_compressor()).flush(zlib.Z_FINISH), self._pending


def _new_compressor() -> "zlib._Compress":
    return zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW_SENT, _MEMORY_LEVEL)
