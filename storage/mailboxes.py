"""Mailboxes of an account: making, naming, removing and finding them. Names are Unicode in NFC, "/" parts levels."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.query import Connection, Query
from storage.types import Mailbox, MailboxId, Modseq, Uid, UidValidity
from tenants.types import AccountId, TenantId

CHANGE_PLACED, CHANGE_FLAGS, CHANGE_REMOVED = 1, 2, 3
CHANGE_MAILBOX_MADE, CHANGE_MAILBOX_ALTERED, CHANGE_MAILBOX_DELETED = 4, 5, 6

MAILBOX_COLUMNS = """m.id, m.name, m.special_use, m.is_subscribed, m.is_selectable, m.deleted_at, m.uidvalidity,
           m.uidnext, m.modseq, m.first_recent_uid, m.messages, m.unseen, m.octets, m.deleted"""


@dataclass(frozen=True, slots=True)
class MailboxRow:
    id: int
    name: str
    special_use: str | None
    is_subscribed: bool
    is_selectable: bool
    deleted_at: datetime | None
    uidvalidity: int
    uidnext: int
    modseq: int
    first_recent_uid: int
    messages: int
    unseen: int
    octets: int
    deleted: int

    def mailbox(self) -> Mailbox:
        return Mailbox(
            id=MailboxId(self.id),
            name=self.name,
            special_use=self.special_use,
            is_subscribed=self.is_subscribed,
            is_selectable=self.is_selectable,
            is_deleted=self.deleted_at is not None,
            uidvalidity=UidValidity(self.uidvalidity),
            uidnext=Uid(self.uidnext),
            modseq=Modseq(self.modseq),
            first_recent_uid=Uid(self.first_recent_uid),
            messages=self.messages,
            unseen=self.unseen,
            octets=self.octets,
            deleted=self.deleted,
        )


@dataclass(frozen=True, slots=True)
class _Modseq:
    modseq: int


@dataclass(frozen=True, slots=True)
class _Id:
    id: int


@dataclass(frozen=True, slots=True)
class _Validity:
    uidvalidity: int


@dataclass(frozen=True, slots=True)
class _Recent:
    mailbox_id: int
    messages: int


@dataclass(frozen=True, slots=True)
class _Deleted:
    mailbox_id: int
    octets: int


@dataclass(frozen=True, slots=True)
class _FirstRecent:
    first_recent_uid: int


_LIST = Query(
    f"""
    SELECT {MAILBOX_COLUMNS} FROM mailbox m
     WHERE m.tenant_id = waypost_tenant(%(tenant_id)s) AND m.account_id = %(account_id)s
       AND (m.deleted_at IS NULL OR m.is_subscribed)
     ORDER BY m.name
    """,  # noqa: S608 - our own column list
    row=MailboxRow,
)
_FIND = Query(
    f"""
    SELECT {MAILBOX_COLUMNS} FROM mailbox m
     WHERE m.tenant_id = waypost_tenant(%(tenant_id)s) AND m.account_id = %(account_id)s AND m.name = %(name)s
       AND m.deleted_at IS NULL
    """,  # noqa: S608 - our own column list
    row=MailboxRow,
)
_TAKE_MODSEQ = Query(
    """
    UPDATE account_state SET modseq = modseq + 1
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s
    RETURNING modseq
    """,
    row=_Modseq,
)
_TAKE_UIDVALIDITY = Query(
    """
    UPDATE account_state SET next_uidvalidity = next_uidvalidity + 1
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s
    RETURNING next_uidvalidity - 1 AS uidvalidity
    """,
    row=_Validity,
)
_INSERT = Query(
    """
    WITH made AS (
        INSERT INTO mailbox AS m (
            tenant_id, id, account_id, name, special_use, is_subscribed, is_selectable, uidvalidity, modseq)
        VALUES (waypost_tenant(%(tenant_id)s), nextval('mail_id'), %(account_id)s, %(name)s, %(special_use)s,
                %(is_subscribed)s, %(is_selectable)s, %(uidvalidity)s, %(modseq)s)
        RETURNING m.*
    ), logged AS (
        INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id)
        SELECT m.tenant_id, m.account_id, m.modseq, %(seq)s, 4, m.id FROM made m
    )
    SELECT m.id, m.name, m.special_use, m.is_subscribed, m.is_selectable, m.deleted_at, m.uidvalidity, m.uidnext,
           m.modseq, m.first_recent_uid, m.messages, m.unseen, m.octets, m.deleted
      FROM made m
    """,
    row=MailboxRow,
)
_FORGET_TOMBSTONES = Query(
    """
    UPDATE mailbox SET is_subscribed = false
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND name = %(name)s
       AND deleted_at IS NOT NULL AND is_subscribed
    RETURNING id
    """,
    row=_Id,
)
_SET_SUBSCRIBED = Query[None](
    """
    WITH altered AS (
        UPDATE mailbox SET is_subscribed = %(is_subscribed)s, modseq = %(modseq)s
         WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND name = %(name)s
           AND is_subscribed <> %(is_subscribed)s AND (deleted_at IS NULL OR NOT %(is_subscribed)s)
        RETURNING tenant_id, account_id, modseq, id
    )
    INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id)
    SELECT tenant_id, account_id, modseq, row_number() OVER () - 1, 5, id FROM altered
    """
)
_BURY = Query[None](
    """
    WITH buried AS (
        UPDATE mailbox SET deleted_at = now(), modseq = %(modseq)s
         WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND id = %(mailbox_id)s AND account_id = %(account_id)s
        RETURNING tenant_id, account_id, modseq, id
    )
    INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id)
    SELECT tenant_id, account_id, modseq, 0, 6, id FROM buried
    """
)
_REVIVE = Query[None](
    """
    WITH revived AS (
        UPDATE mailbox SET is_selectable = true, uidvalidity = %(uidvalidity)s, uidnext = 1, first_recent_uid = 1,
               special_use = %(special_use)s, modseq = %(modseq)s
         WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND id = %(mailbox_id)s AND account_id = %(account_id)s
        RETURNING tenant_id, account_id, modseq, id
    )
    INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id)
    SELECT tenant_id, account_id, modseq, 0, 5, id FROM revived
    """
)
_CLAIM_RECENT = Query(
    """
    WITH before AS (
        SELECT m.tenant_id, m.id, m.first_recent_uid FROM mailbox m
         WHERE m.tenant_id = waypost_tenant(%(tenant_id)s) AND m.id = %(mailbox_id)s AND m.first_recent_uid < m.uidnext
           FOR UPDATE
    )
    UPDATE mailbox m SET first_recent_uid = m.uidnext FROM before b
     WHERE m.tenant_id = b.tenant_id AND m.id = b.id
    RETURNING b.first_recent_uid
    """,
    row=_FirstRecent,
)
_COUNT_RECENT = Query(
    """
    SELECT m.id AS mailbox_id, count(*)::integer AS messages
      FROM mailbox m
      JOIN placement p ON p.tenant_id = m.tenant_id AND p.mailbox_id = m.id AND p.uid >= m.first_recent_uid
     WHERE m.tenant_id = waypost_tenant(%(tenant_id)s) AND m.id = ANY (%(mailbox_ids)s)
       AND m.first_recent_uid < m.uidnext
     GROUP BY m.id
    """,
    row=_Recent,
)
_SUM_DELETED = Query(
    """
    SELECT m.id AS mailbox_id, sum(g.octets)::bigint AS octets
      FROM mailbox m
      JOIN placement p ON p.tenant_id = m.tenant_id AND p.mailbox_id = m.id AND p.flags & 8 <> 0
      JOIN message g ON g.tenant_id = p.tenant_id AND g.account_id = p.account_id AND g.id = p.message_id
     WHERE m.tenant_id = waypost_tenant(%(tenant_id)s) AND m.id = ANY (%(mailbox_ids)s) AND m.deleted > 0
     GROUP BY m.id
    """,
    row=_Deleted,
)


async def list_mailboxes(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> list[Mailbox]:
    """Live mailboxes, and tombstones that are still subscribed, by name."""
    rows = await _LIST.all(connection, tenant_id=tenant_id, account_id=account_id)
    return [row.mailbox() for row in rows]


async def find(connection: Connection, tenant_id: TenantId, account_id: AccountId, name: str) -> Mailbox | None:
    row = await _FIND.first(connection, tenant_id=tenant_id, account_id=account_id, name=name)
    return row.mailbox() if row else None


async def take_modseq(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> Modseq | None:
    """Lock the account and take its next modseq; None when the account was never provisioned."""
    row = await _TAKE_MODSEQ.first(connection, tenant_id=tenant_id, account_id=account_id)
    return Modseq(row.modseq) if row else None


async def insert(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    name: str,
    modseq: Modseq,
    *,
    seq: int = 0,
    is_selectable: bool = True,
    special_use: str | None = None,
) -> Mailbox:
    r"""Make a mailbox (or a \Noselect name) with the account's next uidvalidity; it takes over the subscription of
    its tombstones."""
    validity = await _TAKE_UIDVALIDITY.one(connection, tenant_id=tenant_id, account_id=account_id)
    buried = await _FORGET_TOMBSTONES.all(connection, tenant_id=tenant_id, account_id=account_id, name=name)
    row = await _INSERT.one(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        name=name,
        special_use=special_use,
        is_subscribed=bool(buried),
        is_selectable=is_selectable,
        uidvalidity=validity.uidvalidity,
        modseq=modseq,
        seq=seq,
    )
    return row.mailbox()


async def set_subscribed(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    name: str,
    modseq: Modseq,
    *,
    is_subscribed: bool,
) -> bool:
    """Whether that altered anything. Only what lives can be subscribed to; a tombstone can be unsubscribed from."""
    altered = await _SET_SUBSCRIBED.execute(
        connection, tenant_id=tenant_id, account_id=account_id, name=name, modseq=modseq, is_subscribed=is_subscribed
    )
    return altered > 0


async def bury(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, mailbox_id: MailboxId, modseq: Modseq
) -> None:
    """Leave a tombstone. Its placements are removed afterwards, in chunks."""
    await _BURY.execute(connection, tenant_id=tenant_id, account_id=account_id, mailbox_id=mailbox_id, modseq=modseq)


async def revive(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    mailbox_id: MailboxId,
    modseq: Modseq,
    *,
    special_use: str | None = None,
) -> None:
    r"""Make a \Noselect name, which never held a message, a mailbox: a new one for clients, by its uidvalidity."""
    validity = await _TAKE_UIDVALIDITY.one(connection, tenant_id=tenant_id, account_id=account_id)
    await _REVIVE.execute(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        mailbox_id=mailbox_id,
        uidvalidity=validity.uidvalidity,
        special_use=special_use,
        modseq=modseq,
    )


async def count_recent(
    connection: Connection, tenant_id: TenantId, mailbox_ids: Sequence[MailboxId]
) -> dict[MailboxId, int]:
    r"""How many messages are \Recent to the next session, without mailboxes that have none."""
    rows = await _COUNT_RECENT.all(connection, tenant_id=tenant_id, mailbox_ids=list(mailbox_ids))
    return {MailboxId(row.mailbox_id): row.messages for row in rows}


async def sum_deleted(
    connection: Connection, tenant_id: TenantId, mailbox_ids: Sequence[MailboxId]
) -> dict[MailboxId, int]:
    r"""The octets of messages with \Deleted, without mailboxes that have none."""
    rows = await _SUM_DELETED.all(connection, tenant_id=tenant_id, mailbox_ids=list(mailbox_ids))
    return {MailboxId(row.mailbox_id): row.octets for row in rows}


async def claim_recent(connection: Connection, tenant_id: TenantId, mailbox_id: MailboxId) -> Uid | None:
    r"""Make this session the one to which messages are \Recent: uids from the answer on; None when there are none."""
    row = await _CLAIM_RECENT.first(connection, tenant_id=tenant_id, mailbox_id=mailbox_id)
    return Uid(row.first_recent_uid) if row else None
