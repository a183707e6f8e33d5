"""Mail that waits for its time (RFC 4865): kept, leased, released or canceled.

It is one row of `held_submission`; its octets rest as those of an `outgoing` message of the same id that has no
recipients yet. Whoever releases it takes a lease first, which is committed and raises the token; from then on nobody
can cancel it. What `finish_release` writes it writes in the transaction that queues: so it happens once, whoever was
killed before. The Email goes from Scheduled to where it belongs in the same transaction (`scheduled_mail`).
"""

from dataclasses import dataclass
from datetime import datetime

from storage import outgoing_content
from storage.database import Database
from storage.errors import StorageError
from storage.keys import TenantKeys
from storage.outbox import MessageRow, message_of
from storage.outgoing_types import BodyKind, OutgoingId, QueuedMessage, ReturnContent
from storage.query import Connection, Query
from storage.scheduled_mail import put_among_sent, put_back_among_drafts
from storage.submissions import TYPE_NAME, UndoStatus, set_status
from storage.type_states import begin_change
from storage.types import MessageId, Modseq, SubmissionId
from tenants.types import AccountId, TenantId


class ReleaseLost(StorageError):
    """Another process has the lease by now, or released it already."""

    def __init__(self, submission_id: int) -> None:
        super().__init__(f"submission {submission_id} is released by somebody else")
        self.submission_id = submission_id


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
    future_release: str | None = None


@dataclass(frozen=True, slots=True)
class DueSubmission:
    """A lease: who comes with an older token releases nothing. `is_recorded`: people see a record of it."""

    tenant_id: int
    submission_id: int
    account_id: int
    token: int
    is_recorded: bool


@dataclass(frozen=True, slots=True)
class _Fates:
    fates: str


@dataclass(frozen=True, slots=True)
class _Email:
    message_id: int


@dataclass(frozen=True, slots=True)
class _Count:
    count: int


