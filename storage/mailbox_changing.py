"""Mailboxes changed by their ids: names of many at once, what a mailbox is for, subscriptions (RFC 8621 §2.5).

Unlike RENAME of IMAP (`mailbox_trees`), a subscription here goes with its mailbox. All under the account's lock.
"""

from collections.abc import Mapping

from storage.query import Connection, Query
from storage.types import MailboxId, Modseq
from tenants.types import AccountId, TenantId

_FREE_NAMES = Query[None](
    """
    UPDATE mailbox m SET name = chr(1) || m.id::text
     WHERE m.tenant_id = waypost_tenant(%(tenant_id)s) AND m.id = ANY (%(mailbox_ids)s)
       AND m.account_id = %(account_id)s AND m.deleted_at IS NULL
    """
)
_NAME = Query[None](
    """
    WITH named AS (
        SELECT u.id, u.name, u.seq - 1 + %(seq)s AS seq
          FROM unnest(%(mailbox_ids)s::bigint[], %(names)s::text[]) WITH ORDINALITY AS u (id, name, seq)
    ), forgotten AS (  -- subscriptions that tombstones of these names kept
        UPDATE mailbox t SET is_subscribed = false
         WHERE t.tenant_id = waypost_tenant(%(tenant_id)s) AND t.account_id = %(account_id)s
           AND t.name = ANY (%(names)s) AND t.deleted_at IS NOT NULL AND t.is_subscribed
    ), renamed AS (
        UPDATE mailbox m SET name = n.name, modseq = %(modseq)s
          FROM named n
         WHERE m.tenant_id = waypost_tenant(%(tenant_id)s) AND m.id = ANY (%(mailbox_ids)s) AND m.id = n.id
           AND m.account_id = %(account_id)s AND m.deleted_at IS NULL
    )
    INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id)
    SELECT waypost_tenant(%(tenant_id)s), %(account_id)s, %(modseq)s, n.seq, 5, n.id FROM named n
    """
)
_ALTER = Query[None](
    """
    WITH altered AS (
        UPDATE mailbox
           SET special_use = %(special_use)s, is_subscribed = %(is_subscribed)s, sort_order = %(sort_order)s,
               modseq = %(modseq)s
         WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND id = %(mailbox_id)s AND account_id = %(account_id)s
           AND deleted_at IS NULL
        RETURNING tenant_id, account_id, modseq, id
    )
    INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id)
    SELECT tenant_id, account_id, modseq, %(seq)s, 5, id FROM altered
    """
)
_BURY = Query[None](
    """
    WITH buried AS (
        UPDATE mailbox SET deleted_at = now(), is_subscribed = false, modseq = %(modseq)s
         WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND id = %(mailbox_id)s AND account_id = %(account_id)s
           AND deleted_at IS NULL
        RETURNING tenant_id, account_id, modseq, id
    )
    INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id)
    SELECT tenant_id, account_id, modseq, %(seq)s, 6, id FROM buried
    """
)
_TELL_ALL = Query[None](
    """
    WITH told AS (
        UPDATE mailbox SET modseq = %(modseq)s
         WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND deleted_at IS NULL
        RETURNING tenant_id, account_id, modseq, id
    )
    INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id)
    SELECT tenant_id, account_id, modseq, %(seq)s + row_number() OVER (ORDER BY id) - 1, 5, id FROM told
    """
)


async def rename(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    names: Mapping[MailboxId, str],
    modseq: Modseq,
    *,
    seq: int,
) -> None:
    """Give mailboxes new full names, which none but they have now. In the log they count from `seq` on."""
    whose = {"tenant_id": tenant_id, "account_id": account_id, "mailbox_ids": list(names)}
    await _FREE_NAMES.execute(connection, **whose)
    await _NAME.execute(connection, **whose, names=list(names.values()), modseq=modseq, seq=seq)


async def alter(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    mailbox_id: MailboxId,
    modseq: Modseq,
    *,
    special_use: str | None,
    is_subscribed: bool,
    sort_order: int | None,
    seq: int,
) -> None:
    await _ALTER.execute(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        mailbox_id=mailbox_id,
        modseq=modseq,
        special_use=special_use,
        is_subscribed=is_subscribed,
        sort_order=sort_order,
        seq=seq,
    )


async def bury(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    mailbox_id: MailboxId,
    modseq: Modseq,
    *,
    seq: int,
) -> None:
    """Leave a tombstone that nobody is subscribed to. Its placements are removed afterwards, in chunks."""
    await _BURY.execute(
        connection, tenant_id=tenant_id, account_id=account_id, mailbox_id=mailbox_id, modseq=modseq, seq=seq
    )


async def tell_all(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, modseq: Modseq, *, seq: int
) -> None:
    """Every mailbox may look different at this modseq, though it is as it was. In the log they count from `seq` on."""
    await _TELL_ALL.execute(connection, tenant_id=tenant_id, account_id=account_id, modseq=modseq, seq=seq)
