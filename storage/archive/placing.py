"""Statements that put archived messages into an account: the rows of messages, and where they stand.

All of them run in a transaction that has taken a modseq, so it holds the account's lock (mailboxes.take_modseq).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage.query import Connection, Query
from storage.types import BlobDigest, MailboxId, MessageId, Modseq
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class ArchivedPlacement:
    mailbox_id: MailboxId
    uid: int
    saved_at: str
    flags: int
    keywords: list[str] | None


@dataclass(frozen=True, slots=True)
class ArchivedMessage:
    """`row` is that of the table, as row_to_json gives it."""

    row: Mapping[str, Any]
    blobs: Sequence[BlobDigest]
    placements: Sequence[ArchivedPlacement]

    @property
    def id(self) -> MessageId:
        return MessageId(self.row["id"])

    @property
    def octets(self) -> int:
        return int(self.row["octets"])


@dataclass(frozen=True, slots=True)
class Placing:
    """`uid` None: the mailbox's next one. Flags are those of the message where it stands already."""

    mailbox_id: MailboxId
    message_id: MessageId
    uid: int | None
    saved_at: str
    flags: int
    keywords: list[str] | None
    octets: int


@dataclass(frozen=True, slots=True)
class Known:
    """A message of the account that an archived one is, or whose copy it is (`origin_id`). `mailbox_ids`: where it
    stands; then with these flags."""

    id: int
    origin_id: int | None
    mailbox_ids: list[int] | None
    flags: int | None
    keywords: list[str] | None


@dataclass(frozen=True, slots=True)
class _Id:
    id: int


@dataclass(frozen=True, slots=True)
class _Octets:
    octets: int


@dataclass(frozen=True, slots=True)
class _Uidnext:
    uidnext: int


@dataclass(frozen=True, slots=True)
class _Digest:
    digest: bytes


