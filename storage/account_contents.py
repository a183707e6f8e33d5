"""An account's mail as JMAP sees it: packed arrays of all its messages, loaded in one statement; and its mailboxes.

Postgres packs the columns, so that 100,000 messages cost Python some copies of bytes rather than 100,000 rows. What is
in the bin comes along: its facts are as true as before should it be brought back.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from storage.mailboxes import MAILBOX_COLUMNS, MailboxRow
from storage.packed_numbers import unpacked
from storage.query import Connection, Query
from storage.type_states import STATE_COLUMNS, StateRow, TypeStates, type_states
from storage.types import Mailbox, MailboxId, Modseq
from tenants.types import AccountId, TenantId

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an account stands: its epoch and modseq, and the first modseq that the log still has."""

    epoch: int
    modseq: int
    oldest_modseq: int


@dataclass(frozen=True, slots=True)
class AccountContents:
    """An account at `modseq` on `day`, in equally long arrays. Moments are microseconds since 2000, NEVER for none.

    Messages stand by ascending id; placements, \\Deleted ones too, by mailbox and ascending uid. Tombstones may have
    some that are not removed yet. `keywords` has those that have any, in lower case.
    """

    modseq: Modseq
    day: date
    states: TypeStates
    ids: "array[int]"
    threads: "array[int]"
    received: "array[int]"
    sent: "array[int]"
    octets: "array[int]"
    attachments: bytes
    placed_in: "array[int]"
    uids: "array[int]"
    placed: "array[int]"
    flags: bytes
    keywords: dict[int, frozenset[str]]


@dataclass(frozen=True, slots=True)
class MailboxesAt:
    """Live mailboxes with the places people gave them (None: none), when the account was at `modseq`."""

    modseq: Modseq
    mailboxes: dict[MailboxId, Mailbox]
    sort_orders: dict[MailboxId, int | None]


@dataclass(frozen=True, slots=True)
class _Packed(StateRow):
    modseq: int
    today: date
    ids: bytes | None
    threads: bytes | None
    received: bytes | None
    sent: bytes | None
    octets: bytes | None
    attachments: bytes | None
    placed_in: bytes | None
    uids: bytes | None
    placed: bytes | None
    flags: bytes | None
    keyword_ids: list[int] | None
    keywords: list[str] | None


@dataclass(frozen=True, slots=True)
class _Mailbox(MailboxRow):
    sort_order: int | None
    account_modseq: int


_STANDING = Query(
    """
    SELECT a.epoch, a.modseq, a.oldest_modseq FROM account_state a
     WHERE a.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND a.account_id = %(account_id)s
    """,
    row=Standing,
)
_LOAD = Query(
    f"""
    SELECT {STATE_COLUMNS}, a.modseq, CURRENT_DATE AS today,
           m.ids, m.threads, m.received, m.sent, m.octets, m.attachments,
           p.placed_in, p.uids, p.placed, p.flags, p.keyword_ids, p.keywords
      FROM account_state a
     CROSS JOIN (
        SELECT string_agg(int8send(o.id), '' ORDER BY o.id) AS ids,
               string_agg(int8send(o.thread_id), '' ORDER BY o.id) AS threads,
               string_agg(timestamptz_send(o.received_at), '' ORDER BY o.id) AS received,
               string_agg(timestamptz_send(coalesce(o.sent_at, '-infinity'::timestamptz)), '' ORDER BY o.id) AS sent,
               string_agg(int8send(o.octets), '' ORDER BY o.id) AS octets,
               string_agg(boolsend(o.has_attachment), '' ORDER BY o.id) AS attachments
          FROM message o
         WHERE o.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND o.account_id = %(account_id)s) m
     CROSS JOIN (
        SELECT string_agg(int8send(o.mailbox_id), '' ORDER BY o.mailbox_id, o.uid) AS placed_in,
               string_agg(int8send(o.uid), '' ORDER BY o.mailbox_id, o.uid) AS uids,
               string_agg(int8send(o.message_id), '' ORDER BY o.mailbox_id, o.uid) AS placed,
               string_agg(int2send(o.flags), '' ORDER BY o.mailbox_id, o.uid) AS flags,
               array_agg(o.message_id ORDER BY o.mailbox_id, o.uid) FILTER (WHERE o.keywords IS NOT NULL)
                   AS keyword_ids,
               array_agg(array_to_string(o.keywords, ' ') ORDER BY o.mailbox_id, o.uid)
                   FILTER (WHERE o.keywords IS NOT NULL) AS keywords
          FROM mailbox b
         CROSS JOIN LATERAL (
            SELECT p.mailbox_id, p.uid, p.message_id, p.flags, p.keywords
              FROM placement p
             WHERE p.tenant_id = b.tenant_id AND p.mailbox_id = b.id AND p.account_id = b.account_id) o
         WHERE b.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND b.account_id = %(account_id)s) p
     WHERE a.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND a.account_id = %(account_id)s
    """,  # noqa: S608 - our own column list
    row=_Packed,
)
_MAILBOXES = Query(
    f"""
    SELECT {MAILBOX_COLUMNS}, m.sort_order, a.modseq AS account_modseq
      FROM account_state a
      JOIN mailbox m ON m.tenant_id = a.tenant_id AND m.account_id = a.account_id AND m.deleted_at IS NULL
     WHERE a.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND a.account_id = %(account_id)s
     ORDER BY m.name
    """,  # noqa: S608 - our own column list
    row=_Mailbox,
)


async def standing(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> Standing | None:
    """None: the account was never provisioned."""
    return await _STANDING.first(connection, tenant_id=tenant_id, account_id=account_id)


async def load(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> AccountContents | None:
    """All of an account at one moment; None: it was never provisioned."""
    row = await _LOAD.first(connection, tenant_id=tenant_id, account_id=account_id)
    if row is None:
        return None
    return AccountContents(
        modseq=Modseq(row.modseq),
        day=row.today,
        states=type_states(row),
        ids=unpacked("q", row.ids),
        threads=unpacked("q", row.threads),
        received=unpacked("q", row.received),
        sent=unpacked("q", row.sent),
        octets=unpacked("q", row.octets),
        attachments=row.attachments or b"",
        placed_in=unpacked("q", row.placed_in),
        uids=unpacked("q", row.uids),
        placed=unpacked("q", row.placed),
        flags=(row.flags or b"")[1::2],
        keywords=_keywords(row.keyword_ids or (), row.keywords or ()),
    )


async def mailboxes(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> MailboxesAt:
    """Those that are not deleted, by name."""
    rows = await _MAILBOXES.all(connection, tenant_id=tenant_id, account_id=account_id)
    return MailboxesAt(
        modseq=Modseq(rows[0].account_modseq if rows else 0),
        mailboxes={MailboxId(row.id): row.mailbox() for row in rows},
        sort_orders={MailboxId(row.id): row.sort_order for row in rows},
    )


def lower(keywords: Sequence[str]) -> frozenset[str]:
    return frozenset([keyword.lower() for keyword in keywords])


def moment_of(moment: datetime) -> int:
    """Microseconds since 2000."""
    return (moment - _EPOCH) // _MICROSECOND


def datetime_of(moment: int) -> datetime:
    """The other way round."""
    return _EPOCH + timedelta(microseconds=moment)


def _keywords(ids: Sequence[int], words: Sequence[str]) -> dict[int, frozenset[str]]:
    """Equal sets are one object."""
    distinct = {each: lower(each.split(" ")) for each in set(words)}
    return dict(zip(ids, map(distinct.__getitem__, words), strict=True))
