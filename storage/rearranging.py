r"""Messages flagged, put into mailboxes and taken out of them by their ids, each in its own way, at one modseq.

In one transaction: `placements` locks the account and says where messages stand, whoever decides decides, and
`rearrange` writes that. All placements of a message keep equal flags and keywords but \Deleted: who decides sees to it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import psycopg

from storage.errors import MailboxNotFound
from storage.flags import joined_keywords
from storage.query import Connection, Query
from storage.types import Flags, MailboxId, MessageId, Modseq, SystemFlag, Uid
from tenants.policies import Keeping
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class Placement:
    """A message in a mailbox."""

    message_id: MessageId
    mailbox_id: MailboxId
    uid: Uid
    flags: Flags


@dataclass(frozen=True, slots=True)
class Addition:
    """A message that is to stand in a further mailbox."""

    message_id: MessageId
    mailbox_id: MailboxId
    flags: Flags


@dataclass(slots=True)
class Rearrangement:
    """What is to be done. Of `superseded` messages nothing is kept when they stand nowhere any more."""

    removed: list[Placement] = field(default_factory=list)
    added: list[Addition] = field(default_factory=list)
    changed: list[Placement] = field(default_factory=list)
    superseded: Collection[MessageId] = ()

    def __bool__(self) -> bool:
        return bool(self.removed or self.added or self.changed)


@dataclass(frozen=True, slots=True)
class _Placement:
    message_id: int
    mailbox_id: int
    uid: int
    flags: int
    words: str | None


@dataclass(frozen=True, slots=True)
class _Modseq:
    modseq: int


@dataclass(frozen=True, slots=True)
class _HasChanged:
    has_changed: bool


@dataclass(frozen=True, slots=True)
class _Live:
    id: int
    is_selectable: bool


_LIVE = Query(
    """
    SELECT m.id, m.is_selectable FROM mailbox m
     WHERE m.tenant_id = waypost_tenant(%(tenant_id)s) AND m.id = ANY (%(mailbox_ids)s)
       AND m.account_id = %(account_id)s AND m.deleted_at IS NULL
    """,
    row=_Live,
)
_HAS_CHANGED = Query(
    """
    SELECT EXISTS (
        SELECT FROM change c
         WHERE c.tenant_id = waypost_tenant(%(tenant_id)s) AND c.account_id = %(account_id)s
           AND c.modseq > %(since)s AND c.kind = ANY (%(kinds)s) AND c.modseq <> ALL (%(own)s)) AS has_changed
    """,
    row=_HasChanged,
)
_PLACEMENTS = Query(
    """
    SELECT message_id, mailbox_id, uid, flags, words
      FROM placements_v1(%(tenant_id)s, %(account_id)s, %(message_ids)s)
    """,
    row=_Placement,
)
_REARRANGE = Query(
    """
    SELECT modseq FROM rearrange_v1(
        %(tenant_id)s, %(account_id)s, %(keeps)s, %(is_held)s, %(superseded)s, %(removed_mailboxes)s, %(removed_uids)s,
        %(added_mailboxes)s, %(added_messages)s, %(added_flags)s, %(added_words)s, %(changed_mailboxes)s,
        %(changed_uids)s, %(changed_flags)s, %(changed_words)s) AS t (modseq)
    """,
    row=_Modseq,
)


async def placements(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, message_ids: Sequence[MessageId]
) -> dict[MessageId, list[Placement]]:
    """Lock the account until the transaction ends, and tell where those of its messages stand that stand anywhere."""
    rows = await _PLACEMENTS.all(connection, tenant_id=tenant_id, account_id=account_id, message_ids=message_ids)
    found: dict[MessageId, list[Placement]] = {}
    for row in rows:
        keywords = frozenset(row.words.split(" ")) if row.words else frozenset[str]()
        placement = Placement(
            MessageId(row.message_id),
            MailboxId(row.mailbox_id),
            Uid(row.uid),
            Flags(SystemFlag(row.flags), keywords),
        )
        found.setdefault(placement.message_id, []).append(placement)
    return found


async def has_changed(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    since: Modseq,
    *,
    mailboxes_too: bool,
    own: Collection[Modseq] = (),
) -> bool:
    """Was anything placed, removed or flagged after a modseq, but at our own? With `mailboxes_too`, or any mailbox
    changed. Under the account's lock, so that it stays so."""
    row = await _HAS_CHANGED.one(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        since=since,
        kinds=[1, 2, 3, 4, 5, 6] if mailboxes_too else [1, 2, 3],
        own=sorted(own),
    )
    return row.has_changed


async def live_mailboxes(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, mailbox_ids: Collection[MailboxId]
) -> dict[MailboxId, bool]:
    """Those of the mailboxes that live, with whether they hold mail."""
    rows = await _LIVE.all(connection, tenant_id=tenant_id, account_id=account_id, mailbox_ids=sorted(mailbox_ids))
    return {MailboxId(row.id): row.is_selectable for row in rows}


async def rearrange(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, wanted: Rearrangement, *, keeping: Keeping
) -> Modseq:
    """Do it. Messages that stand nowhere afterwards go to the bin (`recoverable`) if `keeping` says so.

    Raises MailboxNotFound (a mailbox to add to is not live or not selectable), TooManyKeywords.
    """
    try:
        row = await _REARRANGE.one(
            connection,
            tenant_id=tenant_id,
            account_id=account_id,
            keeps=keeping.keeps,
            is_held=keeping.is_held,
            superseded=list(wanted.superseded),
            removed_mailboxes=[each.mailbox_id for each in wanted.removed],
            removed_uids=[each.uid for each in wanted.removed],
            added_mailboxes=[each.mailbox_id for each in wanted.added],
            added_messages=[each.message_id for each in wanted.added],
            added_flags=[int(each.flags.system) for each in wanted.added],
            added_words=[joined_keywords(each.flags.keywords) for each in wanted.added],
            changed_mailboxes=[each.mailbox_id for each in wanted.changed],
            changed_uids=[each.uid for each in wanted.changed],
            changed_flags=[int(each.flags.system) for each in wanted.changed],
            changed_words=[joined_keywords(each.flags.keywords) for each in wanted.changed],
        )
    except psycopg.Error as refusal:
        if refusal.sqlstate == "WP003":
            raise MailboxNotFound(refusal.diag.message_detail or "") from None
        raise
    return Modseq(row.modseq)