_TOUCH = Query("SELECT digest FROM touch_blobs_v1(%(tenant_id)s, %(digests)s) AS digest", row=_Digest)
_KNOWN = Query(
    """
    SELECT m.id, m.origin_id, p.mailbox_ids, p.flags, p.keywords
      FROM (SELECT f.tenant_id, f.id, f.origin_id FROM message f
             WHERE f.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND f.account_id = %(account_id)s
               AND f.id = ANY (%(message_ids)s)
             UNION
            SELECT f.tenant_id, f.id, f.origin_id FROM message f
             WHERE f.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND f.account_id = %(account_id)s
               AND f.origin_id = ANY (%(message_ids)s)) m
      LEFT JOIN LATERAL (
           SELECT array_agg(p.mailbox_id) AS mailbox_ids, min(p.flags & ~8)::smallint AS flags,
                  string_to_array((array_agg(array_to_string(p.keywords, ' ')))[1], ' ') AS keywords
             FROM placement p
            WHERE p.tenant_id = m.tenant_id AND p.message_id = m.id) p ON true
    """,
    row=Known,
)
_TAKEN = Query(
    """
    SELECT b.message_id AS id FROM message_blob b
     WHERE b.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND b.message_id = ANY (%(message_ids)s)
     UNION
    SELECT p.message_id FROM placement p
     WHERE p.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND p.message_id = ANY (%(message_ids)s)
    """,
    row=_Id,
)
_NEW_IDS = Query(
    """
    SELECT nextval('mail_id') AS id FROM generate_series(1, %(count)s) WHERE waypost_tenant(%(tenant_id)s) IS NOT NULL
    """,
    row=_Id,
)
_ADD_MESSAGES = Query[None](
    """
    INSERT INTO message (
        tenant_id, account_id, id, thread_id, created_modseq, octets, received_at, sent_at, header_octets, wire_version,
        differs_in_utf8, has_attachment, subject, base_subject, sender, recipients, preview, header, segments,
        structure, envelope, bodystructure, origin_id)
    SELECT waypost_tenant(%(tenant_id)s), %(account_id)s, r.id, r.thread_id, %(modseq)s, r.octets, r.received_at,
           r.sent_at, r.header_octets, r.wire_version, r.differs_in_utf8, r.has_attachment, r.subject, r.base_subject,
           r.sender, r.recipients, r.preview, r.header, r.segments, r.structure, r.envelope, r.bodystructure,
           r.origin_id
      FROM json_populate_recordset(NULL::message, %(rows)s::text::json) r
     WHERE waypost_tenant(%(tenant_id)s) IS NOT NULL
    """
)
_ADD_BLOBS = Query[None](
    """
    INSERT INTO message_blob (tenant_id, message_id, ordinal, digest)
    SELECT waypost_tenant(%(tenant_id)s), u.message_id, u.ordinal, u.digest
      FROM unnest(%(message_ids)s::bigint[], %(ordinals)s::bigint[], %(digests)s::bytea[])
           AS u (message_id, ordinal, digest)
    """
)
_LEAVE_BIN = Query(
    """
    DELETE FROM recoverable r
     WHERE r.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND r.account_id = %(account_id)s
       AND r.message_id = ANY (%(message_ids)s)
    RETURNING r.octets
    """,
    row=_Octets,
)
_RESERVE = Query(
    """
    UPDATE mailbox m
       SET uidnext = m.uidnext + %(reserved)s, messages = m.messages + %(messages)s, unseen = m.unseen + %(unseen)s,
           deleted = m.deleted + %(deleted)s, octets = m.octets + %(octets)s, modseq = %(modseq)s
     WHERE m.tenant_id = waypost_tenant(%(tenant_id)s) AND m.id = %(mailbox_id)s AND m.account_id = %(account_id)s
       AND m.deleted_at IS NULL
    RETURNING m.uidnext - %(reserved)s AS uidnext
    """,
    row=_Uidnext,
)
_ADD_PLACEMENTS = Query[None](
    """
    WITH placed AS (
        INSERT INTO placement (tenant_id, mailbox_id, uid, account_id, message_id, modseq, saved_at, flags, keywords)
        SELECT waypost_tenant(%(tenant_id)s), %(mailbox_id)s, r.uid, %(account_id)s, r.message_id, %(modseq)s,
               r.saved_at, r.flags, r.keywords
          FROM json_populate_recordset(NULL::placement, %(rows)s::text::json) r
         WHERE waypost_tenant(%(tenant_id)s) IS NOT NULL
        RETURNING tenant_id, account_id, modseq, mailbox_id, uid, message_id, flags, keywords
    )
    INSERT INTO change (
        tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_after, keywords_after)
    SELECT p.tenant_id, p.account_id, p.modseq, %(seq)s + row_number() OVER (ORDER BY p.uid) - 1, 1, p.mailbox_id,
           p.uid, p.message_id, p.flags, p.keywords
      FROM placed p
    """
)
_COUNT = Query[None](
    """
    UPDATE account_state a
       SET used_octets = a.used_octets + %(octets)s, used_messages = a.used_messages + %(messages)s,
           binned_octets = a.binned_octets - %(binned_octets)s,
           binned_messages = a.binned_messages - %(binned_messages)s
     WHERE a.tenant_id = waypost_tenant(%(tenant_id)s) AND a.account_id = %(account_id)s
    """
)
_RAISE_UIDNEXT = Query[None](
    """
    UPDATE mailbox m SET uidnext = greatest(m.uidnext, %(uidnext)s)
     WHERE m.tenant_id = waypost_tenant(%(tenant_id)s) AND m.id = %(mailbox_id)s AND m.account_id = %(account_id)s
    """
)
_ADD_THREADS = Query[None](
    """
    INSERT INTO thread_reference (tenant_id, account_id, reference, thread_id)
    SELECT waypost_tenant(%(tenant_id)s), %(account_id)s, u.reference, u.thread_id
      FROM unnest(%(references)s::bigint[], %(thread_ids)s::bigint[]) AS u (reference, thread_id)
    ON CONFLICT DO NOTHING
    """
)


async def claim(connection: Connection, tenant_id: TenantId, digests: Sequence[BlobDigest]) -> set[BlobDigest]:
    """Those that are here; they are not collected until the transaction ends, nor for a while after."""
    rows = await _TOUCH.all(connection, tenant_id=tenant_id, digests=sorted(set(digests)))
    return {BlobDigest(row.digest) for row in rows}


async def known(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, ids: Sequence[MessageId]
) -> list[Known]:
    return await _KNOWN.all(connection, tenant_id=tenant_id, account_id=account_id, message_ids=list(ids))


