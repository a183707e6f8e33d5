"""base64 within a piece of mail, kept decoded where it encodes again to the same octets (pure).

zstd finds nothing in base64: the same text stands differently at each of three offsets. Decoded, Chinese text, most of
which travels in base64, packs to half of that; and what no packing helps is a quarter shorter. Large parts are decoded
before they come here (mailserver/services/ingest.py); this is for the small ones, which rest with the text around them.

An unfolded piece: the number of runs (1 octet), for each run how many octets lie between it and the last one, how many
it decodes to (4 octets each, big-endian), and a quarter of its columns (1 octet); then the octets, runs decoded.
"""

import struct
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Iterator

from storage.errors import ContentDamaged

_RUN = struct.Struct(">IIB")
_MOST_RUNS = 255
_MOST_COLUMNS = 4 * 255
_PREAMBLE_OCTETS = 1024
_LEAST_OCTETS = 64  # encoded; a shorter run would not pay for its entry
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="


def unfold(octets: bytes) -> bytes | None:
    """None: there is no base64 in it that comes out the same."""
    entries: list[bytes] = []
    pieces: list[bytes] = []
    at = 0
    for start in _candidates(octets):
        if start < at:
            continue
        found = _decoded(octets, start)
        if found is None:
            continue
        decoded, columns, end = found
        entries.append(_RUN.pack(start - at, len(decoded), columns // 4))
        pieces += octets[at:start], decoded
        at = end
        if len(entries) == _MOST_RUNS:
            break
    if not entries:
        return None
    return b"".join((bytes((len(entries),)), *entries, *pieces, octets[at:]))


def fold(unfolded: bytes, *, limit_octets: int) -> bytes:
    """Undo `unfold`. Raises ContentDamaged for what it did not make, or for more octets than the limit."""
    at = 1 + unfolded[0] * _RUN.size if unfolded else 0
    if not 1 < at <= len(unfolded):
        raise ContentDamaged("the runs of an unfolded piece are not in it")
    pieces: list[bytes] = []
    for between, decoded, quarter in _RUN.iter_unpack(unfolded[1:at]):
        end = at + between + decoded
        if quarter == 0 or end > len(unfolded):
            raise ContentDamaged("a run of an unfolded piece is not in it")
        pieces.append(unfolded[at : at + between])
        pieces.append(_encoded(unfolded[at + between : end], 4 * quarter))
        at = end
    octets = b"".join((*pieces, unfolded[at:]))
    if len(octets) > limit_octets:
        raise ContentDamaged("an unfolded piece is longer than anything we write")
    return octets


def _candidates(octets: bytes) -> Iterator[int]:
    """Where base64 may begin: the piece itself, and below each header section that speaks of it."""
    yield 0
    if not octets.startswith(b"--") and octets.find(b"\r\n--", 0, _PREAMBLE_OCTETS) < 0:
        return  # of one part: a search of all of it would take a fifth of the time that zstd takes
    at = 0
    while (named := octets.find(b"base64", at)) >= 0:
        at = octets.find(b"\r\n\r\n", named)
        if at < 0:
            return
        at += 4
        yield at


def _decoded(octets: bytes, start: int) -> tuple[bytes, int, int] | None:
    """What a run decodes to, its columns, and where it ends: before the line end that is its last."""
    line_end = octets.find(b"\r\n", start, start + _MOST_COLUMNS + 2)
    columns = (len(octets) if line_end < 0 else line_end) - start
    if not 0 < columns <= _MOST_COLUMNS or columns % 4 or octets[start : start + 24].translate(None, _ALPHABET):
        return None
    end = octets.find(b"\r\n--", start)
    run = octets[start : len(octets) if end < 0 else end].rstrip(b"\r\n")
    if len(run) < _LEAST_OCTETS:
        return None
    try:
        decoded = a2b_base64(run)
    except Error:
        return None
    return (decoded, columns, start + len(run)) if _encoded(decoded, columns) == run else None


def _encoded(octets: bytes, columns: int) -> bytes:
    """In lines, without a line end after the last."""
    encoded = b2a_base64(octets, newline=False)
    return b"\r\n".join([encoded[at : at + columns] for at in range(0, len(encoded), columns)])
