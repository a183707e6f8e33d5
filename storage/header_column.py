"""The column that keeps a message's header octets, so that header fetches and searches never touch a blob.

A header section longer than HEADER_COLUMN_OCTETS is cut there; the rest stands at the beginning of the message's
blob 0.
"""

import zstandard

from storage.errors import ContentDamaged

HEADER_COLUMN_OCTETS = 256 * 1024

_compressor = zstandard.ZstdCompressor(level=3, write_content_size=True, write_checksum=False)
_decompressor = zstandard.ZstdDecompressor()


def pack_header(header: bytes) -> bytes:
    return _compressor.compress(header)


def unpack_header(packed: bytes) -> bytes:
    """Undo `pack_header`. Raises ContentDamaged for what we cannot have written."""
    try:
        return _decompressor.decompress(packed, max_output_size=HEADER_COLUMN_OCTETS)
    except zstandard.ZstdError:
        raise ContentDamaged("a stored header does not open") from None
