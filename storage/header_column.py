"""The column that keeps a message's header octets, so that header fetches and searches never touch a blob.

A header section longer than HEADER_COLUMN_OCTETS is cut there; the rest stands at the beginning of the message's
blob 0.
"""

from storage import zstd

HEADER_COLUMN_OCTETS = 256 * 1024


def pack_header(header: bytes) -> bytes:
    return zstd.pack(header)


def unpack_header(packed: bytes) -> bytes:
    """Undo `pack_header`. Raises ContentDamaged for what we cannot have written."""
    return zstd.unpack(packed, limit_octets=HEADER_COLUMN_OCTETS)
