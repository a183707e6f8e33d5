"""What people sent, or will: the records of submissions that they see (RFC 8621 §7).

`held_mail` keeps what waits for its time, `submission_closing` ends records of which nothing more will become.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from storage.identities import ChangedRow
from storage.outgoing_types import EventKind, OutgoingId, QueueState
from storage.query import Connection, Query
from storage.types import IdentityId, MessageId, Modseq, SubmissionId, ThreadId
from tenants.types import AccountId, TenantId

TYPE_NAME = "EmailSubmission"


class UndoStatus(IntEnum):
    PENDING = 0
    FINAL = 1
    CANCELED = 2


@dataclass(frozen=True, slots=True)
class Submission:
    """`envelope` and `fates` are JSON, as the service that writes them has them. `report_ids` are
    messages, some of them perhaps gone."""

    id: int
    identity_id: int
    message_id: int
    thread_id: int
    envelope: str
    fates: str
    send_at: datetime
    undo_status: int
    outgoing_id: int | None
    report_ids: list[int]


@dataclass(frozen=True, slots=True)
class SubmissionFacts:
    """What submissions are searched and sorted by."""

    id: int
    identity_id: int
    message_id: int
    thread_id: int
    send_at: datetime
    undo_status: int


@dataclass(frozen=True, slots=True)
class NewSubmission:
    identity_id: IdentityId
    message_id: MessageId
    thread_id: ThreadId
    envelope: str
    send_at: datetime
    undo_status: UndoStatus
    fates: str = "{}"
    outgoing_id: OutgoingId | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """What the queue knows of an address: `state` of `QueueState`, or `kind` of the event that was its last."""

    outgoing_id: int
    address: str
    state: int | None
    kind: int | None
    reply_code: int | None
    reply_enhanced: str | None
    reply_text: str | None


@dataclass(frozen=True, slots=True)
class _Id:
    id: int


_NEXT_ID = Query("SELECT nextval('mail_id') AS id", row=_Id)
_OF_ACCOUNT = """tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND account_id = %(account_id)s"""
_FIND = Query(
    f"""
    SELECT id, identity_id, message_id, thread_id, envelope, fates, send_at, undo_status, outgoing_id, report_ids
      FROM email_submission WHERE {_OF_ACCOUNT} AND id = ANY (%(ids)s) AND NOT is_destroyed
    """,  # noqa: S608 - our own condition
    row=Submission,
)
_FACTS = Query(
    f"""
    SELECT id, identity_id, message_id, thread_id, send_at, undo_status
      FROM email_submission WHERE {_OF_ACCOUNT} AND NOT is_destroyed ORDER BY id
    """,  # noqa: S608 - our own condition
    row=SubmissionFacts,
)
_CHANGED = Query(
    f"""
    SELECT id, modseq, created_modseq, is_destroyed
      FROM email_submission WHERE {_OF_ACCOUNT} AND modseq > %(since)s ORDER BY modseq, id
    """,  # noqa: S608 - our own condition
    row=ChangedRow,
)
_INSERT = Query[None](
    """
    INSERT INTO email_submission (
        tenant_id, id, account_id, identity_id, message_id, thread_id, envelope, fates, send_at, undo_status,
        outgoing_id, created_modseq, modseq)
    VALUES (waypost_tenant(%(tenant_id)s), %(id)s, %(account_id)s, %(identity_id)s, %(message_id)s, %(thread_id)s,
            %(envelope)s, %(fates)s, %(send_at)s, %(undo_status)s::smallint, %(outgoing_id)s, %(modseq)s, %(modseq)s)
    """
)
_SET_STATUS = Query[None](
    """
    UPDATE email_submission
       SET undo_status = %(undo_status)s::smallint, fates = %(fates)s, outgoing_id = %(outgoing_id)s,
           modseq = %(modseq)s
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id = %(id)s
    """
)
_DESTROY = Query(
    """
    UPDATE email_submission SET is_destroyed = true, modseq = %(modseq)s
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id = ANY (%(ids)s)
       AND NOT is_destroyed
    RETURNING id
    """,
    row=_Id,
)
_RECIPIENTS = Query(
    f"""
    SELECT outgoing_id, address, state, kind, reply_code, reply_enhanced, reply_text FROM (
        SELECT r.outgoing_id, r.address, r.state, NULL::smallint AS kind, r.reply_code, r.reply_enhanced, r.reply_text,
               0 AS at
          FROM outgoing_recipient r
         WHERE r.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND r.outgoing_id = ANY (%(ids)s)
        UNION ALL
        SELECT e.outgoing_id, e.address, NULL::smallint, e.kind, e.reply_code, e.reply_enhanced, e.reply_text, e.id
          FROM event e
         WHERE e.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND e.outgoing_id = ANY (%(ids)s)
           AND e.address IS NOT NULL AND e.kind IN ({EventKind.DELIVERED:d}, {EventKind.BOUNCED:d},
                                                    {EventKind.EXPIRED:d}, {EventKind.REMOVED:d})
    ) known ORDER BY known.kind IS NULL, known.at
    """,  # noqa: S608 - our own numbers
    row=Recipient,
)


# -- what people see


async def find(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, ids: Sequence[SubmissionId]
) -> dict[SubmissionId, Submission]:
    rows = await _FIND.all(connection, tenant_id=tenant_id, account_id=account_id, ids=list(ids))
    return {SubmissionId(row.id): row for row in rows}


async def facts(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> list[SubmissionFacts]:
    """Of all that are there, by id."""
    return await _FACTS.all(connection, tenant_id=tenant_id, account_id=account_id)


async def changed(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, since: Modseq
) -> list[ChangedRow]:
    """In the order of their last changes."""
    return await _CHANGED.all(connection, tenant_id=tenant_id, account_id=account_id, since=since)


async def recipients(connection: Connection, tenant_id: TenantId, ids: Sequence[OutgoingId]) -> list[Recipient]:
    """Those that left the queue, as far back as events are kept, oldest first; then those still in it."""
    return await _RECIPIENTS.all(connection, tenant_id=tenant_id, ids=list(ids)) if ids else []


def is_over(recipient: Recipient) -> bool:
    """Whether the queue is done with it, but for telling the sender."""
    return recipient.kind is not None or recipient.state == QueueState.ENDED


# -- writing, in transactions


async def next_id(connection: Connection) -> SubmissionId:
    return SubmissionId((await _NEXT_ID.one(connection)).id)


async def insert(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    submission_id: SubmissionId,
    new: NewSubmission,
    modseq: Modseq,
) -> None:
    await _INSERT.execute(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        id=submission_id,
        identity_id=new.identity_id,
        message_id=new.message_id,
        thread_id=new.thread_id,
        envelope=new.envelope,
        fates=new.fates,
        send_at=new.send_at,
        undo_status=int(new.undo_status),
        outgoing_id=new.outgoing_id,
        modseq=modseq,
    )


async def set_status(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    submission_id: SubmissionId,
    undo_status: UndoStatus,
    fates: str,
    outgoing_id: OutgoingId | None,
    modseq: Modseq,
) -> None:
    """Under the account's lock. Where there is no record, nothing happens."""
    await _SET_STATUS.execute(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        id=submission_id,
        undo_status=int(undo_status),
        fates=fates,
        outgoing_id=outgoing_id,
        modseq=modseq,
    )


async def destroy(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    ids: Sequence[SubmissionId],
    modseq: Modseq,
) -> set[SubmissionId]:
    """The records alone: what waits is sent all the same. Returns those that were there."""
    rows = await _DESTROY.all(connection, tenant_id=tenant_id, account_id=account_id, ids=list(ids), modseq=modseq)
    return {SubmissionId(row.id) for row in rows}
