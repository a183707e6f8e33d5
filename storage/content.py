"""The octets of a message, range by range, from its header column and its blobs."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.blobs.segments import plan_read, render, unpack_segments
from storage.blobs.store import BlobStore
from storage.database import Database
from storage.errors import ContentDamaged, MessageGone
from storage.header_column import unpack_header
from storage.keys import TenantKeys
from storage.query import Connection, Query
from storage.types import BlobDigest, MessageId, Segment
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class _ContentRow:
    octets: int
    header_octets: int
    header: bytes
    segments: bytes
    digests: list[bytes] | None


_OPEN = Query(
    """
    SELECT m.octets, m.header_octets, m.header, m.segments,
           (SELECT array_agg(b.digest ORDER BY b.ordinal) FROM message_blob b
             WHERE b.tenant_id = m.tenant_id AND b.message_id = m.id) AS digests
      FROM message m
     WHERE m.tenant_id = waypost_tenant(%(tenant_id)s) AND m.account_id = %(account_id)s AND m.id = %(message_id)s
    """,
    row=_ContentRow,
)


@dataclass(frozen=True, slots=True)
class Content:
    """A message that can be read in ranges; each read fetches only the chunks of the blobs it needs."""

    octets: int
    header_octets: int
    _header: bytes
    _segments: Sequence[Segment]
    _digests: Sequence[BlobDigest]
    _database: Database
    _blobs: BlobStore
    _keys: TenantKeys

    async def read(self, offset: int, length: int) -> bytes:
        """Octets of the message; less than `length` at its end. Raises ContentDamaged, StoreUnavailable."""
        length = max(0, min(length, self.octets - offset))
        head = self._header[offset : offset + length]
        if len(head) == length:
            return head
        start = offset + len(head) - len(self._header)
        pieces = [head] if head else []
        async with self._database.read(self._keys.tenant_id) as connection:
            for wanted in plan_read(self._segments, start, length - len(head)):
                found = await self._blobs.read(
                    connection, self._keys, self._digests[wanted.segment.blob], wanted.offset, wanted.length
                )
                pieces.append(render(wanted, found))
        octets = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if len(octets) != length:
            raise ContentDamaged("a message's segments do not add up")
        return octets


async def open_content(
    connection: Connection,
    database: Database,
    blobs: BlobStore,
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
        _header=header,
        _segments=unpack_segments(row.segments, row.octets - len(header)),
        _digests=[BlobDigest(digest) for digest in row.digests or ()],
        _database=database,
        _blobs=blobs,
        _keys=keys,
    )
