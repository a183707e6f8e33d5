"""Messages with their octets, many in one statement: for FETCH of bodies, of which most are small."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from storage.blobs.codec import decompress
from storage.blobs.layout import SealedChunk
from storage.blobs.tiered import TieredBlobs
from storage.content import WHOLE_LIMIT_OCTETS
from storage.database import Database
from storage.errors import ColdTierUnavailable, ContentDamaged, StorageError
from storage.header_column import unpack_header
from storage.keys import TenantKeys
from storage.query import Query
from storage.rows import NO_KEYWORDS, SYSTEM_FLAGS, FetchRow
from storage.types import BlobDigest, MailboxId, MessageId, Modseq, ThreadId, Uid
from storage.wire_columns import unpack_wire
from tenants.types import AccountId

ENOUGH_OCTETS = 1024 * 1024
"""About how much content comes with one answer."""


class MessageWithOctets(NamedTuple):
    """`octets` None: a long message, one in several blobs, or a damaged one, which says so when it is opened; or with
    `refusal` one that is out of reach. `digest` names its only blob, if there is one."""

    row: FetchRow
    octets: bytes | None
    digest: bytes | None
    refusal: ColdTierUnavailable | None = None


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
    object_id: int | None
    object_offset: int | None
    object_octets: int | None
    layout: bytes | None


_READ = Query(
    """
    SELECT uid, message_id, email_id, thread_id, octets, header_octets, received_at, saved_at, preview, flags, keywords,
           modseq, wire_version, differs_in_utf8, envelope, bodystructure, header, structure, is_small, digest, key_id,
           codec, sealed, object_id, object_offset, object_octets, layout
      FROM read_messages_v2(
          %(tenant_id)s, %(account_id)s, %(mailbox_id)s, %(uids)s, %(wire)s, %(small_octets)s, %(enough_octets)s)
    """,
    row=_Row,
)


async def read_messages(
    database: Database,
    blobs: TieredBlobs,
    keys: TenantKeys,
    account_id: AccountId,
    mailbox_id: MailboxId,
    uids: Sequence[Uid],
    *,
    with_wire_forms: bool,
) -> list[MessageWithOctets]:
    """By ascending uid, those that are still there, until ENOUGH_OCTETS of content are gathered: ask again for the uids
    after the last one, until there are none. Content in objects comes in few requests, after the connection is back."""
    async with database.read(keys.tenant_id) as connection:
        rows = await _READ.all(
            connection,
            tenant_id=keys.tenant_id,
            account_id=account_id,
            mailbox_id=mailbox_id,
            uids=uids,
            wire=with_wire_forms,
            small_octets=WHOLE_LIMIT_OCTETS,
            enough_octets=ENOUGH_OCTETS,
        )
    fetched = await blobs.fetch_for(keys.tenant_id, rows)
    return [_message(keys, row, fetched) for row in rows]


def _message(keys: TenantKeys, row: _Row, fetched: Mapping[bytes, SealedChunk | StorageError]) -> MessageWithOctets:
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
        *unpack_wire(row.envelope, row.bodystructure),
        header,
        row.structure,
        row.wire_version,
        row.differs_in_utf8,
        row.saved_at,
        row.preview,
        MessageId(row.email_id),
    )
    if not row.is_small:
        return MessageWithOctets(facts, None, None)
    chunk = fetched.get(row.digest or b"")
    if isinstance(chunk, ColdTierUnavailable):
        return MessageWithOctets(facts, None, row.digest, chunk)
    octets = header + _content(keys, row, chunk)
    return MessageWithOctets(facts, octets if len(octets) == row.octets else None, row.digest)


def _content(keys: TenantKeys, row: _Row, chunk: SealedChunk | StorageError | None) -> bytes:
    """Nothing where it is missing or does not open: the length tells. `chunk` is from an object, if it rests in one."""
    if row.key_id is not None and row.codec is not None and row.sealed is not None:
        chunk = SealedChunk(row.key_id, row.codec, row.sealed)
    if row.digest is None or not isinstance(chunk, SealedChunk):
        return b""
    try:
        return decompress(
            chunk.codec, keys.open(chunk.key_id, BlobDigest(row.digest), 0, True, chunk.codec, chunk.sealed)
        )
    except ContentDamaged:
        return b""
