"""Which parts are large enough to be stored by themselves, and whether they may be stored decoded."""

import binascii
from dataclasses import dataclass
from mmap import MADV_DONTNEED, mmap

from mailserver.mime.part import Part

BLOCK_OCTETS = 256 * 1024
"""About as much of an encoded body is looked at, and held in memory, at once."""


class Lying:
    """A run of a message, read where it lies. If that is a mapped file, what was read leaves our memory again."""

    __slots__ = ("_end", "_start", "_view")

    def __init__(self, octets: bytes | mmap, start: int, end: int) -> None:
        self._view = memoryview(octets)
        self._start = start
        self._end = end

    def __len__(self) -> int:
        return self._end - self._start

    def __getitem__(self, wanted: slice) -> bytes:
        start, stop, step = wanted.indices(len(self))
        assert step == 1
        octets = bytes(self._view[self._start + start : self._start + stop])
        forget_pages(self._view.obj)
        return octets


class Decoded:
    """What a base64 body in regular lines holds, decoded where it is read."""

    __slots__ = ("_encoded", "_line_octets", "_octets")

    def __init__(self, encoded: Lying, line_octets: int, octets: int) -> None:
        self._encoded = encoded
        self._line_octets = line_octets
        self._octets = octets

    def __len__(self) -> int:
        return self._octets

    def __getitem__(self, wanted: slice) -> bytes:
        start, stop, step = wanted.indices(self._octets)
        assert step == 1
        if start >= stop:
            return b""
        on_wire, decoded = self._line_octets + 2, self._line_octets // 4 * 3
        first, last = start // decoded, (stop - 1) // decoded
        octets = binascii.a2b_base64(self._encoded[first * on_wire : (last + 1) * on_wire])
        return octets[start - first * decoded : stop - first * decoded]


@dataclass(frozen=True, slots=True)
class Base64Layout:
    """How a base64 body is laid out: `decoded` written in lines of `line_octets` characters, each ended by CRLF, the
    last one too if `ends_in_crlf`."""

    line_octets: int
    ends_in_crlf: bool
    decoded: bytes | Decoded


def forget_pages(octets: object) -> None:
    """A mapped file does not stay in our memory because it was read once; reading it again finds it in the kernel's."""
    if isinstance(octets, mmap):
        octets.madvise(MADV_DONTNEED)


def leaves_over(root: Part, limit_octets: int) -> list[Part]:
    """The leaf parts whose bodies are longer than `limit_octets`, in the order of the message; they never overlap."""
    return [part for part in root.walk() if not part.children and part.body_octets > limit_octets]


def base64_layout(octets: bytes | mmap, part: Part, *, block_octets: int = BLOCK_OCTETS) -> Base64Layout | None:
    """The layout of a part's encoded body, if encoding the decoded octets again gives back exactly the same octets.

    None if not: odd lines, other line ends, white space, data after the padding, or no base64 at all. The line length
    is a multiple of 4. It is found out block by block of whole lines; a body of one block is left decoded.
    """
    if part.encoding != "base64" or not part.body_octets:
        return None
    start, end = part.body_offset, part.body_offset + part.body_octets
    first_break = octets.find(b"\r\n", start, end)
    line_octets = (first_break if first_break >= 0 else end) - start
    if line_octets == 0 or line_octets % 4:
        return None
    ends_in_crlf = octets[max(start, end - 2) : end] == b"\r\n"
    block = max(1, block_octets // (line_octets + 2)) * (line_octets + 2)
    total = 0
    for at in range(start, end, block):
        is_last = at + block >= end
        decoded = _decoded(octets[at : min(end, at + block)], line_octets, ends_in_crlf=ends_in_crlf or not is_last)
        if decoded is None or (not is_last and len(decoded) % (line_octets // 4 * 3)):
            return None
        total += len(decoded)
        if is_last and at == start:
            return Base64Layout(line_octets, ends_in_crlf, decoded)
    return Base64Layout(line_octets, ends_in_crlf, Decoded(Lying(octets, start, end), line_octets, total))


def _decoded(encoded: bytes, line_octets: int, *, ends_in_crlf: bool) -> bytes | None:
    """What regular lines hold, if they are that and encoding it again gives the same lines."""
    joined = encoded.replace(b"\r\n", b"")
    lines = -(-len(joined) // line_octets)
    breaks = lines if ends_in_crlf else lines - 1
    if len(joined) + 2 * breaks != len(encoded):
        return None
    stride = line_octets + 2
    returns, feeds = encoded[line_octets::stride], encoded[line_octets + 1 :: stride]
    whole = breaks - 1 if ends_in_crlf and len(joined) % line_octets else breaks
    if returns[:whole].count(b"\r") != whole or feeds[:whole].count(b"\n") != whole:
        return None
    try:
        decoded = binascii.a2b_base64(joined)
    except binascii.Error:
        return None
    return decoded if binascii.b2a_base64(decoded, newline=False) == joined else None
