"""How a message is put together again from its blobs, octet for octet (pure).

Leaf parts over 64 KiB rest as blobs of their own, decoded where encoding them again gives the same octets;
everything else of the message below its header is blob 0. The header is not in any blob: it is a column of the
message's row.
"""

import struct
from binascii import b2a_base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from storage.types import Segment, SegmentKind

_PACKED = struct.Struct(">BHQQQHB")


def pack_segments(segments: Sequence[Segment]) -> bytes:
    """As stored in the message row; a message that is one literal run of blob 0 packs to nothing."""
    if len(segments) == 1 and segments[0].kind == SegmentKind.LITERAL and segments[0].offset == 0:
        return b""
    return b"".join(
        _PACKED.pack(s.kind, s.blob, s.offset, s.length, s.octets, s.line_octets, s.ends_in_crlf) for s in segments
    )


def unpack_segments(packed: bytes, body_octets: int) -> tuple[Segment, ...]:
    """Undo `pack_segments`; `body_octets` is how long the message is below its header."""
    if not packed:
        return (Segment(SegmentKind.LITERAL, 0, 0, body_octets, body_octets),) if body_octets else ()
    return tuple(
        Segment(SegmentKind(kind), blob, offset, length, octets, line_octets, bool(ends))
        for kind, blob, offset, length, octets, line_octets, ends in _PACKED.iter_unpack(packed)
    )


@dataclass(frozen=True, slots=True)
class BlobRange:
    """Octets wanted of one blob, and how they become octets of the message: `skip` of the encoded run are dropped."""

    segment: Segment
    offset: int
    length: int
    skip: int
    take: int


def plan_read(segments: Sequence[Segment], offset: int, length: int) -> Iterator[BlobRange]:
    """Which blob ranges give the octets `offset` to `offset + length` below the header, in order."""
    end = offset + length
    at = 0
    for segment in segments:
        first, last = max(offset, at), min(end, at + segment.octets)
        if first < last:
            if segment.kind == SegmentKind.LITERAL:
                yield BlobRange(segment, segment.offset + first - at, last - first, 0, last - first)
            else:
                yield _base64_range(segment, first - at, last - at)
        at += segment.octets
        if at >= end:
            return


def _base64_range(segment: Segment, start: int, stop: int) -> BlobRange:
    """Whole lines around the wanted run, since a line is what encodes by itself."""
    on_wire = segment.line_octets + 2
    decoded = segment.line_octets // 4 * 3
    first_line, last_line = start // on_wire, (stop - 1) // on_wire
    offset = first_line * decoded
    length = min(segment.length, (last_line + 1) * decoded) - offset
    return BlobRange(segment, segment.offset + offset, length, start - first_line * on_wire, stop - start)


def render(wanted: BlobRange, octets: bytes) -> bytes:
    """The message's octets for a range, from what the blob holds there."""
    if wanted.segment.kind == SegmentKind.LITERAL:
        return octets
    encoded = encode_lines(octets, wanted.segment.line_octets)
    return encoded[wanted.skip : wanted.skip + wanted.take]


def encode_lines(octets: bytes, line_octets: int) -> bytes:
    """base64 in lines of `line_octets` characters, each ended by CRLF (RFC 2045 §6.8)."""
    step = line_octets // 4 * 3
    return b"".join(b2a_base64(octets[i : i + step], newline=False) + b"\r\n" for i in range(0, len(octets), step))
