"""From octets that arrived to a message ready to keep: described once, and divided into what its blobs will hold."""

import asyncio
from datetime import datetime
from mmap import mmap

from mailserver.mime.description import WIRE_VERSION, Description, describe
from mailserver.mime.leaves import Lying, base64_layout, forget_pages, leaves_over
from mailserver.mime.packing import pack
from storage.header_column import HEADER_COLUMN_OCTETS
from storage.types import BlobOctets, MessageFacts, NewMessage, Segment, SegmentKind

LARGE_PART_OCTETS = 64 * 1024
_IN_A_THREAD_OCTETS = 128 * 1024
_LONGEST_LINE_OCTETS = 1024  # what a segment can say; base64 in longer lines is kept encoded


async def ingest(octets: bytes | mmap, received_at: datetime) -> NewMessage:
    """Describe and divide a message; a large one in a thread, so that the loop goes on."""
    if len(octets) > _IN_A_THREAD_OCTETS:
        return await asyncio.to_thread(divide, octets, received_at)
    return divide(octets, received_at)


def divide(octets: bytes | mmap, received_at: datetime) -> NewMessage:
    """Never refuses: any octets are a message, if need be one that is all header."""
    description = describe(octets)
    kept_header = min(description.header_octets, HEADER_COLUMN_OCTETS)
    segments, skeleton, leaves = _divide_body(octets, description, kept_header)
    forget_pages(octets)
    return NewMessage(
        facts=MessageFacts(
            octets=len(octets),
            header_octets=description.header_octets,
            header=bytes(octets[:kept_header]),
            received_at=received_at,
            sent_at=description.sent_at,
            subject=description.subject,
            base_subject=description.base_subject,
            sender=description.sender,
            recipients=description.recipients,
            preview=description.preview,
            references=description.reference_ids,
            structure=pack(description.root),
            envelope=description.envelope,
            bodystructure=description.bodystructure,
            wire_version=WIRE_VERSION,
            differs_in_utf8=description.differs_in_utf8,
            has_attachment=description.has_attachment,
        ),
        segments=tuple(segments),
        blobs=(*skeleton, *leaves),
        parts_from=len(skeleton),
    )


def _divide_body(
    octets: bytes | mmap, description: Description, start: int
) -> tuple[list[Segment], list[bytes], list[BlobOctets]]:
    """Blob 0 is what lies between the large leaves; each large leaf is a blob of its own, which is not copied here."""
    segments: list[Segment] = []
    skeleton: list[bytes] = []
    skeleton_octets = 0
    leaves: list[BlobOctets] = []

    def keep(first: int, last: int) -> None:
        nonlocal skeleton_octets
        if first < last:
            segments.append(Segment(SegmentKind.LITERAL, 0, skeleton_octets, last - first, last - first))
            skeleton.append(bytes(octets[first:last]))
            skeleton_octets += last - first

    at = start
    for part in leaves_over(description.root, LARGE_PART_OCTETS):
        if part.body_offset < at:
            continue
        keep(at, part.body_offset)
        at = part.body_offset + part.body_octets
        layout = base64_layout(octets, part)
        blob = len(leaves) + 1
        if layout is None or layout.line_octets > _LONGEST_LINE_OCTETS:
            leaves.append(Lying(octets, part.body_offset, at))
            segments.append(Segment(SegmentKind.LITERAL, blob, 0, part.body_octets, part.body_octets))
        else:
            leaves.append(layout.decoded)
            segments.append(
                Segment(
                    SegmentKind.BASE64,
                    blob,
                    0,
                    len(layout.decoded),
                    part.body_octets,
                    layout.line_octets,
                    layout.ends_in_crlf,
                )
            )
    keep(at, len(octets))
    if not skeleton:
        # no blob 0: the leaves move up by one
        return [_renumbered(segment) for segment in segments], [], leaves
    return segments, [skeleton[0] if len(skeleton) == 1 else b"".join(skeleton)], leaves


def _renumbered(segment: Segment) -> Segment:
    return Segment(
        segment.kind,
        segment.blob - 1,
        segment.offset,
        segment.length,
        segment.octets,
        segment.line_octets,
        segment.ends_in_crlf,
    )
