"""What changed since a modseq, read from the log: work grows with what changed, not with the mailbox."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.flags import as_flags
from storage.mailboxes import CHANGE_FLAGS, CHANGE_MAILBOX_DELETED, CHANGE_PLACED, CHANGE_REMOVED
from storage.query import Connection, Query
from storage.types import Flags, MailboxId, Modseq, Uid
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class MailboxChanges:
    """What a session of one mailbox must learn. `modseq` is the account's: the cursor of the next question.

    `highest_modseq` is the mailbox's (None: unchanged). A uid stands in at most one of the lists, as it is now: one
    that came and went is in none of them, unless `arrived` was told before. `is_complete` False: the log no longer
    reaches back.
    """

    modseq: Modseq
    highest_modseq: Modseq | None
    arrived: Sequence[tuple[Uid, Flags, Modseq]]
    changed: Sequence[tuple[Uid, Flags, Modseq]]
    expunged: Sequence[Uid]
    is_deleted: bool
    is_complete: bool


@dataclass(frozen=True, slots=True)
class _Row:
    account_modseq: int
    oldest_modseq: int
    kind: int | None
    uid: int | None
    modseq: int | None
    flags_after: int | None
    keywords_after: list[str] | None


@dataclass(frozen=True, slots=True)
class _AccountModseq:
    tenant_id: int
    account_id: int
    modseq: int


_SINCE = Query(
    """
    SELECT a.modseq AS account_modseq, a.oldest_modseq, c.kind, c.uid, c.modseq, c.flags_after, c.keywords_after
      FROM account_state a
      LEFT JOIN change c
        ON c.tenant_id = a.tenant_id AND c.account_id = a.account_id AND c.mailbox_id = %(mailbox_id)s
       AND c.modseq > %(modseq)s
     WHERE a.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND a.account_id = %(account_id)s
     ORDER BY c.modseq, c.seq
    """,
    row=_Row,
)
_ACCOUNT_MODSEQS = Query(
    """
    SELECT a.tenant_id, a.account_id, a.modseq FROM account_state a
      JOIN unnest(%(tenant_ids)s::bigint[], %(account_ids)s::bigint[]) AS w (tenant_id, account_id)
        ON w.tenant_id = a.tenant_id AND w.account_id = a.account_id
    """,
    row=_AccountModseq,
    role="waypost_system",
)


async def changes_since(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, mailbox_id: MailboxId, modseq: Modseq
) -> MailboxChanges:
    """Everything that happened to a mailbox after `modseq`, folded to what is true now."""
    rows = await _SINCE.all(
        connection, tenant_id=tenant_id, account_id=account_id, mailbox_id=mailbox_id, modseq=modseq
    )
    arrived: dict[int, tuple[Uid, Flags, Modseq]] = {}
    changed: dict[int, tuple[Uid, Flags, Modseq]] = {}
    expunged: list[Uid] = []
    highest: int | None = None
    is_deleted = False
    for row in rows:
        if row.kind is None or row.modseq is None:
            continue
        highest = row.modseq
        if row.kind == CHANGE_MAILBOX_DELETED:
            is_deleted = True
        if row.uid is None:
            continue
        uid = Uid(row.uid)
        if row.kind == CHANGE_REMOVED:
            changed.pop(uid, None)
            if arrived.pop(uid, None) is None:
                expunged.append(uid)
        elif row.kind in (CHANGE_PLACED, CHANGE_FLAGS):
            now = (uid, as_flags(row.flags_after or 0, row.keywords_after), Modseq(row.modseq))
            if row.kind == CHANGE_PLACED or uid in arrived:
                arrived[uid] = now
            else:
                changed[uid] = now
    return MailboxChanges(
        modseq=Modseq(rows[0].account_modseq) if rows else modseq,
        highest_modseq=Modseq(highest) if highest is not None else None,
        arrived=sorted(arrived.values(), key=lambda change: change[0]),
        changed=sorted(changed.values(), key=lambda change: change[0]),
        expunged=sorted(expunged),
        is_deleted=is_deleted,
        is_complete=not rows or modseq >= rows[0].oldest_modseq - 1,
    )


async def account_modseqs(
    connection: Connection, accounts: Sequence[tuple[TenantId, AccountId]]
) -> dict[tuple[TenantId, AccountId], Modseq]:
    """Where watched accounts stand, in one statement on a `system` connection. Unprovisioned accounts are absent."""
    rows = await _ACCOUNT_MODSEQS.all(
        connection, tenant_ids=[tenant for tenant, _ in accounts], account_ids=[account for _, account in accounts]
    )
    return {(TenantId(row.tenant_id), AccountId(row.account_id)): Modseq(row.modseq) for row in rows}