_OF_ACCOUNT = """tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND account_id = %(account_id)s"""
_INSERT_OUTGOING = Query[None](
    """
    INSERT INTO outgoing (
        tenant_id, id, account_id, reverse_path, envelope_id, return_content, needs_utf8, body, octets, queued_at,
        content_name, future_release)
    VALUES (waypost_tenant(%(tenant_id)s), %(id)s, %(account_id)s, %(reverse_path)s, %(envelope_id)s,
            %(return_content)s::smallint, %(needs_utf8)s, %(body)s::smallint, %(octets)s, %(queued_at)s,
            %(content_name)s, %(future_release)s)
    """
)
_HOLD = Query[None](
    """
    INSERT INTO held_submission (tenant_id, submission_id, account_id, release_at, fates)
    VALUES (waypost_tenant(%(tenant_id)s), %(id)s, %(account_id)s, %(release_at)s, %(fates)s)
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
_KEEP_REQUEST = Query[None](
    """
    UPDATE outgoing SET future_release = %(future_release)s, queued_at = %(queued_at)s
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND id = %(id)s
    """
)
_REMOVE_OUTGOING = Query[None]("DELETE FROM outgoing WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND id = %(id)s")
_REMOVE_CONTENT = Query[None](
    "DELETE FROM outgoing_content WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND outgoing_id = %(id)s"
)
_LEASE = Query(
    """
    UPDATE held_submission h
       SET token = h.token + 1, leased_until = now() + make_interval(secs => %(lease_s)s)
      FROM (SELECT tenant_id, submission_id FROM held_submission
             WHERE release_at <= %(now)s AND (leased_until IS NULL OR leased_until < now())
             ORDER BY release_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED) d
     WHERE h.tenant_id = d.tenant_id AND h.submission_id = d.submission_id
    RETURNING h.tenant_id, h.submission_id, h.account_id, h.token, h.fates IS NULL AS is_recorded
    """,
    row=DueSubmission,
    role="waypost_system",
    scans=["held_submission"],  # what waits
)
_HELD_MESSAGE = Query(
    """
    SELECT o.tenant_id, o.id AS outgoing_id, o.account_id, o.reverse_path, o.envelope_id, o.return_content,
           o.needs_utf8, o.body, o.octets, o.queued_at, o.content_name, o.future_release
      FROM outgoing o
     WHERE o.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND o.id = %(id)s
    """,
    row=MessageRow,
)
_FATES = Query(
    """
    SELECT coalesce(h.fates, (SELECT s.fates FROM email_submission s
                               WHERE s.tenant_id = h.tenant_id AND s.id = h.submission_id), '{}') AS fates
      FROM held_submission h
     WHERE h.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND h.submission_id = %(id)s
    """,
    row=_Fates,
)
_EMAIL_OF = Query(
    f"SELECT message_id FROM email_submission WHERE {_OF_ACCOUNT} AND id = %(id)s",  # noqa: S608 - our own condition
    row=_Email,
)


async def hold(
    connection: Connection,
    keys: TenantKeys,
    account_id: AccountId,
    submission_id: SubmissionId,
    message: HeldMessage,
    release_at: datetime,
    *,
    fates: str | None = None,
) -> None:
    """Keep the octets until their time has come, in a transaction: beside `submissions.insert`, or with `fates`, which
    say whom it is for where there is no record."""
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
        future_release=message.future_release,
    )
    await _HOLD.execute(
        connection,
        tenant_id=keys.tenant_id,
        id=submission_id,
        account_id=account_id,
        release_at=release_at,
        fates=fates,
    )


async def count_held(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> int:
    return (await _COUNT_HELD.one(connection, tenant_id=tenant_id, account_id=account_id)).count


async def cancel(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    submission_id: SubmissionId,
    modseq: Modseq | None,
) -> Modseq | None:
    """Under the account's lock (`begin_change`), unless it has no record. Returns the last modseq taken.

    Raises ReleaseLost once it is leased.
    """
    if not await _unhold(connection, tenant_id, account_id, submission_id, token=0):
        raise ReleaseLost(submission_id)
    await _REMOVE_CONTENT.execute(connection, tenant_id=tenant_id, id=submission_id)
    if modseq is None:
        return None
    await set_status(connection, tenant_id, account_id, submission_id, UndoStatus.CANCELED, "{}", None, modseq)
    return await _move_email(connection, tenant_id, account_id, submission_id, UndoStatus.CANCELED) or modseq


# -- releasing


async def lease_due(database: Database, now: datetime, limit: int, *, lease_s: float) -> list[DueSubmission]:
    """Those whose time has come, and that nobody releases now; committed when it returns."""
    async with database.system_single() as connection:
        return await _LEASE.all(connection, now=now, limit=limit, lease_s=lease_s)


async def load_due(database: Database, due: DueSubmission) -> tuple[QueuedMessage, str] | None:
    """The message and its fates. None: it was released meanwhile, or is gone with its account."""
    tenant_id, submission_id = TenantId(due.tenant_id), due.submission_id
    async with database.read(tenant_id) as connection:
        message = await _HELD_MESSAGE.first(connection, tenant_id=tenant_id, id=submission_id)
        found = await _FATES.first(connection, tenant_id=tenant_id, id=submission_id)
    return None if message is None or found is None else (message_of(message), found.fates)


async def begin_release(connection: Connection, due: DueSubmission) -> Modseq | None:
    """In the transaction that queues: it waits no longer, and its octets are free for a queued message of this id.

    None: there is no record, so the account has nothing to be told. Raises ReleaseLost.
    """
    tenant_id, account_id = TenantId(due.tenant_id), AccountId(due.account_id)
    modseq = await begin_change(connection, tenant_id, account_id, TYPE_NAME) if due.is_recorded else None
    if not await _unhold(connection, tenant_id, account_id, SubmissionId(due.submission_id), token=due.token):
        raise ReleaseLost(due.submission_id)
    return modseq


async def keep_request(connection: Connection, message: QueuedMessage) -> None:
    """In that transaction, once it is queued: notifications tell when it arrived, and that it waited."""
    if message.future_release is not None:
        await _KEEP_REQUEST.execute(
            connection,
            tenant_id=message.tenant_id,
            id=message.id,
            future_release=message.future_release,
            queued_at=message.queued_at,
        )


async def finish_release(
    connection: Connection,
    due: DueSubmission,
    modseq: Modseq | None,
    *,
    undo_status: UndoStatus,
    fates: str,
    outgoing_id: OutgoingId | None,
) -> Modseq | None:
    """The rest of that transaction. `outgoing_id` None: none of it is queued, and its octets go.

    Returns the last modseq taken.
    """
    tenant_id, account_id = TenantId(due.tenant_id), AccountId(due.account_id)
    if outgoing_id is None:
        await _REMOVE_CONTENT.execute(connection, tenant_id=tenant_id, id=due.submission_id)
    if modseq is None:
        return None
    submission_id = SubmissionId(due.submission_id)
    await set_status(connection, tenant_id, account_id, submission_id, undo_status, fates, outgoing_id, modseq)
    return await _move_email(connection, tenant_id, account_id, submission_id, undo_status) or modseq


async def _move_email(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    submission_id: SubmissionId,
    undo_status: UndoStatus,
) -> Modseq | None:
    """Out of Scheduled, after `_unhold`. None: it stays as it is."""
    found = await _EMAIL_OF.first(connection, tenant_id=tenant_id, account_id=account_id, id=submission_id)
    if found is None:
        return None
    move = put_among_sent if undo_status is UndoStatus.FINAL else put_back_among_drafts
    return await move(connection, tenant_id, account_id, MessageId(found.message_id))


async def _unhold(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, submission_id: SubmissionId, *, token: int
) -> bool:
    gone = await _UNHOLD.execute(connection, tenant_id=tenant_id, account_id=account_id, id=submission_id, token=token)
    if gone:
        await _REMOVE_OUTGOING.execute(connection, tenant_id=tenant_id, id=submission_id)
    return gone > 0
