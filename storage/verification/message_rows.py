"""Whether the row of a message, its list of blobs and these add up (pure but for the query that reads them)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from storage.blobs.segments import unpack_segments
from storage.errors import ContentDamaged
from storage.header_column import HEADER_COLUMN_OCTETS, unpack_header
from storage.query import Connection, Query
from storage.types import Segment, SegmentKind
from storage.verification.findings import Kind
from storage.wire_columns import unpack_wire
from tenants.types import AccountId, TenantId

_BASE64_LINE_END = 2


@dataclass(frozen=True, slots=True)
class MessageRow:
    """`is_kept`: it stands in a mailbox or the bin; `is_alike`: all its placements have equal flags, but for \\Deleted.
    `blob_octets` are those of the blobs in the order of the list; -1 for one that has no row."""

    id: int
    octets: int
    header_octets: int
    header: bytes
    segments: bytes
    envelope: bytes
    bodystructure: bytes
    is_kept: bool
    is_alike: bool
    ordinals: list[int] | None
    digests: list[bytes] | None
    blob_octets: list[int] | None


@dataclass(frozen=True, slots=True)
class Flaw:
    kind: Kind
    reason: str


# In one statement, so of one moment: whatever differs here is wrong, whoever writes meanwhile.
_PAGE = Query(
    """
    SELECT m.id, m.octets, m.header_octets, m.header, m.segments, m.envelope, m.bodystructure,
           p.is_placed OR (SELECT 1 FROM recoverable r WHERE r.tenant_id = m.tenant_id AND r.account_id = m.account_id
                              AND r.message_id = m.id LIMIT 1) IS NOT NULL AS is_kept,
           p.is_alike,
           u.ordinals, u.digests, u.blob_octets
      FROM message m
     CROSS JOIN LATERAL (
           SELECT array_agg(u.ordinal ORDER BY u.ordinal) AS ordinals,
                  array_agg(u.digest ORDER BY u.ordinal) AS digests,
                  array_agg(coalesce(b.octets, -1) ORDER BY u.ordinal) AS blob_octets
             FROM message_blob u LEFT JOIN blob b ON b.tenant_id = u.tenant_id AND b.digest = u.digest
            WHERE u.tenant_id = m.tenant_id AND u.message_id = m.id) u
     CROSS JOIN LATERAL (
           SELECT count(*) > 0 AS is_placed, coalesce(min(p.flags & ~8) = max(p.flags & ~8), true) AS is_alike
             FROM placement p WHERE p.tenant_id = m.tenant_id AND p.message_id = m.id) p
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND m.account_id = %(account_id)s
       AND m.id > %(after)s
     ORDER BY m.id LIMIT %(limit)s
    """,
    row=MessageRow,
)


async def message_rows(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, after: int, limit: int
) -> list[MessageRow]:
    return await _PAGE.all(connection, tenant_id=tenant_id, account_id=account_id, after=after, limit=limit)


def flaws_of(row: MessageRow) -> Iterator[Flaw]:
    """In any thread."""
    if not row.is_kept:
        yield Flaw(Kind.MESSAGE_UNPLACED, "")
    if not row.is_alike:
        yield Flaw(Kind.MESSAGE_FLAGS, "")
    if (reason := _wrong_wire(row)) is not None:
        yield Flaw(Kind.MESSAGE_WIRE, reason)
    try:
        header = unpack_header(row.header)
    except ContentDamaged as damage:
        yield Flaw(Kind.MESSAGE_HEADER, damage.what)
        return
    if len(header) != min(row.header_octets, HEADER_COLUMN_OCTETS):
        yield Flaw(Kind.MESSAGE_HEADER, f"{len(header)} octets where {row.header_octets} are counted")
        return
    blobs = row.blob_octets or []
    if (row.ordinals or []) != list(range(len(blobs))):
        yield Flaw(Kind.MESSAGE_BLOB, "the list of blobs has gaps")
        return
    for digest, octets in zip(row.digests or [], blobs, strict=True):
        if octets < 0:
            yield Flaw(Kind.MESSAGE_BLOB, f"blob {digest.hex()} has no row")
    try:
        segments = unpack_segments(row.segments, row.octets - len(header))
    except (ValueError, ArithmeticError):
        yield Flaw(Kind.MESSAGE_SEGMENTS, "they cannot be read")
        return
    reason = _wrong_segments(segments, row.octets - len(header), blobs)
    if reason is not None:
        yield Flaw(Kind.MESSAGE_SEGMENTS, reason)


def _wrong_wire(row: MessageRow) -> str | None:
    """Of ENVELOPE and BODYSTRUCTURE: whether they open, and are lists as far as their ends tell."""
    try:
        forms = unpack_wire(row.envelope, row.bodystructure)
    except ContentDamaged as damage:
        return damage.what
    return None if all(each[:1] == b"(" and each[-1:] == b")" for each in forms) else "they are no lists"


def _wrong_segments(segments: Sequence[Segment], octets: int, blobs: Sequence[int]) -> str | None:
    if (found := sum(segment.octets for segment in segments)) != octets:
        return f"they come to {found} octets where {octets} are counted"
    used = dict.fromkeys(range(len(blobs)), 0)
    for segment in segments:
        if segment.blob not in used:
            return f"one is of blob {segment.blob}, which the message has not"
        if segment.octets != _made_of(segment):
            return f"{segment.length} octets of blob {segment.blob} do not become {segment.octets}"
        used[segment.blob] = max(used[segment.blob], segment.offset + segment.length)
    for blob, end in used.items():
        if blobs[blob] >= 0 and end != blobs[blob]:
            return f"blob {blob} has {blobs[blob]} octets, {end} are used"
    return None


def _made_of(segment: Segment) -> int:
    """How many octets of the message a segment's octets of the blob become."""
    if segment.kind == SegmentKind.LITERAL:
        return segment.length
    decoded = segment.line_octets // 4 * 3
    if decoded <= 0:
        return -1
    lines, rest = divmod(segment.length, decoded)
    octets = lines * (segment.line_octets + _BASE64_LINE_END)
    if rest:
        octets += -(-rest // 3) * 4 + _BASE64_LINE_END
    return octets if segment.ends_in_crlf else octets - _BASE64_LINE_END
