"""The column that keeps a message's header octets, so that header fetches and searches never touch a blob.

A header section longer than HEADER_COLUMN_OCTETS is cut there; the rest stands at the beginning of the message's
blob 0. The first octet says how the others are packed.
"""

from storage import zstd
from storage.errors import ContentDamaged

HEADER_COLUMN_OCTETS = 256 * 1024

_PLAIN = b"\x28"  # how every whole zstd frame begins: what was written before there were dictionaries
_HEADER_1 = b"\x01"  # with the dictionary header-1


def pack_header(header: bytes) -> bytes:
    return _HEADER_1 + zstd.HEADER_1.pack(header)


def unpack_header(packed: bytes) -> bytes:
    """Undo `pack_header`. Raises ContentDamaged for what we cannot have written."""
    form = packed[:1]
    if form == _HEADER_1:
        return zstd.HEADER_1.unpack(packed[1:], limit_octets=HEADER_COLUMN_OCTETS)
    if form == _PLAIN:
        return zstd.unpack(packed, limit_octets=HEADER_COLUMN_OCTETS)
    raise ContentDamaged("a header column is packed in a way that is not known")
