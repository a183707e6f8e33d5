"""The octets of a message, range by range, from its header column and its blobs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from storage.blobs.codec import CHUNK_OCTETS, decompress
from storage.blobs.layout import SealedChunk
from storage.blobs.opening import maybe_in_thread
from storage.blobs.segments import BlobRange, plan_read, render, unpack_segments
from storage.blobs.tiered import TieredBlobs
from storage.database import Database
from storage.errors import ContentDamaged, MessageGone
from storage.header_column import unpack_header
from storage.keys import TenantKeys
from storage.query import Connection, Query
from storage.types import BlobDigest, MailboxId, MessageId, Segment, SegmentKind, Uid
from tenants.types import AccountId, TenantId

WHOLE_LIMIT_OCTETS = 256 * 1024  # longer messages are read in ranges


@dataclass(frozen=True, slots=True)
class _ContentRow:
    octets: int
    header_octets: int
    header: bytes
    segments: bytes
    structure: bytes
    digests: list[bytes] | None


_OPEN = Query(
    """
    SELECT m.octets, m.header_octets, m.header, m.segments, m.structure,
           (SELECT array_agg(b.digest ORDER BY b.ordinal) FROM message_blob b
             WHERE b.tenant_id = m.tenant_id AND b.message_id = m.id) AS digests
      FROM message m
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s))
       AND m.account_id = %(account_id)s AND m.id = %(message_id)s
       AND (SELECT 1 FROM placement p WHERE p.tenant_id = m.tenant_id AND p.message_id = m.id LIMIT 1) IS NOT NULL
    """,
    row=_ContentRow,
)


@dataclass(frozen=True, slots=True)
class Content:
    """A message that can be read in ranges; each read fetches only the chunks of the blobs it needs."""

    octets: int
    header_octets: int
    structure: bytes
    _header: bytes
    _segments: Sequence[Segment]
    _digests: Sequence[BlobDigest]
    _database: Database
    _blobs: TieredBlobs
    _keys: TenantKeys
    _ahead: "_ReadAhead"

    async def read(self, offset: int, length: int) -> bytes:
        """Octets of the message; less than `length` at its end.

        Raises ContentDamaged, ColdTierUnavailable, StoreUnavailable.
        """
        length = max(0, min(length, self.octets - offset))
        head = self._header[offset : offset + length]
        if len(head) == length:
            return head
        start = offset + len(head) - len(self._header)
        pieces = [head] if head else []
        pieces += [
            await maybe_in_thread(wanted.length, render, wanted, await self._read_blob(wanted))
            for wanted in plan_read(self._segments, start, length - len(head))
        ]
        octets = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if len(octets) != length:
            raise ContentDamaged("a message's segments do not add up")
        return octets

    def kept_decoded(self, offset: int, octets: int) -> Segment | None:
        """The run of a base64 body that stands there and is kept decoded, so that it need not be encoded to be read."""
        at = len(self._header)
        for segment in self._segments:
            if at == offset:
                return segment if segment.kind == SegmentKind.BASE64 and segment.octets == octets else None
            at += segment.octets
            if at > offset:
                return None
        return None

    async def read_decoded(self, kept: Segment, offset: int, length: int) -> bytes:
        """Octets of such a run, decoded; less than `length` at its end. Raises as `read` does."""
        length = max(0, min(length, kept.length - offset))
        if not length:
            return b""
        return await self._read_blob(BlobRange(kept, kept.offset + offset, length, 0, length))

    def note_reading(self) -> None:
        """Somebody reads it now, and it alone: its text stays hot, or comes back. Large parts rest where they are."""
        self._blobs.notes.note(self._keys.tenant_id, self._digests[:1])

    async def _read_blob(self, wanted: BlobRange) -> bytes:
        """Whole chunks, for a part of one costs as much; what stands behind the wanted octets serves the next read."""
        blob = wanted.segment.blob
        kept = self._ahead.take(blob, wanted.offset, wanted.length)
        if kept is not None:
            return kept
        if blob >= len(self._digests):
            raise ContentDamaged("the message names a blob that it does not have")
        blob_octets = max(each.offset + each.length for each in self._segments if each.blob == blob)
        first = wanted.offset // CHUNK_OCTETS * CHUNK_OCTETS
        last = min(blob_octets, -(-(wanted.offset + wanted.length) // CHUNK_OCTETS) * CHUNK_OCTETS)
        found = await self._blobs.read(self._database, self._keys, self._digests[blob], first, last - first)
        self._ahead.keep(blob, first, found)
        return found[wanted.offset - first : wanted.offset - first + wanted.length]


class _ReadAhead:
    """The last chunk that was opened, for clients and sessions that read a large part piece by piece."""

    __slots__ = ("_blob", "_octets", "_start")

    def __init__(self) -> None:
        self._blob, self._start, self._octets = -1, 0, b""

    def take(self, blob: int, offset: int, length: int) -> bytes | None:
        start = offset - self._start
        if blob != self._blob or start < 0 or start + length > len(self._octets):
            return None
        return self._octets[start : start + length]

    def keep(self, blob: int, start: int, octets: bytes) -> None:
        kept_from = max(0, len(octets) - 1) // CHUNK_OCTETS * CHUNK_OCTETS
        self._blob, self._start, self._octets = blob, start + kept_from, octets[kept_from:]


async def open_content(
    connection: Connection,
    database: Database,
    blobs: TieredBlobs,
    keys: TenantKeys,
    tenant_id: TenantId,
    account_id: AccountId,
    message_id: MessageId,
) -> Content:
    """Raises MessageGone when it was expunged meanwhile."""
    row = await _OPEN.first(connection, tenant_id=tenant_id, account_id=account_id, message_id=message_id)
    if row is None:
        raise MessageGone(message_id)
    header = unpack_header(row.header)
    return Content(
        octets=row.octets,
        header_octets=row.header_octets,
        structure=row.structure,
        _header=header,
        _segments=unpack_segments(row.segments, row.octets - len(header)),
        _digests=[BlobDigest(digest) for digest in row.digests or ()],
        _database=database,
        _blobs=blobs,
        _keys=keys,
        _ahead=_ReadAhead(),
    )


@dataclass(frozen=True, slots=True)
class WholeMessage:
    """A small message with its octets, as read by the hundred."""

    uid: Uid
    octets: bytes
    structure: bytes


@dataclass(frozen=True, slots=True)
class LongMessage:
    """One that is to be opened by itself: it is long, or damaged, which shows when it is read."""

    uid: Uid
    message_id: MessageId
    structure: bytes


@dataclass(frozen=True, slots=True)
class SealedMessage:
    """A message as its rows are; `is_simple`: if it is one small blob, which came along where it rests in Postgres."""

    uid: int
    message_id: int
    octets: int
    header: bytes
    structure: bytes
    is_simple: bool
    digest: bytes | None
    key_id: int | None
    codec: int | None
    sealed: bytes | None
    object_id: int | None
    object_offset: int | None
    object_octets: int | None
    layout: bytes | None


_SEALED = """m.octets, m.header, m.structure, s.is_simple, b.digest, c.key_id, c.codec, c.sealed,
           b.object_id, b.object_offset, o.octets AS object_octets, b.layout"""
_WITH_BLOB = """CROSS JOIN LATERAL (SELECT m.octets <= %(limit_octets)s AND m.segments = ''::bytea AS is_simple) s
      LEFT JOIN message_blob u
        ON u.tenant_id = m.tenant_id AND u.message_id = m.id AND u.ordinal = 0 AND s.is_simple
      LEFT JOIN blob b ON b.tenant_id = u.tenant_id AND b.digest = u.digest
      LEFT JOIN blob_content c
        ON c.tenant_id = b.tenant_id AND c.digest = b.digest AND c.content_on = b.content_on AND c.chunk = 0
       AND b.object_id IS NULL
      LEFT JOIN object o ON o.tenant_id = b.tenant_id AND o.id = b.object_id"""
_READ_MANY = Query(
    f"""
    SELECT p.uid, p.message_id, {_SEALED}
      FROM placement p
      JOIN message m ON m.tenant_id = p.tenant_id AND m.account_id = p.account_id AND m.id = p.message_id
     {_WITH_BLOB}
     WHERE p.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND p.mailbox_id = %(mailbox_id)s
       AND p.account_id = %(account_id)s AND p.uid = ANY (%(uids)s)
     ORDER BY p.uid
    """,  # noqa: S608 - our own column list and joins
    row=SealedMessage,
)
_READ_BY_IDS = Query(
    f"""
    SELECT m.id AS uid, m.id AS message_id, {_SEALED}
      FROM message m
     {_WITH_BLOB}
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND m.account_id = %(account_id)s
       AND m.id = ANY (%(message_ids)s)
     ORDER BY m.id
    """,  # noqa: S608 - our own column list and joins
    row=SealedMessage,
)


async def read_many(
    database: Database,
    blobs: TieredBlobs,
    tenant_id: TenantId,
    account_id: AccountId,
    mailbox_id: MailboxId,
    uids: Sequence[Uid],
) -> list[SealedMessage]:
    """Messages with their octets if these are one small blob, by one statement; to be opened by `open_many`.

    Ask for at most a few dozen at a time: each may be WHOLE_LIMIT_OCTETS long.
    """
    async with database.read(tenant_id) as connection:
        rows = await _READ_MANY.all(
            connection,
            tenant_id=tenant_id,
            account_id=account_id,
            mailbox_id=mailbox_id,
            uids=list(uids),
            limit_octets=WHOLE_LIMIT_OCTETS,
        )
    return await _with_objects(blobs, tenant_id, rows)


async def read_by_ids(
    database: Database, blobs: TieredBlobs, tenant_id: TenantId, account_id: AccountId, ids: Sequence[MessageId]
) -> list[SealedMessage]:
    """As `read_many`, wherever they stand; the ids are in the place of uids."""
    async with database.read(tenant_id) as connection:
        rows = await _READ_BY_IDS.all(
            connection,
            tenant_id=tenant_id,
            account_id=account_id,
            message_ids=list(ids),
            limit_octets=WHOLE_LIMIT_OCTETS,
        )
    return await _with_objects(blobs, tenant_id, rows)


async def _with_objects(blobs: TieredBlobs, tenant_id: TenantId, rows: list[SealedMessage]) -> list[SealedMessage]:
    """What rests in objects beside what came; what is out of reach stays without, and says so when it is opened."""
    found = await blobs.fetch_for(tenant_id, rows)
    if not found:
        return rows
    return [
        replace(row, key_id=chunk.key_id, codec=chunk.codec, sealed=chunk.sealed)
        if isinstance(chunk := found.get(row.digest or b""), SealedChunk)
        else row
        for row in rows
    ]


def open_many(keys: TenantKeys, sealed: Sequence[SealedMessage]) -> tuple[list[WholeMessage], list[LongMessage]]:
    """The octets of those that came whole, and the others. In any thread."""
    whole: list[WholeMessage] = []
    others: list[LongMessage] = []
    for row in sealed:
        if row.is_simple:
            try:
                whole.append(WholeMessage(Uid(row.uid), _whole_octets(keys, row), row.structure))
                continue
            except ContentDamaged:
                pass
        others.append(LongMessage(Uid(row.uid), MessageId(row.message_id), row.structure))
    return whole, others


def _whole_octets(keys: TenantKeys, row: SealedMessage) -> bytes:
    octets = unpack_header(row.header)
    if len(octets) < row.octets:
        octets += _open_only_chunk(keys, row)
    if len(octets) != row.octets:
        raise ContentDamaged("a message's blob is cut")
    return octets


def _open_only_chunk(keys: TenantKeys, row: SealedMessage) -> bytes:
    if row.digest is None or row.key_id is None or row.codec is None or row.sealed is None:
        raise ContentDamaged("a message's blob is missing")
    return decompress(row.codec, keys.open(row.key_id, BlobDigest(row.digest), 0, True, row.codec, row.sealed))
