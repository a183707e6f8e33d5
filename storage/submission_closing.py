"""Records of submissions end: what became of them is written down, and after a while they go (RFC 8621 §7)."""

from dataclasses import dataclass

from storage.database import Database
from storage.outgoing_types import OutgoingId
from storage.query import Connection, Query
from storage.submissions import TYPE_NAME
from storage.type_states import begin_change
from storage.types import MessageId, Modseq
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class OpenSubmission:
    """One of which more may become, as far as its record knows. `open_recipients` were not over when somebody last
    looked; None: nobody has yet."""

    tenant_id: int
    account_id: int
    id: int
    outgoing_id: int
    open_recipients: int | None


@dataclass(frozen=True, slots=True)
class _InQueue:
    tenant_id: int
    outgoing_id: int
    open_recipients: int


@dataclass(frozen=True, slots=True)
class _Id:
    id: int


@dataclass(frozen=True, slots=True)
class _Account:
    tenant_id: int
    account_id: int


_OPEN = Query(
    """
    SELECT s.tenant_id, s.account_id, s.id, coalesce(s.outgoing_id, 0) AS outgoing_id, s.open_recipients
      FROM email_submission s
     WHERE s.outgoing_id IS NOT NULL AND (s.tenant_id, s.id) > (%(tenant_id)s, %(id)s)
     ORDER BY s.tenant_id, s.id LIMIT %(limit)s
    """,
    row=OpenSubmission,
    role="waypost_system",
)
_IN_QUEUE = Query(
    """
    SELECT r.tenant_id, r.outgoing_id, count(*) FILTER (WHERE r.state <> 2)::integer AS open_recipients
      FROM outgoing_recipient r
      JOIN unnest(%(tenant_ids)s::bigint[], %(ids)s::bigint[]) AS w (tenant_id, id)
        ON w.tenant_id = r.tenant_id AND w.id = r.outgoing_id
     GROUP BY r.tenant_id, r.outgoing_id
    """,
    row=_InQueue,
    role="waypost_system",
)
_CLOSE = Query[None](
    """
    UPDATE email_submission SET fates = %(fates)s, outgoing_id = NULL, modseq = %(modseq)s
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id = %(id)s
       AND outgoing_id IS NOT NULL
    """
)
_OF_OUTGOING = Query(
    """
    SELECT id FROM email_submission
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND outgoing_id = %(outgoing_id)s
       AND account_id = %(account_id)s
    """,
    row=_Id,
)
_ADD_REPORT = Query[None](
    """
    UPDATE email_submission SET report_ids = array_append(report_ids, %(message_id)s), modseq = %(modseq)s
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND outgoing_id = %(outgoing_id)s
       AND account_id = %(account_id)s
    """
)
_WRITE_SOME = Query[None](
    """
    UPDATE email_submission SET fates = %(fates)s, open_recipients = %(open_recipients)s, modseq = %(modseq)s
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id = %(id)s
       AND outgoing_id IS NOT NULL
    """
)
_LOOKED = Query[None](
    """
    UPDATE email_submission SET open_recipients = %(open_recipients)s
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


async def open_submissions(
    database: Database, after: tuple[int, int], limit: int
) -> list[tuple[OpenSubmission, int | None]]:
    """By tenant and id, those behind `after`; and how many of their recipients are not over now. None: the sender was
    told of all, too."""
    async with database.system() as connection:
        found = await _OPEN.all(connection, tenant_id=after[0], id=after[1], limit=limit)
        in_queue = await _IN_QUEUE.all(
            connection, tenant_ids=[each.tenant_id for each in found], ids=[each.outgoing_id for each in found]
        )
    open_recipients = {(each.tenant_id, each.outgoing_id): each.open_recipients for each in in_queue}
    return [(each, open_recipients.get((each.tenant_id, each.outgoing_id))) for each in found]


async def close(connection: Connection, done: OpenSubmission, fates: str, modseq: Modseq) -> None:
    """In a transaction, after `begin_change`: all that will become of it is written down."""
    await _CLOSE.execute(
        connection, tenant_id=done.tenant_id, account_id=done.account_id, id=done.id, fates=fates, modseq=modseq
    )


async def is_of_submission(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, outgoing_id: OutgoingId
) -> bool:
    """Whether there is a record of what the queue has."""
    found = await _OF_OUTGOING.first(connection, tenant_id=tenant_id, account_id=account_id, outgoing_id=outgoing_id)
    return found is not None


async def add_report(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    outgoing_id: OutgoingId,
    message_id: MessageId,
    modseq: Modseq,
) -> None:
    """In a transaction, after `begin_change`: they got a report of it."""
    await _ADD_REPORT.execute(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        outgoing_id=outgoing_id,
        message_id=message_id,
        modseq=modseq,
    )


async def write_some(
    connection: Connection, of: OpenSubmission, fates: str, open_recipients: int, modseq: Modseq
) -> None:
    """In a transaction, after `begin_change`: what became of some of its recipients."""
    await _WRITE_SOME.execute(
        connection,
        tenant_id=of.tenant_id,
        account_id=of.account_id,
        id=of.id,
        fates=fates,
        open_recipients=open_recipients,
        modseq=modseq,
    )


async def look_again(connection: Connection, of: OpenSubmission, open_recipients: int) -> None:
    """There was nothing to write, nor is there before fewer are open."""
    await _LOOKED.execute(
        connection, tenant_id=of.tenant_id, account_id=of.account_id, id=of.id, open_recipients=open_recipients
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
