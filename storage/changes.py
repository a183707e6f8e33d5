"""What changed since a modseq, read from the log: work grows with what changed, not with the mailbox."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from storage.flags import as_flags
from storage.mailboxes import CHANGE_FLAGS, CHANGE_MAILBOX_DELETED, CHANGE_PLACED, CHANGE_REMOVED
from storage.query import Connection, Query
from storage.types import Flags, MailboxId, Modseq, Uid
from tenants.types import AccountId, TenantId

FIRST_DAY = date(1970, 1, 1)
LAST_MODSEQ = Modseq(2**63 - 1)

FlagsAt = tuple[Uid, Flags, Modseq]
"""A message, its flags, and the modseq at which it got them."""
LoggedChange = tuple[Any, ...]
"""kind, uid, modseq, flags_after, keywords_after"""


@dataclass(frozen=True, slots=True)
class MailboxChanges:
    """What a session of one mailbox must learn. `modseq` is the account's: the cursor of the next question, and `day`
    the server's day when it was answered.

    `highest_modseq` is the mailbox's (None: unchanged). A uid stands in at most one of the lists, as it is now; one
    that came and went in between is among `expunged`, for a client may have heard of it elsewhere. `is_complete` False:
    the log no longer reaches back.
    """

    modseq: Modseq
    highest_modseq: Modseq | None
    arrived: Sequence[FlagsAt]
    changed: Sequence[FlagsAt]
    expunged: Sequence[Uid]
    is_deleted: bool
    is_complete: bool
    day: date = date.min


@dataclass(frozen=True, slots=True)
class _Row:
    account_modseq: int
    oldest_modseq: int
    today: date
    kind: int | None
    uid: int | None
    modseq: int | None
    flags_after: int | None
    keywords_after: list[str] | None


@dataclass(frozen=True, slots=True)
class _Placement:
    uid: int
    flags: int
    keywords: list[str] | None
    modseq: int


@dataclass(frozen=True, slots=True)
class _AccountModseq:
    tenant_id: int
    account_id: int
    modseq: int


# What is logged bears the day on which its transaction began, which may be the day before the one of a modseq that was
# read after midnight; and the transaction that reads may have begun before the one that wrote. So a day is added on
# both sides, and of all the partitions one or two are opened.
_SINCE = Query(
    """
    SELECT a.modseq AS account_modseq, a.oldest_modseq, CURRENT_DATE AS today, c.kind, c.uid, c.modseq, c.flags_after,
           c.keywords_after
      FROM account_state a
      LEFT JOIN change c
        ON c.tenant_id = a.tenant_id AND c.account_id = a.account_id AND c.mailbox_id = %(mailbox_id)s
       AND c.modseq > %(modseq)s AND c.modseq <= %(up_to)s
       AND c.logged_on >= %(since_day)s::date - 1 AND c.logged_on <= CURRENT_DATE + 1
     WHERE a.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND a.account_id = %(account_id)s
     ORDER BY c.modseq, c.seq
    """,
    row=_Row,
)
_CHANGED_PLACEMENTS = Query(
    """
    SELECT p.uid, p.flags, p.keywords, p.modseq FROM placement p
     WHERE p.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND p.mailbox_id = %(mailbox_id)s
       AND p.account_id = %(account_id)s AND p.modseq > %(modseq)s
     ORDER BY p.uid
    """,
    row=_Placement,
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
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    mailbox_id: MailboxId,
    modseq: Modseq,
    *,
    since_day: date = FIRST_DAY,
    up_to: Modseq = LAST_MODSEQ,
) -> MailboxChanges:
    """Everything that happened to a mailbox after `modseq` and until `up_to`, folded to what is true then.

    `since_day`: the day when `modseq` was read; who knows it saves looking through all the log that is kept.
    """
    rows = await _SINCE.tuples(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        mailbox_id=mailbox_id,
        modseq=modseq,
        up_to=up_to,
        since_day=since_day,
    )
    if not rows:  # the account was never provisioned
        return MailboxChanges(modseq, None, (), (), (), is_deleted=False, is_complete=True)
    account_modseq, oldest_modseq, today = rows[0][:3]
    logged = rows if rows[0][3] is not None else ()
    return folded(
        [row[3:] for row in logged],
        modseq=Modseq(account_modseq),
        day=today,
        is_complete=modseq >= oldest_modseq - 1,
    )


def folded(rows: Iterable[LoggedChange], *, modseq: Modseq, day: date, is_complete: bool) -> MailboxChanges:
    """Rows of the log in its order, as what they lead to."""
    arrived: dict[int, FlagsAt] = {}
    changed: dict[int, FlagsAt] = {}
    expunged: list[Uid] = []
    highest: int | None = None
    is_deleted = False
    for kind, uid, changed_at, bits, keywords in rows:
        highest = changed_at
        if kind == CHANGE_REMOVED:
            arrived.pop(uid, None)
            changed.pop(uid, None)
            expunged.append(Uid(uid))
        elif kind in (CHANGE_PLACED, CHANGE_FLAGS):
            now = (Uid(uid), as_flags(bits or 0, keywords), Modseq(changed_at))
            if kind == CHANGE_PLACED or uid in arrived:
                arrived[uid] = now
            else:
                changed[uid] = now
        elif kind == CHANGE_MAILBOX_DELETED:
            is_deleted = True
    return MailboxChanges(
        modseq=modseq,
        highest_modseq=Modseq(highest) if highest is not None else None,
        arrived=[arrived[uid] for uid in sorted(arrived)],
        changed=[changed[uid] for uid in sorted(changed)],
        expunged=sorted(expunged),
        is_deleted=is_deleted,
        is_complete=is_complete,
        day=day,
    )


async def flags_since(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, mailbox_id: MailboxId, modseq: Modseq
) -> list[FlagsAt]:
    """The messages of a mailbox that came or changed after `modseq`, by uid: read from all of them, without the log."""
    rows = await _CHANGED_PLACEMENTS.tuples(
        connection, tenant_id=tenant_id, account_id=account_id, mailbox_id=mailbox_id, modseq=modseq
    )
    return [(Uid(uid), as_flags(bits, keywords), Modseq(changed_at)) for uid, bits, keywords, changed_at in rows]


async def account_modseqs(
    connection: Connection, accounts: Sequence[tuple[TenantId, AccountId]]
) -> dict[tuple[TenantId, AccountId], Modseq]:
    """Where watched accounts stand, in one statement on a `system` connection. Unprovisioned accounts are absent."""
    rows = await _ACCOUNT_MODSEQS.all(
        connection, tenant_ids=[tenant for tenant, _ in accounts], account_ids=[account for _, account in accounts]
    )
    return {(TenantId(row.tenant_id), AccountId(row.account_id)): Modseq(row.modseq) for row in rows}
