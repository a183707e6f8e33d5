"""Mailboxes with what stands above and below them: asked for and renamed in one statement each, however many they are.

A prefix is not compared by an index, for row-level security keeps that from happening; an account's mailboxes are few.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.mailboxes import MAILBOX_COLUMNS, MailboxRow
from storage.query import Connection, Query
from storage.types import Mailbox, Modseq
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class Overview:
    """How many mailboxes an account has, and the special uses they are for, with spaces between."""

    mailboxes: int
    special_uses: str


@dataclass(frozen=True, slots=True)
class Below:
    """The mailboxes below a name: how many, and of the longest name its octets, of the deepest its levels."""

    mailboxes: int
    longest_octets: int
    deepest_levels: int


_FIND_AMONG = Query(
    f"""
    SELECT {MAILBOX_COLUMNS} FROM mailbox m
     WHERE m.tenant_id = waypost_tenant(%(tenant_id)s) AND m.account_id = %(account_id)s AND m.name = ANY (%(names)s)
       AND m.deleted_at IS NULL
    """,  # noqa: S608 - our own column list
    row=MailboxRow,
)
_OVERVIEW = Query(
    """
    SELECT count(*)::integer AS mailboxes, coalesce(string_agg(m.special_use, ' '), '') AS special_uses
      FROM mailbox m
     WHERE m.tenant_id = waypost_tenant(%(tenant_id)s) AND m.account_id = %(account_id)s AND m.deleted_at IS NULL
    """,
    row=Overview,
)
_BELOW = Query(
    """
    SELECT count(*)::integer AS mailboxes, coalesce(max(octet_length(m.name)), 0) AS longest_octets,
           coalesce(max(length(m.name) - length(replace(m.name, '/', ''))), 0) + 1 AS deepest_levels
      FROM mailbox m
     WHERE m.tenant_id = waypost_tenant(%(tenant_id)s) AND m.account_id = %(account_id)s AND m.deleted_at IS NULL
       AND starts_with(m.name, %(name)s || '/')
    """,
    row=Below,
)
_RENAME = Query[None](
    """
    WITH moved AS (
        SELECT m.id, m.name, m.uidvalidity, m.is_subscribed,
               %(new)s || substr(m.name, length(%(old)s) + 1) AS new_name,
               row_number() OVER (ORDER BY m.name) - 1 + %(seq)s AS seq
          FROM mailbox m
         WHERE m.tenant_id = waypost_tenant(%(tenant_id)s) AND m.account_id = %(account_id)s AND m.deleted_at IS NULL
           AND (m.name = %(old)s OR starts_with(m.name, %(old)s || '/'))
    ), left_to_them AS (  -- subscriptions of the new names that tombstones kept
        UPDATE mailbox t SET is_subscribed = false FROM moved v
         WHERE t.tenant_id = waypost_tenant(%(tenant_id)s) AND t.account_id = %(account_id)s AND t.name = v.new_name
           AND t.deleted_at IS NOT NULL AND t.is_subscribed
        RETURNING t.name
    ), kept AS (  -- subscriptions of the old names, by tombstones that are there already
        UPDATE mailbox t SET is_subscribed = true
         WHERE t.tenant_id = waypost_tenant(%(tenant_id)s)
           AND t.id IN (SELECT DISTINCT ON (o.name) o.id FROM mailbox o JOIN moved v ON v.name = o.name
                         WHERE o.tenant_id = waypost_tenant(%(tenant_id)s) AND o.account_id = %(account_id)s
                           AND o.deleted_at IS NOT NULL AND v.is_subscribed
                         ORDER BY o.name, o.id)
        RETURNING t.name
    ), buried AS (  -- and by new ones
        INSERT INTO mailbox (tenant_id, id, account_id, name, is_subscribed, is_selectable, deleted_at, uidvalidity,
                             modseq)
        SELECT waypost_tenant(%(tenant_id)s), nextval('mail_id'), %(account_id)s, v.name, true, false, now(),
               v.uidvalidity, %(modseq)s
          FROM moved v WHERE v.is_subscribed AND NOT EXISTS (SELECT FROM kept k WHERE k.name = v.name)
    ), renamed AS (
        UPDATE mailbox m
           SET name = v.new_name, modseq = %(modseq)s,
               is_subscribed = EXISTS (SELECT FROM left_to_them t WHERE t.name = v.new_name)
          FROM moved v WHERE m.tenant_id = waypost_tenant(%(tenant_id)s) AND m.id = v.id
    )
    INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id)
    SELECT waypost_tenant(%(tenant_id)s), %(account_id)s, %(modseq)s, v.seq, 5, v.id FROM moved v
    """
)


async def find_among(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, names: Sequence[str]
) -> dict[str, Mailbox]:
    """Those of the names that are there."""
    rows = await _FIND_AMONG.all(connection, tenant_id=tenant_id, account_id=account_id, names=list(names))
    return {row.name: row.mailbox() for row in rows}


async def overview(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> Overview:
    return await _OVERVIEW.one(connection, tenant_id=tenant_id, account_id=account_id)


async def below(connection: Connection, tenant_id: TenantId, account_id: AccountId, name: str) -> Below:
    return await _BELOW.one(connection, tenant_id=tenant_id, account_id=account_id, name=name)


async def rename(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    old: str,
    new: str,
    modseq: Modseq,
    *,
    seq: int,
) -> None:
    """Rename a mailbox and all below it, under the account's lock, where `new` and what is below it are free.

    A subscription is a name's, and stays with it (RFC 9051 §6.3.6): tombstones keep those of the old names, and those
    of the new names are taken over from their tombstones. In the log the mailboxes count from `seq` on.
    """
    await _RENAME.execute(
        connection, tenant_id=tenant_id, account_id=account_id, old=old, new=new, modseq=modseq, seq=seq
    )
