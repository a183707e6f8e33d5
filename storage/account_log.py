"""The log of an account: what happened to its messages and mailboxes, in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from storage.account_contents import lower, moment_of
from storage.mailboxes import CHANGE_PLACED, CHANGE_REMOVED
from storage.query import Connection, Query
from storage.search_pages import NEVER
from storage.type_states import HIDING_FLAG, OTHERS_COLUMNS, others_of
from storage.types import Modseq
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """Of one message, as the arrays of AccountContents have them."""

    thread_id: int
    received: int
    sent: int
    octets: int
    has_attachment: bool


class Logged(NamedTuple):
    r"""One row of the log. `facts` are those of a message that was placed, unless it is gone by now; `thread_id` that
    of one that was removed. A change of mailboxes has no message and no uid.

    Of a placement: `was_shown` before, and `is_shown` since, is that it stands there without \Deleted.
    """

    modseq: int
    seq: int
    kind: int
    mailbox_id: int
    uid: int
    message_id: int
    flags_before: int
    flags_after: int
    keywords_after: frozenset[str]
    thread_id: int
    facts: MessageFacts | None = None

    @property
    def was_shown(self) -> bool:
        return self.kind != CHANGE_PLACED and not self.flags_before & HIDING_FLAG

    @property
    def is_shown(self) -> bool:
        return self.kind != CHANGE_REMOVED and not self.flags_after & HIDING_FLAG


@dataclass(frozen=True, slots=True)
class AccountAdvance:
    """What happened to an account since a modseq, in the order in which it did. `is_whole` False: more than asked for,
    or the log no longer reaches back, and then nothing of it is told."""

    epoch: int
    modseq: Modseq
    day: date
    oldest_modseq: int
    others: dict[str, Modseq]
    logged: Sequence[Logged]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class _Advance:
    epoch: int
    modseq: int
    today: date
    oldest_modseq: int
    type_names: list[str] | None
    type_modseqs: list[int] | None
    changed_at: int | None
    seq: int | None
    kind: int | None
    mailbox_id: int | None
    uid: int | None
    message_id: int | None
    flags_before: int | None
    flags_after: int | None
    keywords_after: list[str] | None
    removed_thread_id: int | None
    thread_id: int | None
    received_at: datetime | None
    sent_at: datetime | None
    octets: int | None
    has_attachment: bool | None


@dataclass(frozen=True, slots=True)
class _Logged:
    oldest_modseq: int
    modseq: int | None
    seq: int | None
    kind: int | None
    mailbox_id: int | None
    uid: int | None
    message_id: int | None
    flags_before: int | None
    flags_after: int | None
    thread_id: int | None


_ADVANCE = Query(
    f"""
    SELECT a.epoch, a.modseq, CURRENT_DATE AS today, a.oldest_modseq,
           {OTHERS_COLUMNS},
           c.modseq AS changed_at, c.seq, c.kind, c.mailbox_id, c.uid, c.message_id, c.flags_before, c.flags_after,
           c.keywords_after, c.thread_id AS removed_thread_id, m.thread_id, m.received_at, m.sent_at, m.octets,
           m.has_attachment
      FROM account_state a
      LEFT JOIN LATERAL (
        SELECT c.modseq, c.seq, c.kind, c.mailbox_id, c.uid, c.message_id, c.flags_before, c.flags_after,
               c.keywords_after, c.thread_id
          FROM change c
         WHERE c.tenant_id = a.tenant_id AND c.account_id = a.account_id AND c.modseq > %(modseq)s
           AND c.logged_on >= %(since_day)s::date - 1 AND c.logged_on <= CURRENT_DATE + 1
           AND a.epoch = %(epoch)s
         ORDER BY c.modseq, c.seq LIMIT %(limit)s) c ON true
      LEFT JOIN LATERAL (
        SELECT o.thread_id, o.received_at, o.sent_at, o.octets, o.has_attachment
          FROM message o
         WHERE c.kind = 1 AND o.tenant_id = a.tenant_id AND o.account_id = a.account_id AND o.id = c.message_id) m
        ON true
     WHERE a.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND a.account_id = %(account_id)s
     ORDER BY c.modseq, c.seq
    """,  # noqa: S608 - our own column list
    row=_Advance,
)
_LOG = Query(
    """
    SELECT a.oldest_modseq, c.modseq, c.seq, c.kind, c.mailbox_id, c.uid, c.message_id, c.flags_before, c.flags_after,
           c.thread_id
      FROM account_state a
      LEFT JOIN LATERAL (
        SELECT c.modseq, c.seq, c.kind, c.mailbox_id, c.uid, c.message_id, c.flags_before, c.flags_after, c.thread_id
          FROM change c
         WHERE c.tenant_id = a.tenant_id AND c.account_id = a.account_id
           AND c.modseq >= %(first)s AND c.modseq <= %(last)s
         ORDER BY c.modseq, c.seq LIMIT %(limit)s) c ON true
     WHERE a.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND a.account_id = %(account_id)s
     ORDER BY c.modseq, c.seq
    """,
    row=_Logged,
)


async def advance(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    *,
    epoch: int,
    modseq: Modseq,
    since_day: date,
    limit: int,
) -> AccountAdvance | None:
    """What was logged after `modseq` of this epoch, read on `since_day`, if that is less than `limit` rows."""
    rows = await _ADVANCE.all(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        epoch=epoch,
        modseq=modseq,
        since_day=since_day,
        limit=limit,
    )
    if not rows:
        return None
    first = rows[0]
    is_whole = first.epoch == epoch and first.oldest_modseq <= modseq + 1 and len(rows) < limit
    return AccountAdvance(
        epoch=first.epoch,
        modseq=Modseq(first.modseq),
        day=first.today,
        oldest_modseq=first.oldest_modseq,
        others=others_of(first.type_names, first.type_modseqs),
        logged=[_logged(row) for row in rows if row.kind is not None] if is_whole else (),
        is_whole=is_whole,
    )


async def log_between(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, *, first: int, last: int, limit: int
) -> list[Logged] | None:
    """The log from a modseq to another, both included, in its order.

    None: there are `limit` rows or more, or it no longer reaches back so far.
    """
    rows = await _LOG.tuples(
        connection, tenant_id=tenant_id, account_id=account_id, first=first, last=last, limit=limit
    )
    if not rows or len(rows) >= limit or rows[0][0] > first:
        return None
    if rows[0][1] is None:
        return []
    return [
        Logged(
            modseq, seq, kind, mailbox_id, uid or 0, message_id or 0, before or 0, after or 0, _NO_KEYWORDS, thread or 0
        )
        for _, modseq, seq, kind, mailbox_id, uid, message_id, before, after, thread in rows
    ]


_NO_KEYWORDS: frozenset[str] = frozenset()


def _logged(row: _Advance) -> Logged:
    facts = None
    if row.thread_id is not None and row.received_at is not None:
        facts = MessageFacts(
            thread_id=row.thread_id,
            received=moment_of(row.received_at),
            sent=NEVER if row.sent_at is None else moment_of(row.sent_at),
            octets=row.octets or 0,
            has_attachment=bool(row.has_attachment),
        )
    return Logged(
        modseq=row.changed_at or 0,
        seq=row.seq or 0,
        kind=row.kind or 0,
        mailbox_id=row.mailbox_id or 0,
        uid=row.uid or 0,
        message_id=row.message_id or 0,
        flags_before=row.flags_before or 0,
        flags_after=row.flags_after or 0,
        keywords_after=lower(row.keywords_after) if row.keywords_after else _NO_KEYWORDS,
        thread_id=row.removed_thread_id or 0,
        facts=facts,
    )
