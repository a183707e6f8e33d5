"""Line ends of messages on disk: CRLF as they travel, or LF as mbox and Maildir programs expect them (pure)."""

import re
from collections.abc import Iterator
from mmap import mmap

PIECE_OCTETS = 1024 * 1024
_IRREVERSIBLE = re.compile(rb"(?<!\r)\n|\r\r\n")
_BARE_LF = re.compile(rb"(?<!\r)\n")


def is_reversible(octets: bytes | mmap) -> bool:
    """Does CRLF to LF and back give the same octets? A bare LF would come back as CRLF, CR CR LF as CR LF."""
    return _IRREVERSIBLE.search(octets) is None


def pieces(octets: bytes | mmap, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """About PIECE_OCTETS at a time, each but the last ending in LF: so whatever concerns a line is in one piece."""
    end = len(octets) if end is None else end
    while start < end:
        following = octets.find(b"\n", start + PIECE_OCTETS, end) + 1 or end
        yield octets[start:following]
        start = following


def to_lf(piece: bytes) -> bytes:
    """Undone by `to_crlf` where `is_reversible`."""
    return piece.replace(b"\r\n", b"\n")


def to_crlf(piece: bytes) -> bytes:
    """Every line ends in CRLF; CRLF and CR are left alone."""
    return _BARE_LF.sub(b"\r\n", piece) if b"\n" in piece else piece
