"""What people sent, and what waits for its time (RFC 8621 §7, RFC 4865).

Held mail is one row of `held_submission`; its octets rest as those of an `outgoing` message of the same id that has no
recipients yet. Whoever releases it takes a lease first, which is committed and raises the token; from then on nobody
can cancel it. What `finish_release` writes it writes in the transaction that queues: so it happens once, whoever was
killed before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from storage import outgoing_content
from storage.database import Database
from storage.errors import StorageError
from storage.identities import ChangedRow
from storage.keys import TenantKeys
from storage.outbox import MessageRow, message_of
from storage.outgoing_types import BodyKind, EventKind, OutgoingId, QueuedMessage, QueueState, ReturnContent
from storage.query import Connection, Query
from storage.type_states import begin_change
from storage.types import IdentityId, MessageId, Modseq, SubmissionId, ThreadId
from tenants.types import AccountId, TenantId

TYPE_NAME = "EmailSubmission"


class UndoStatus(IntEnum):
    PENDING = 0
    FINAL = 1
    CANCELED = 2


class ReleaseLost(StorageError):
    """Another process has the lease by now, or released it already."""

    def __init__(self, submission_id: int) -> None:
        super().__init__(f"submission {submission_id} is released by somebody else")
        self.submission_id = submission_id


@dataclass(frozen=True, slots=True)
class Submission:
    """`envelope` and `fates` are JSON, as the service that writes them has them."""

    id: int
    identity_id: int
    message_id: int
    thread_id: int
    envelope: str
    fates: str
    send_at: datetime
    undo_status: int
    outgoing_id: int | None


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
class HeldMessage:
    """The octets that will be sent, and the part of the envelope that the queue keeps with them."""

    octets: memoryview
    reverse_path: str
    envelope_id: str | None
    return_content: ReturnContent | None
    needs_utf8: bool
    body: BodyKind
    accepted_at: datetime


@dataclass(frozen=True, slots=True)
class DueSubmission:
    """A lease: who comes with an older token releases nothing."""

    tenant_id: int
    submission_id: int
    account_id: int
    token: int


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
class OpenSubmission:
    """One of which more may become, as far as its record knows."""

    tenant_id: int
    account_id: int
    id: int
    outgoing_id: int


@dataclass(frozen=True, slots=True)
class _Id:
    id: int


@dataclass(frozen=True, slots=True)
class _Count:
    count: int


@dataclass(frozen=True, slots=True)
class _Account:
    tenant_id: int
    account_id: int


_NEXT_ID = Query("SELECT nextval('mail_id') AS id", row=_Id)
_OF_ACCOUNT = """tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND account_id = %(account_id)s"""
_FIND = Query(
    f"""
    SELECT id, identity_id, message_id, thread_id, envelope, fates, send_at, undo_status, outgoing_id
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
_INSERT_OUTGOING = Query[None](
    """
    INSERT INTO outgoing (
        tenant_id, id, account_id, reverse_path, envelope_id, return_content, needs_utf8, body, octets, queued_at,
        content_name)
    VALUES (waypost_tenant(%(tenant_id)s), %(id)s, %(account_id)s, %(reverse_path)s, %(envelope_id)s,
            %(return_content)s::smallint, %(needs_utf8)s, %(body)s::smallint, %(octets)s, %(queued_at)s,
            %(content_name)s)
    """
)
_HOLD = Query[None](
    """
    INSERT INTO held_submission (tenant_id, submission_id, account_id, release_at)
    VALUES (waypost_tenant(%(tenant_id)s), %(id)s, %(account_id)s, %(release_at)s)
    """
)
_COUNT_HELD = Query(
    f"SELECT count(*)::integer AS count FROM held_submission WHERE {_OF_ACCOUNT}",  # noqa: S608 - our own condition
    row=_Count,
)
_UNHOLD = Query[None](
    """
    DELETE FROM held_submission
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND submission_id = %(id)s
       AND token = %(token)s
    """
)
_REMOVE_OUTGOING = Query[None]("DELETE FROM outgoing WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND id = %(id)s")
_REMOVE_CONTENT = Query[None](
    "DELETE FROM outgoing_content WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND outgoing_id = %(id)s"
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
_LEASE = Query(
    """
    UPDATE held_submission h
       SET token = h.token + 1, leased_until = now() + make_interval(secs => %(lease_s)s)
      FROM (SELECT tenant_id, submission_id FROM held_submission
             WHERE release_at <= %(now)s AND (leased_until IS NULL OR leased_until < now())
             ORDER BY release_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED) d
     WHERE h.tenant_id = d.tenant_id AND h.submission_id = d.submission_id
    RETURNING h.tenant_id, h.submission_id, h.account_id, h.token
    """,
    row=DueSubmission,
    role="waypost_system",
    scans=["held_submission"],  # what waits
)
_HELD_MESSAGE = Query(
    """
    SELECT o.tenant_id, o.id AS outgoing_id, o.account_id, o.reverse_path, o.envelope_id, o.return_content,
           o.needs_utf8, o.body, o.octets, o.queued_at, o.content_name
      FROM outgoing o
     WHERE o.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND o.id = %(id)s
    """,
    row=MessageRow,
)
_HELD_SUBMISSION = Query(
    f"""
    SELECT id, identity_id, message_id, thread_id, envelope, fates, send_at, undo_status, outgoing_id
      FROM email_submission WHERE {_OF_ACCOUNT} AND id = %(id)s
    """,  # noqa: S608 - our own condition
    row=Submission,
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
_OPEN = Query(
    """
    SELECT s.tenant_id, s.account_id, s.id, coalesce(s.outgoing_id, 0) AS outgoing_id FROM email_submission s
     WHERE s.outgoing_id IS NOT NULL AND (s.tenant_id, s.id) > (%(tenant_id)s, %(id)s)
     ORDER BY s.tenant_id, s.id LIMIT %(limit)s
    """,
    row=OpenSubmission,
    role="waypost_system",
)
_WAITING = Query(
    """
    SELECT DISTINCT r.outgoing_id AS id FROM outgoing_recipient r
      JOIN unnest(%(tenant_ids)s::bigint[], %(ids)s::bigint[]) AS w (tenant_id, id)
        ON w.tenant_id = r.tenant_id AND w.id = r.outgoing_id
     WHERE r.state <> 2
    """,
    row=_Id,
    role="waypost_system",
)
_CLOSE = Query[None](
    """
    UPDATE email_submission SET fates = %(fates)s, outgoing_id = NULL, modseq = %(modseq)s
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id = %(id)s
       AND outgoing_id IS NOT NULL
    """
)
_OLD = Query(
    """
    SELECT DISTINCT tenant_id, account_id FROM email_submission
     WHERE send_at < now() - make_interval(secs => %(kept_s)s) AND undo_status <> 0 AND NOT is_destroyed
     LIMIT %(limit)s
    """,
    row=_Account,
    role="waypost_system",
    scans=["email_submission"],  # of two months, once in hours
)
_DESTROY_OLD = Query[None](
    """
    UPDATE email_submission SET is_destroyed = true, modseq = %(modseq)s
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND undo_status <> 0
       AND NOT is_destroyed AND send_at < now() - make_interval(secs => %(kept_s)s)
    """
)
_FORGET = Query[None](
    """
    DELETE FROM email_submission s USING account_state a
     WHERE s.is_destroyed AND s.undo_status <> 0 AND a.tenant_id = s.tenant_id AND a.account_id = s.account_id
       AND s.modseq < a.oldest_modseq
    """,
    role="waypost_system",
    scans=["email_submission", "account_state"],
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


async def hold(
    connection: Connection,
    keys: TenantKeys,
    account_id: AccountId,
    submission_id: SubmissionId,
    message: HeldMessage,
    release_at: datetime,
) -> None:
    """Keep the octets until their time has come. Beside `insert`, in one transaction."""
    outgoing_id = OutgoingId(submission_id)
    name = outgoing_content.new_content_name()
    for chunk in range(outgoing_content.last_chunk(len(message.octets)) + 1):
        sealed = await outgoing_content.seal(keys, name, message.octets, chunk)
        await outgoing_content.put(connection, keys, outgoing_id, sealed)
    await _INSERT_OUTGOING.execute(
        connection,
        tenant_id=keys.tenant_id,
        id=outgoing_id,
        account_id=account_id,
        reverse_path=message.reverse_path,
        envelope_id=message.envelope_id,
        return_content=None if message.return_content is None else int(message.return_content),
        needs_utf8=message.needs_utf8,
        body=int(message.body),
        octets=len(message.octets),
        queued_at=message.accepted_at,
        content_name=name,
    )
    await _HOLD.execute(
        connection, tenant_id=keys.tenant_id, id=submission_id, account_id=account_id, release_at=release_at
    )


async def count_held(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> int:
    return (await _COUNT_HELD.one(connection, tenant_id=tenant_id, account_id=account_id)).count


async def cancel(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, submission_id: SubmissionId, modseq: Modseq
) -> bool:
    """Under the account's lock (`begin_change`). False: it is released, or about to be."""
    if not await _unhold(connection, tenant_id, account_id, submission_id, token=0):
        return False
    await _REMOVE_CONTENT.execute(connection, tenant_id=tenant_id, id=submission_id)
    await _set_status(connection, tenant_id, account_id, submission_id, UndoStatus.CANCELED, "{}", None, modseq)
    return True


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


# -- releasing


async def lease_due(database: Database, now: datetime, limit: int, *, lease_s: float) -> list[DueSubmission]:
    """Those whose time has come, and that nobody releases now; committed when it returns."""
    async with database.system_single() as connection:
        return await _LEASE.all(connection, now=now, limit=limit, lease_s=lease_s)


async def load_due(database: Database, due: DueSubmission) -> tuple[QueuedMessage, Submission] | None:
    """None: it was released meanwhile, or is gone with its account."""
    tenant_id, submission_id = TenantId(due.tenant_id), due.submission_id
    async with database.read(tenant_id) as connection:
        message = await _HELD_MESSAGE.first(connection, tenant_id=tenant_id, id=submission_id)
        found = await _HELD_SUBMISSION.first(
            connection, tenant_id=tenant_id, account_id=due.account_id, id=submission_id
        )
    return None if message is None or found is None else (message_of(message), found)


async def begin_release(connection: Connection, due: DueSubmission) -> Modseq:
    """In the transaction that queues: it waits no longer, and its octets are free for a queued message of this id.

    Raises ReleaseLost.
    """
    tenant_id, account_id = TenantId(due.tenant_id), AccountId(due.account_id)
    modseq = await begin_change(connection, tenant_id, account_id, TYPE_NAME)
    if not await _unhold(connection, tenant_id, account_id, SubmissionId(due.submission_id), token=due.token):
        raise ReleaseLost(due.submission_id)
    return modseq


async def finish_release(
    connection: Connection,
    due: DueSubmission,
    modseq: Modseq,
    *,
    undo_status: UndoStatus,
    fates: str,
    outgoing_id: OutgoingId | None,
) -> None:
    """The rest of that transaction. `outgoing_id` None: none of it is queued, and its octets go."""
    tenant_id, account_id = TenantId(due.tenant_id), AccountId(due.account_id)
    if outgoing_id is None:
        await _REMOVE_CONTENT.execute(connection, tenant_id=tenant_id, id=due.submission_id)
    submission_id = SubmissionId(due.submission_id)
    await _set_status(connection, tenant_id, account_id, submission_id, undo_status, fates, outgoing_id, modseq)


async def _unhold(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, submission_id: SubmissionId, *, token: int
) -> bool:
    gone = await _UNHOLD.execute(connection, tenant_id=tenant_id, account_id=account_id, id=submission_id, token=token)
    if gone:
        await _REMOVE_OUTGOING.execute(connection, tenant_id=tenant_id, id=submission_id)
    return gone > 0


async def _set_status(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    submission_id: SubmissionId,
    undo_status: UndoStatus,
    fates: str,
    outgoing_id: OutgoingId | None,
    modseq: Modseq,
) -> None:
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


# -- upkeep


async def open_submissions(
    database: Database, after: tuple[int, int], limit: int
) -> tuple[list[OpenSubmission], list[OpenSubmission]]:
    """By tenant and id, those behind `after`; and which of them the queue is done with."""
    async with database.system() as connection:
        found = await _OPEN.all(connection, tenant_id=after[0], id=after[1], limit=limit)
        waiting = await _WAITING.all(
            connection, tenant_ids=[each.tenant_id for each in found], ids=[each.outgoing_id for each in found]
        )
    busy = {each.id for each in waiting}
    return found, [each for each in found if each.outgoing_id not in busy]


async def close(connection: Connection, done: OpenSubmission, fates: str, modseq: Modseq) -> None:
    """In a transaction, after `begin_change`: all that will become of it is written down."""
    await _CLOSE.execute(
        connection, tenant_id=done.tenant_id, account_id=done.account_id, id=done.id, fates=fates, modseq=modseq
    )


async def destroy_old(database: Database, *, kept_s: float, limit: int = 500) -> int:
    """Records of what was sent or canceled so long ago. Returns of how many accounts."""
    async with database.system_single() as connection:
        old = await _OLD.all(connection, kept_s=kept_s, limit=limit)
    for each in old:
        tenant_id, account_id = TenantId(each.tenant_id), AccountId(each.account_id)
        async with database.transaction(tenant_id) as connection:
            modseq = await begin_change(connection, tenant_id, account_id, TYPE_NAME)
            await _DESTROY_OLD.execute(
                connection, tenant_id=tenant_id, account_id=account_id, modseq=modseq, kept_s=kept_s
            )
    return len(old)


async def forget_destroyed(connection: Connection) -> int:
    """On a `system` connection: tombstones that no state reaches back to. Returns how many went."""
    return await _FORGET.execute(connection)


def is_over(recipient: Recipient) -> bool:
    """Whether the queue is done with it, but for telling the sender."""
    return recipient.kind is not None or recipient.state == QueueState.ENDED
