"""The bin: messages that were expunged and can be brought back for a while. They stand in no mailbox.

What puts them there is `flags.expunge` (and `appending` for what REPLACE replaces).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.copies import named_refusals
from storage.query import Connection, Query
from storage.types import MailboxId, MessageId, Modseq, Uid
from tenants.types import AccountId, TenantId

PURGE_CHUNK_MESSAGES = 500
CEILING_MESSAGES = 100_000


@dataclass(frozen=True, slots=True)
class Recoverable:
    """A message in the bin. `mailbox` is what its last mailbox is called, or was when it was deleted."""

    message_id: int
    mailbox_id: int
    mailbox: str | None
    octets: int
    expunged_at: datetime
    received_at: datetime
    sender: str
    subject: str


@dataclass(frozen=True, slots=True)
class RestoredMessage:
    message_id: int
    uid: int
    modseq: int


@dataclass(frozen=True, slots=True)
class Due:
    """A message of the bin that may be deleted for good."""

    account_id: int
    message_id: int
    expunged_at: datetime


@dataclass(frozen=True, slots=True)
class Binned:
    """An account with something in the bin."""

    tenant_id: int
    account_id: int
    binned_octets: int
    binned_messages: int


@dataclass(frozen=True, slots=True)
class _Oldest:
    message_id: int
    octets: int


@dataclass(frozen=True, slots=True)
class _Purged:
    messages: int


_LIST = Query(
    """
    SELECT r.message_id, r.mailbox_id, b.name AS mailbox, r.octets, r.expunged_at, m.received_at, m.sender, m.subject
      FROM recoverable r
     CROSS JOIN LATERAL (
          SELECT g.received_at, g.sender, g.subject FROM message g
           WHERE g.tenant_id = r.tenant_id AND g.account_id = r.account_id AND g.id = r.message_id LIMIT 1) m
      LEFT JOIN mailbox b ON b.tenant_id = r.tenant_id AND b.id = r.mailbox_id
     WHERE r.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND r.account_id = %(account_id)s
       AND r.message_id > %(after)s AND (%(mailbox)s::text IS NULL OR b.name = %(mailbox)s)
       AND (%(since)s::timestamptz IS NULL OR r.expunged_at >= %(since)s)
     ORDER BY r.message_id LIMIT %(limit)s
    """,
    row=Recoverable,
)
_RESTORE = Query(
    """
    SELECT message_id, uid, modseq FROM restore_v1(
        %(tenant_id)s, %(account_id)s, %(message_ids)s, %(mailbox_id)s, %(quota_octets)s)
    """,
    row=RestoredMessage,
)
_DUE = Query(
    """
    SELECT r.account_id, r.message_id, r.expunged_at FROM recoverable r
     WHERE r.tenant_id = (SELECT waypost_tenant(%(tenant_id)s))
       AND (r.expunged_at, r.message_id) > (%(after_at)s, %(after_id)s)
       AND r.expunged_at <= now() - make_interval(days => %(days)s::integer)
       AND r.account_id <> ALL (%(frozen)s)
     ORDER BY r.expunged_at, r.message_id LIMIT %(limit)s
    """,
    row=Due,
)
_BINNED = Query(
    """
    SELECT tenant_id, account_id, binned_octets, binned_messages FROM account_state WHERE binned_messages > 0
    """,
    row=Binned,
    role="waypost_system",
    scans=["account_state"],
)
_BINNED_OF_ONE = Query(
    """
    SELECT tenant_id, account_id, binned_octets, binned_messages FROM account_state
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s
    """,
    row=Binned,
)
_OLDEST = Query(
    """
    SELECT r.message_id, r.octets FROM recoverable r
     WHERE r.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND r.account_id = %(account_id)s
     ORDER BY r.expunged_at, r.message_id LIMIT %(limit)s
    """,
    row=_Oldest,
)
_PURGE = Query(
    "SELECT purge_v1(%(tenant_id)s, %(account_id)s, %(message_ids)s) AS messages",
    row=_Purged,
)


async def page(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    *,
    after: MessageId,
    limit: int,
    mailbox: str | None = None,
    since: datetime | None = None,
) -> list[Recoverable]:
    """By ascending message id, those after `after`; of one mailbox, expunged since a moment, if that is said."""
    return await _LIST.all(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        after=after,
        limit=limit,
        mailbox=mailbox,
        since=since,
    )


async def restore(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    message_ids: Sequence[MessageId],
    mailbox_id: MailboxId,
    *,
    quota_octets: int | None,
) -> tuple[list[tuple[MessageId, Uid]], Modseq | None]:
    r"""Bring messages back at one modseq, in this order, with their flags but \Deleted. Those not in the bin are left
    out. Raises OverQuota, MailboxNotFound; then nothing was done."""
    with named_refusals(mailbox_id, quota_octets):
        rows = await _RESTORE.all(
            connection,
            tenant_id=tenant_id,
            account_id=account_id,
            message_ids=list(message_ids),
            mailbox_id=mailbox_id,
            quota_octets=quota_octets,
        )
    restored = [(MessageId(row.message_id), Uid(row.uid)) for row in rows]
    return restored, Modseq(rows[0].modseq) if rows else None


async def due(
    connection: Connection,
    tenant_id: TenantId,
    *,
    days: int,
    frozen: Collection[AccountId],
    after: tuple[datetime, int],
    limit: int = PURGE_CHUNK_MESSAGES,
) -> list[Due]:
    """What was expunged so many days ago, the oldest first, after (expunged_at, message_id); not of frozen accounts."""
    return await _DUE.all(
        connection,
        tenant_id=tenant_id,
        days=days,
        frozen=list(frozen),
        after_at=after[0],
        after_id=after[1],
        limit=limit,
    )


async def all_binned(connection: Connection) -> list[Binned]:
    """Of every account that has anything in the bin, on a system connection."""
    return await _BINNED.all(connection)


async def binned_of(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> Binned | None:
    """Of one account, on a connection that carries its tenant."""
    return await _BINNED_OF_ONE.first(connection, tenant_id=tenant_id, account_id=account_id)


async def oldest(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, *, limit: int = PURGE_CHUNK_MESSAGES
) -> list[tuple[MessageId, int]]:
    """Ids and octets of what was expunged first."""
    rows = await _OLDEST.all(connection, tenant_id=tenant_id, account_id=account_id, limit=limit)
    return [(MessageId(row.message_id), row.octets) for row in rows]


async def purge(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, message_ids: Sequence[MessageId]
) -> int:
    """Delete what is in the bin for good; returns how many were. Who calls has looked whether a hold forbids it."""
    row = await _PURGE.one(connection, tenant_id=tenant_id, account_id=account_id, message_ids=list(message_ids))
    return row.messages
