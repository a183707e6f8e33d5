"""What an account and its mailboxes count, beside what is there. Each statement is of one moment."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.query import Connection, Query
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class AccountCounts:
    """`found_*` are counted anew. What is in the bin counts by itself."""

    modseq: int
    used_messages: int
    used_octets: int
    binned_messages: int
    binned_octets: int
    found_messages: int
    found_octets: int
    found_binned: int
    found_binned_octets: int
    logged_modseq: int
    next_uidvalidity: int
    last_uidvalidity: int

    @property
    def is_counted(self) -> bool:
        return (self.used_messages, self.used_octets, self.binned_messages, self.binned_octets) == (
            self.found_messages,
            self.found_octets,
            self.found_binned,
            self.found_binned_octets,
        )


@dataclass(frozen=True, slots=True)
class MailboxCounts:
    """`strays` are placements whose message is not there, `foreign` those of another account."""

    id: int
    name: str
    uidnext: int
    modseq: int
    messages: int
    unseen: int
    deleted: int
    octets: int
    found_messages: int
    found_unseen: int
    found_deleted: int
    found_octets: int
    last_uid: int
    last_modseq: int
    strays: int
    foreign: int

    @property
    def is_counted(self) -> bool:
        return self.counted == self.found

    @property
    def counted(self) -> tuple[int, int, int, int]:
        return self.messages, self.unseen, self.deleted, self.octets

    @property
    def found(self) -> tuple[int, int, int, int]:
        return self.found_messages, self.found_unseen, self.found_deleted, self.found_octets


_ACCOUNT = Query(
    """
    SELECT a.modseq, a.used_messages, a.used_octets, a.binned_messages, a.binned_octets,
           s.messages - r.messages AS found_messages, s.octets - r.octets AS found_octets,
           r.messages AS found_binned, r.octets AS found_binned_octets, l.modseq AS logged_modseq,
           a.next_uidvalidity, v.uidvalidity AS last_uidvalidity
      FROM account_state a
     CROSS JOIN LATERAL (
           SELECT count(*) AS messages, coalesce(sum(m.octets), 0)::bigint AS octets FROM message m
            WHERE m.tenant_id = a.tenant_id AND m.account_id = a.account_id) s
     CROSS JOIN LATERAL (
           SELECT count(*) AS messages, coalesce(sum(m.octets), 0)::bigint AS octets
             FROM recoverable b
             JOIN message m ON m.tenant_id = b.tenant_id AND m.account_id = b.account_id AND m.id = b.message_id
            WHERE b.tenant_id = a.tenant_id AND b.account_id = a.account_id) r
     CROSS JOIN LATERAL (
           SELECT coalesce(max(c.modseq), 0) AS modseq FROM change c
            WHERE c.tenant_id = a.tenant_id AND c.account_id = a.account_id) l
     CROSS JOIN LATERAL (
           SELECT coalesce(max(m.uidvalidity), 0) AS uidvalidity FROM mailbox m
            WHERE m.tenant_id = a.tenant_id AND m.account_id = a.account_id) v
     WHERE a.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND a.account_id = %(account_id)s
    """,
    row=AccountCounts,
)
_MAILBOXES = Query(
    """
    SELECT m.id, m.name, m.uidnext, m.modseq, m.messages, m.unseen, m.deleted, m.octets, c.messages AS found_messages,
           c.unseen AS found_unseen, c.deleted AS found_deleted, c.octets AS found_octets, c.last_uid, c.last_modseq,
           c.strays, c.others AS foreign
      FROM mailbox m
     CROSS JOIN LATERAL (
           SELECT count(*) AS messages, coalesce(sum(1 - (p.flags & 1)), 0) AS unseen,
                  coalesce(sum(p.flags >> 3 & 1), 0) AS deleted, coalesce(sum(g.octets), 0)::bigint AS octets,
                  coalesce(max(p.uid), 0) AS last_uid, coalesce(max(p.modseq), 0) AS last_modseq,
                  count(*) FILTER (WHERE g.id IS NULL) AS strays,
                  count(*) FILTER (WHERE p.account_id <> m.account_id) AS others
             FROM placement p
             LEFT JOIN message g
               ON g.tenant_id = p.tenant_id AND g.account_id = p.account_id AND g.id = p.message_id
            WHERE p.tenant_id = m.tenant_id AND p.mailbox_id = m.id) c
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND m.account_id = %(account_id)s
     ORDER BY m.id
    """,
    row=MailboxCounts,
)
_LOCK = Query[None](
    """
    SELECT 1 FROM account_state a
     WHERE a.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND a.account_id = %(account_id)s FOR UPDATE
    """
)
_CORRECT_ACCOUNT = Query[None](
    """
    UPDATE account_state a
       SET modseq = %(modseq)s, used_messages = %(messages)s, used_octets = %(octets)s,
           binned_messages = %(binned)s, binned_octets = %(binned_octets)s,
           next_uidvalidity = %(next_uidvalidity)s
     WHERE a.tenant_id = waypost_tenant(%(tenant_id)s) AND a.account_id = %(account_id)s
    """
)
_CORRECT_MAILBOXES = Query[None](
    """
    WITH corrected AS (
        UPDATE mailbox m
           SET messages = u.messages, unseen = u.unseen, deleted = u.deleted, octets = u.octets, uidnext = u.uidnext,
               modseq = %(modseq)s
          FROM unnest(%(ids)s::bigint[], %(messages)s::integer[], %(unseen)s::integer[], %(deleted)s::integer[],
                      %(octets)s::bigint[], %(uidnexts)s::bigint[])
               AS u (id, messages, unseen, deleted, octets, uidnext)
         WHERE m.tenant_id = waypost_tenant(%(tenant_id)s) AND m.account_id = %(account_id)s AND m.id = u.id
        RETURNING m.id
    )
    INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id)
    SELECT waypost_tenant(%(tenant_id)s), %(account_id)s, %(modseq)s, row_number() OVER (ORDER BY c.id) - 1, 5, c.id
      FROM corrected c
    """
)


async def account_counts(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> AccountCounts | None:
    return await _ACCOUNT.first(connection, tenant_id=tenant_id, account_id=account_id)


async def mailbox_counts(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> list[MailboxCounts]:
    """Of all mailboxes, tombstones too, by id."""
    return await _MAILBOXES.all(connection, tenant_id=tenant_id, account_id=account_id)


async def lock_account(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> None:
    """In a transaction: nothing of the account changes until it ends."""
    await _LOCK.execute(connection, tenant_id=tenant_id, account_id=account_id)


async def correct_account(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, found: AccountCounts, modseq: int
) -> None:
    await _CORRECT_ACCOUNT.execute(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        modseq=modseq,
        messages=found.found_messages,
        octets=found.found_octets,
        binned=found.found_binned,
        binned_octets=found.found_binned_octets,
        next_uidvalidity=max(found.next_uidvalidity, found.last_uidvalidity + 1),
    )


async def correct_mailboxes(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, found: Sequence[MailboxCounts], modseq: int
) -> None:
    """As a change of each of them at that modseq."""
    await _CORRECT_MAILBOXES.execute(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        modseq=modseq,
        ids=[each.id for each in found],
        messages=[each.found_messages for each in found],
        unseen=[each.found_unseen for each in found],
        deleted=[each.found_deleted for each in found],
        octets=[each.found_octets for each in found],
        uidnexts=[max(each.uidnext, each.last_uid + 1) for each in found],
    )