async def taken(connection: Connection, tenant_id: TenantId, ids: Sequence[MessageId]) -> set[MessageId]:
    """Ids that messages of the tenant have, whose ever."""
    return {MessageId(row.id) for row in await _TAKEN.all(connection, tenant_id=tenant_id, message_ids=list(ids))}


async def new_ids(connection: Connection, tenant_id: TenantId, count: int) -> list[MessageId]:
    if not count:
        return []
    return [MessageId(row.id) for row in await _NEW_IDS.all(connection, tenant_id=tenant_id, count=count)]


async def add_messages(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    modseq: Modseq,
    messages: Sequence[tuple[MessageId, ArchivedMessage]],
) -> None:
    """Under the given ids; one that is not the archived id is a copy of what had that."""
    rows = [
        {**message.row, "id": message_id, "origin_id": _origin(message_id, message)} for message_id, message in messages
    ]
    await _ADD_MESSAGES.execute(
        connection, tenant_id=tenant_id, account_id=account_id, modseq=modseq, rows=json.dumps(rows)
    )
    blobs = [(message_id, at, each) for message_id, message in messages for at, each in enumerate(message.blobs)]
    await _ADD_BLOBS.execute(
        connection,
        tenant_id=tenant_id,
        message_ids=[message_id for message_id, _, _ in blobs],
        ordinals=[at for _, at, _ in blobs],
        digests=[digest for _, _, digest in blobs],
    )


def _origin(message_id: MessageId, message: ArchivedMessage) -> int | None:
    origin = message.row.get("origin_id")
    if origin is None and message_id != message.id:
        return message.id
    return None if origin is None else int(origin)


async def leave_bin(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, ids: Sequence[MessageId]
) -> list[int]:
    """Messages that stand somewhere again; returns the octets of each that was in the bin."""
    if not ids:
        return []
    rows = await _LEAVE_BIN.all(connection, tenant_id=tenant_id, account_id=account_id, message_ids=list(ids))
    return [row.octets for row in rows]


async def add_placements(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    modseq: Modseq,
    placings: Sequence[Placing],
) -> None:
    """With their changes in the log, and in the counts of the mailboxes, which are locked in the order of their ids."""
    seq = 0
    for mailbox_id in sorted({placing.mailbox_id for placing in placings}):
        some = [placing for placing in placings if placing.mailbox_id == mailbox_id]
        reserved = await _RESERVE.one(
            connection,
            tenant_id=tenant_id,
            account_id=account_id,
            mailbox_id=mailbox_id,
            modseq=modseq,
            reserved=sum(placing.uid is None for placing in some),
            messages=len(some),
            unseen=sum(not placing.flags & 1 for placing in some),
            deleted=sum(bool(placing.flags & 8) for placing in some),
            octets=sum(placing.octets for placing in some),
        )
        uidnext = reserved.uidnext
        rows = []
        for placing in some:
            uid = placing.uid
            if uid is None:
                uid, uidnext = uidnext, uidnext + 1
            rows.append(
                {"uid": uid, "message_id": placing.message_id, "saved_at": placing.saved_at, "flags": placing.flags,
                 "keywords": placing.keywords}
            )  # fmt: skip
        await _ADD_PLACEMENTS.execute(
            connection,
            tenant_id=tenant_id,
            account_id=account_id,
            mailbox_id=mailbox_id,
            modseq=modseq,
            seq=seq,
            rows=json.dumps(rows),
        )
        seq += len(rows)


async def count(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, octets: Sequence[int], binned: Sequence[int]
) -> None:
    """Messages that the account uses now: `octets` of new ones, `binned` of those that were in the bin."""
    await _COUNT.execute(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        octets=sum(octets) + sum(binned),
        messages=len(octets) + len(binned),
        binned_octets=sum(binned),
        binned_messages=len(binned),
    )


async def raise_uidnext(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, mailbox_id: MailboxId, uidnext: int
) -> None:
    await _RAISE_UIDNEXT.execute(
        connection, tenant_id=tenant_id, account_id=account_id, mailbox_id=mailbox_id, uidnext=uidnext
    )


async def add_threads(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, references: Sequence[tuple[int, int]]
) -> None:
    """Message ids that are not known to belong to a thread yet."""
    await _ADD_THREADS.execute(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        references=[reference for reference, _ in references],
        thread_ids=[thread_id for _, thread_id in references],
    )
