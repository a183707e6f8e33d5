"""Messages with their octets, many in one statement: for FETCH of bodies, of which most are small."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from storage.blobs.codec import decompress
from storage.errors import ContentDamaged
from storage.header_column import unpack_header
from storage.keys import TenantKeys
from storage.query import Connection, Query
from storage.rows import NO_KEYWORDS, SYSTEM_FLAGS, FetchRow
from storage.types import BlobDigest, MailboxId, MessageId, Modseq, ThreadId, Uid
from tenants.types import AccountId

SMALL_OCTETS = 256 * 1024
ENOUGH_OCTETS = 1024 * 1024
"""About how much content comes with one answer."""


class MessageWithOctets(NamedTuple):
    """`octets` None: a long message, one in several blobs, or a damaged one, which says so when it is opened."""

    row: FetchRow
    octets: bytes | None


@dataclass(frozen=True, slots=True)
class _Row:
    uid: int
    message_id: int
    email_id: int
    thread_id: int
    octets: int
    header_octets: int
    received_at: datetime
    saved_at: datetime
    preview: str
    flags: int
    keywords: list[str] | None
    modseq: int
    wire_version: int
    differs_in_utf8: bool
    envelope: bytes
    bodystructure: bytes
    header: bytes
    structure: bytes
    is_small: bool
    digest: bytes | None
    key_id: int | None
    codec: int | None
    sealed: bytes | None


_READ = Query(
    """
    SELECT uid, message_id, email_id, thread_id, octets, header_octets, received_at, saved_at, preview, flags, keywords,
           modseq, wire_version, differs_in_utf8, envelope, bodystructure, header, structure, is_small, digest, key_id,
           codec, sealed
      FROM read_messages_v1(
          %(tenant_id)s, %(account_id)s, %(mailbox_id)s, %(uids)s, %(wire)s, %(small_octets)s, %(enough_octets)s)
    """,
    row=_Row,
)


async def read_messages(
    connection: Connection,
    keys: TenantKeys,
    account_id: AccountId,
    mailbox_id: MailboxId,
    uids: Sequence[Uid],
    *,
    with_wire_forms: bool,
) -> list[MessageWithOctets]:
    """By ascending uid, those that are still there, until ENOUGH_OCTETS of content are gathered: ask again for the uids
    after the last one, until there are none."""
    rows = await _READ.all(
        connection,
        tenant_id=keys.tenant_id,
        account_id=account_id,
        mailbox_id=mailbox_id,
        uids=uids,
        wire=with_wire_forms,
        small_octets=SMALL_OCTETS,
        enough_octets=ENOUGH_OCTETS,
    )
    return [_message(keys, row) for row in rows]


def _message(keys: TenantKeys, row: _Row) -> MessageWithOctets:
    header = unpack_header(row.header)
    facts = FetchRow(
        Uid(row.uid),
        MessageId(row.message_id),
        ThreadId(row.thread_id),
        row.octets,
        row.header_octets,
        row.received_at,
        SYSTEM_FLAGS[row.flags],
        frozenset(row.keywords) if row.keywords else NO_KEYWORDS,
        Modseq(row.modseq),
        row.envelope,
        row.bodystructure,
        header,
        row.structure,
        row.wire_version,
        row.differs_in_utf8,
        row.saved_at,
        row.preview,
        MessageId(row.email_id),
    )
    if not row.is_small:
        return MessageWithOctets(facts, None)
    octets = header + _content(keys, row)
    return MessageWithOctets(facts, octets if len(octets) == row.octets else None)


def _content(keys: TenantKeys, row: _Row) -> bytes:
    """Nothing where it is missing or does not open: the length tells."""
    if row.digest is None or row.key_id is None or row.codec is None or row.sealed is None:
        return b""
    try:
        return decompress(row.codec, keys.open(row.key_id, BlobDigest(row.digest), 0, True, row.codec, row.sealed))
    except ContentDamaged:
        return b""
