"""A mailbox as its sessions see it: two packed arrays, loaded in one statement, or brought up to date in one.

Postgres packs the columns, so that 100,000 messages cost Python two copies of bytes rather than 100,000 rows. Whoever
holds a picture of the mailbox already is told only what changed since, with the same answer that says where it stands.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from storage.changes import FIRST_DAY, MailboxChanges, folded
from storage.errors import MailboxNotFound
from storage.mailboxes import MAILBOX_COLUMNS, MailboxRow
from storage.packed_numbers import unpacked
from storage.query import Connection, Query
from storage.types import Mailbox, MailboxId, Modseq
from tenants.types import AccountId, TenantId

CATCH_UP_ROWS = 2_000
"""A picture that more has happened to is drawn anew: that costs less."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The messages of a mailbox at `modseq`, its own. Nobody writes to the arrays, so many may hold them.

    `uids` ascend (array of 32-bit "I"), `flags` holds SystemFlag bits beside them ("B"), `keywords` only the uids that
    have any. The account was at `account_modseq` on `day`, in its `epoch`; nothing had happened here since `modseq`.
    """

    mailbox_id: MailboxId
    epoch: int
    modseq: Modseq
    account_modseq: Modseq
    day: date
    uids: "array[int]"
    flags: "array[int]"
    keywords: dict[int, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Contents:
    """A consistent view of one mailbox at `account_modseq`; the arrays are those of a Picture."""

    mailbox: Mailbox
    account_modseq: Modseq
    day: date
    epoch: int
    uids: "array[int]"
    flags: "array[int]"
    keywords: dict[int, frozenset[str]]

    def picture(self) -> Picture:
        return Picture(
            self.mailbox.id,
            self.epoch,
            self.mailbox.modseq,
            self.account_modseq,
            self.day,
            self.uids,
            self.flags,
            self.keywords,
        )


@dataclass(frozen=True, slots=True)
class _Packed(MailboxRow):
    account_modseq: int
    epoch: int
    today: date
    uids: bytes | None
    flags: bytes | None
    keyword_uids: list[int] | None
    keywords: list[str] | None


@dataclass(frozen=True, slots=True)
class _Unchanged(MailboxRow):
    account_modseq: int
    today: date


@dataclass(frozen=True, slots=True)
class _Opened(_Packed):
    is_known: bool
    kind: int | None
    uid: int | None
    changed_at: int | None
    flags_after: int | None
    keywords_after: list[str] | None


_PACKED_COLUMNS = """a.modseq AS account_modseq, a.epoch, CURRENT_DATE AS today, p.uids, p.flags, p.keyword_uids,
           p.keywords"""
_PACKED = """
        SELECT string_agg(int4send((CASE WHEN o.uid < 2147483648 THEN o.uid ELSE o.uid - 4294967296 END)::integer), ''
                          ORDER BY o.uid) AS uids,
               string_agg(int2send(o.flags), '' ORDER BY o.uid) AS flags,
               array_agg(o.uid ORDER BY o.uid) FILTER (WHERE o.keywords IS NOT NULL) AS keyword_uids,
               array_agg(array_to_string(o.keywords, ' ') ORDER BY o.uid)
                   FILTER (WHERE o.keywords IS NOT NULL) AS keywords
          FROM placement o"""
_LOAD = Query(
    f"""
    SELECT {MAILBOX_COLUMNS}, {_PACKED_COLUMNS}
      FROM mailbox m
      JOIN account_state a ON a.tenant_id = m.tenant_id AND a.account_id = m.account_id
     CROSS JOIN ({_PACKED}
         WHERE o.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND o.mailbox_id = %(mailbox_id)s) p
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s))
       AND m.id = %(mailbox_id)s AND m.account_id = %(account_id)s AND m.deleted_at IS NULL
    """,  # noqa: S608 - our own column list
    row=_Packed,
)
# Most mailboxes that are opened again are as they were, and to make ready what `_OPEN` might have to do costs more than
# this.
_IS_UNCHANGED = Query(
    f"""
    SELECT {MAILBOX_COLUMNS}, a.modseq AS account_modseq, CURRENT_DATE AS today
      FROM mailbox m
      JOIN account_state a ON a.tenant_id = m.tenant_id AND a.account_id = m.account_id
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s))
       AND m.account_id = %(account_id)s AND m.name = %(name)s AND m.deleted_at IS NULL
       AND m.id = %(known_id)s AND m.modseq = %(known_modseq)s AND a.epoch = %(known_epoch)s
    """,  # noqa: S608 - our own column list
    row=_Unchanged,
)
# `k` says whether the picture is one of this mailbox from which the log still leads on. The two subqueries begin with a
# test that needs no row of theirs, so only one of them is run, and neither where nothing has changed.
_OPEN = Query(
    f"""
    SELECT {MAILBOX_COLUMNS}, {_PACKED_COLUMNS}, k.is_known, c.kind, c.uid, c.modseq AS changed_at,
           c.flags_after, c.keywords_after
      FROM mailbox m
      JOIN account_state a ON a.tenant_id = m.tenant_id AND a.account_id = m.account_id
     CROSS JOIN LATERAL (
        SELECT m.id = %(known_id)s AND a.epoch = %(known_epoch)s
           AND a.oldest_modseq <= %(known_account_modseq)s::bigint + 1 AS is_known) k
     CROSS JOIN LATERAL ({_PACKED}
         WHERE o.tenant_id = m.tenant_id AND o.mailbox_id = m.id AND NOT k.is_known) p
      LEFT JOIN LATERAL (
        SELECT c.kind, c.uid, c.modseq, c.seq, c.flags_after, c.keywords_after
          FROM change c
         WHERE k.is_known AND m.modseq > %(known_modseq)s
           AND c.tenant_id = m.tenant_id AND c.account_id = m.account_id AND c.mailbox_id = %(known_id)s
           AND c.modseq > %(known_account_modseq)s
           AND c.logged_on >= %(known_day)s::date - 1 AND c.logged_on <= CURRENT_DATE + 1
         ORDER BY c.modseq, c.seq LIMIT %(limit)s) c ON true
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s))
       AND m.account_id = %(account_id)s AND m.name = %(name)s AND m.deleted_at IS NULL
     ORDER BY c.modseq, c.seq
    """,  # noqa: S608 - our own column list
    row=_Opened,
)


async def load(connection: Connection, tenant_id: TenantId, account_id: AccountId, mailbox_id: MailboxId) -> Contents:
    """The mailbox at one moment. Raises MailboxNotFound."""
    row = await _LOAD.first(connection, tenant_id=tenant_id, account_id=account_id, mailbox_id=mailbox_id)
    if row is None:
        raise MailboxNotFound(str(mailbox_id))
    return _contents(row)


async def open_named(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, name: str, known: Picture | None
) -> Contents | None:
    """The live mailbox of this name at one moment, from a picture of it if that saves work; None: there is none."""
    if known is not None:
        same = await _IS_UNCHANGED.first(
            connection,
            tenant_id=tenant_id,
            account_id=account_id,
            name=name,
            known_id=known.mailbox_id,
            known_modseq=known.modseq,
            known_epoch=known.epoch,
        )
        if same is not None:
            modseq = Modseq(same.account_modseq)
            return Contents(same.mailbox(), modseq, same.today, known.epoch, known.uids, known.flags, known.keywords)
    rows = await _OPEN.all(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        name=name,
        known_id=known.mailbox_id if known else 0,
        known_epoch=known.epoch if known else 0,
        known_modseq=known.modseq if known else 0,
        known_account_modseq=known.account_modseq if known else 0,
        known_day=known.day if known else FIRST_DAY,
        limit=CATCH_UP_ROWS,
    )
    if not rows:
        return None
    first = rows[0]
    if known is None or not first.is_known:
        return _contents(first)
    if len(rows) >= CATCH_UP_ROWS:
        return await load(connection, tenant_id, account_id, known.mailbox_id)
    if first.kind is None:
        return Contents(
            first.mailbox(),
            Modseq(first.account_modseq),
            first.today,
            first.epoch,
            known.uids,
            known.flags,
            known.keywords,
        )
    logged = [(row.kind, row.uid, row.changed_at, row.flags_after, row.keywords_after) for row in rows]
    modseq = Modseq(first.account_modseq)
    later = advanced(known, folded(logged, modseq=modseq, day=first.today, is_complete=True))
    return Contents(first.mailbox(), modseq, first.today, first.epoch, later.uids, later.flags, later.keywords)


def advanced(known: Picture, changes: MailboxChanges) -> Picture:
    """The picture after the changes; what they do not touch is shared with the one before."""
    uids, flags, keywords = known.uids, known.flags, known.keywords
    if changes.expunged:
        positions = [place for uid in changes.expunged if (place := _place(uids, uid)) is not None]
        uids, flags = without(uids, positions), without(flags, positions)
    if changes.changed or changes.arrived:
        flags = flags[:]
    for uid, now, _ in changes.changed:
        if (place := _place(uids, uid)) is not None:
            flags[place] = now.system
    if changes.arrived:
        uids = uids[:]
        for uid, now, _ in changes.arrived:
            uids.append(uid)
            flags.append(now.system)
    touched = [(uid, now.keywords) for uid, now, _ in (*changes.changed, *changes.arrived)]
    if any(words or uid in keywords for uid, words in touched) or not keywords.keys().isdisjoint(changes.expunged):
        keywords = keywords | dict(touched)
        for uid in (*changes.expunged, *(uid for uid, words in touched if not words)):
            keywords.pop(uid, None)
    modseq = changes.highest_modseq or known.modseq
    return Picture(known.mailbox_id, known.epoch, modseq, changes.modseq, changes.day, uids, flags, keywords)


def without(numbers: "array[int]", positions: Sequence[int]) -> "array[int]":
    """A copy without the elements at the ascending positions, made of the stretches between them."""
    kept = array(numbers.typecode)
    begin = 0
    for position in positions:
        if position > begin:
            kept.extend(numbers[begin:position])
        begin = position + 1
    kept.extend(numbers[begin:])
    return kept


def _place(uids: "array[int]", uid: int) -> int | None:
    place = bisect_left(uids, uid)
    return place if place < len(uids) and uids[place] == uid else None


def _contents(row: _Packed) -> Contents:
    return Contents(
        mailbox=row.mailbox(),
        account_modseq=Modseq(row.account_modseq),
        day=row.today,
        epoch=row.epoch,
        uids=unpacked("I", row.uids),
        flags=array("B", (row.flags or b"")[1::2]),
        keywords=_keywords(row.keyword_uids or (), row.keywords or ()),
    )


def _keywords(uids: Sequence[int], words: Sequence[str]) -> dict[int, frozenset[str]]:
    """Equal sets are one object: many messages bear the same keywords, and all of them may bear some."""
    distinct = {each: frozenset(each.split(" ")) for each in set(words)}
    return dict(zip(uids, map(distinct.__getitem__, words), strict=True))
