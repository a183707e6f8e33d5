"""What search reads of many messages at once, packed by Postgres: immutable facts and header texts by runs of uids.

A *page* keeps these of up to 1,024 consecutive uids in one row, so that the next search of any process reads ten rows
for ten thousand messages. Pages can be dropped at any time; what leaves a mailbox drops its page (a trigger on
placement), so a page that is there holds exactly the messages of its uids, up to its last. What the columns hold is
`mailserver.services.search_columns`' business; here they are octets.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from storage.packed_numbers import unpacked
from storage.query import Connection, Query
from storage.types import MailboxId, MessageId, Uid
from storage.wire_columns import wire_opener
from tenants.types import AccountId, TenantId

RUN_BITS = 10
"""A page's number is uid >> RUN_BITS; the functions in SQL know it too."""
FORMAT = 1
"""Of the columns. Pages of another format are made anew."""
LONG_OCTETS = 8192
"""An ENVELOPE longer than this does not come with hundreds of others."""


class Column(Enum):
    """What a page may hold beside its facts; the value is the column's name."""

    SUBJECTS = "subjects"
    ADDRESSES = "addresses"
    SORTING = "sorting"
    THREADING = "threading"


@dataclass(frozen=True, slots=True)
class PackedFacts:
    """Equally long arrays, by ascending uid. Moments are microseconds since 2000, `sent` NEVER where there is none."""

    uids: "array[int]"
    message_ids: "array[int]"
    thread_ids: "array[int]"
    octets: "array[int]"
    received: "array[int]"
    sent: "array[int]"
    saved: "array[int]"


NEVER = -(1 << 63)


@dataclass(frozen=True, slots=True)
class PackedTexts:
    """Texts by ascending uid, parted by NULs."""

    uids: "array[int]"
    texts: bytes


@dataclass(frozen=True, slots=True)
class PackedEnvelopes:
    """ENVELOPEs one after another, by ascending uid. One of length 0 was too long to come along."""

    uids: "array[int]"
    lengths: "array[int]"
    envelopes: bytes
    base_subjects: bytes


@dataclass(frozen=True, slots=True)
class KeptColumn:
    """One column of a page, empty if it has none. `stamp` tells this page from one made before."""

    number: int
    stamp: int
    packed: bytes


@dataclass(frozen=True, slots=True)
class _Facts:
    uids: bytes | None
    message_ids: bytes | None
    thread_ids: bytes | None
    octets: bytes | None
    received: bytes | None
    sent: bytes | None
    saved: bytes | None


@dataclass(frozen=True, slots=True)
class _Texts:
    uids: bytes | None
    texts: bytes | None


@dataclass(frozen=True, slots=True)
class _Envelopes:
    uids: bytes | None
    lengths: bytes | None
    envelopes: bytes | None
    base_subjects: bytes | None


@dataclass(frozen=True, slots=True)
class _Modseqs:
    uids: bytes | None
    modseqs: bytes | None


@dataclass(frozen=True, slots=True)
class _Uid:
    uid: int


@dataclass(frozen=True, slots=True)
class _Kept:
    is_kept: bool


_UIDS = "string_agg(int4send((CASE WHEN o.uid < 2147483648 THEN o.uid ELSE o.uid - 4294967296 END)::integer), '')"
_MESSAGES = """
          FROM placement p
          JOIN message m ON m.tenant_id = p.tenant_id AND m.account_id = p.account_id AND m.id = p.message_id
         WHERE p.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND p.mailbox_id = %(mailbox_id)s
           AND p.account_id = %(account_id)s AND p.uid BETWEEN %(first)s AND %(last)s
         ORDER BY p.uid"""

_FACTS = Query(
    f"""
    SELECT {_UIDS} AS uids, string_agg(int8send(o.message_id), '') AS message_ids,
           string_agg(int8send(o.thread_id), '') AS thread_ids, string_agg(int8send(o.octets), '') AS octets,
           string_agg(timestamptz_send(o.received_at), '') AS received,
           string_agg(timestamptz_send(coalesce(o.sent_at, '-infinity'::timestamptz)), '') AS sent,
           string_agg(timestamptz_send(o.saved_at), '') AS saved
      FROM (
        SELECT p.uid, p.message_id, m.thread_id, m.octets, m.received_at, m.sent_at, p.saved_at{_MESSAGES}) o
    """,  # noqa: S608 - our own pieces
    row=_Facts,
)
_SUBJECTS = Query(
    f"""
    SELECT {_UIDS} AS uids, string_agg(convert_to(o.subject, 'UTF8'), '\\x00'::bytea) AS texts
      FROM (
        SELECT p.uid, m.subject{_MESSAGES}) o
    """,  # noqa: S608 - our own pieces
    row=_Texts,
)
_ENVELOPES = Query(
    f"""
    SELECT {_UIDS} AS uids, string_agg(int4send(octet_length(o.envelope)), '') AS lengths,
           string_agg(o.envelope, '') AS envelopes,
           string_agg(convert_to(o.base_subject, 'UTF8'), '\\x00'::bytea) AS base_subjects
      FROM (
        SELECT p.uid, m.base_subject,
               CASE WHEN octet_length(m.envelope) <= {LONG_OCTETS} THEN m.envelope ELSE ''::bytea END AS envelope
               {_MESSAGES}) o
    """,  # noqa: S608 - our own pieces
    row=_Envelopes,
)
_MODSEQS = Query(
    f"""
    SELECT {_UIDS} AS uids, string_agg(int8send(o.modseq), '') AS modseqs
      FROM (
        SELECT p.uid, p.modseq FROM placement p
         WHERE p.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND p.mailbox_id = %(mailbox_id)s
           AND p.account_id = %(account_id)s AND p.uid BETWEEN %(first)s AND %(last)s
         ORDER BY p.uid) o
    """,  # noqa: S608 - our own pieces
    row=_Modseqs,
)
_UIDS_OF_EMAIL = Query(
    """
    SELECT p.uid
      FROM (SELECT %(message_id)s::bigint AS id
             UNION ALL
            SELECT m.id FROM message m
             WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND m.account_id = %(account_id)s
               AND m.origin_id = %(message_id)s) e
      JOIN placement p
        ON p.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND p.message_id = e.id
       AND p.mailbox_id = %(mailbox_id)s AND p.account_id = %(account_id)s
    """,
    row=_Uid,
)
_KEPT = """
    SELECT s.number, s.stamp, coalesce(s.{column}, ''::bytea) AS packed
      FROM search_page s
     WHERE s.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND s.mailbox_id = %(mailbox_id)s
       AND s.account_id = %(account_id)s AND s.number = ANY (%(numbers)s) AND s.format = %(format)s
"""
_KEPT_FACTS = Query(_KEPT.format(column="facts"), row=KeptColumn)
_KEPT_COLUMN = {column: Query(_KEPT.format(column=column.value), row=KeptColumn) for column in Column}
_KEEP = Query(
    """
    SELECT keep_search_page_v1(%(tenant_id)s, %(account_id)s, %(mailbox_id)s, %(number)s::integer,
                               %(format)s::smallint, %(stamp)s, %(messages)s::integer, %(last)s, %(facts)s) AS is_kept
    """,
    row=_Kept,
)
_KEEP_COLUMN = {
    column: Query[None](
        f"""
        UPDATE search_page SET {column.value} = %(packed)s
         WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND mailbox_id = %(mailbox_id)s
           AND number = %(number)s AND account_id = %(account_id)s AND stamp = %(stamp)s AND format = %(format)s
        """  # noqa: S608 - our own column names
    )
    for column in Column
}


@dataclass(frozen=True, slots=True)
class Run:
    """Messages of one mailbox by a span of uids, both ends included."""

    tenant_id: TenantId
    account_id: AccountId
    mailbox_id: MailboxId
    first: int
    last: int


async def facts(connection: Connection, run: Run) -> PackedFacts:
    row = await _FACTS.one(connection, **_of(run))
    return PackedFacts(
        uids=unpacked("I", row.uids),
        message_ids=unpacked("q", row.message_ids),
        thread_ids=unpacked("q", row.thread_ids),
        octets=unpacked("q", row.octets),
        received=unpacked("q", row.received),
        sent=unpacked("q", row.sent),
        saved=unpacked("q", row.saved),
    )


async def subjects(connection: Connection, run: Run) -> PackedTexts:
    row = await _SUBJECTS.one(connection, **_of(run))
    return PackedTexts(unpacked("I", row.uids), row.texts or b"")


async def envelopes(connection: Connection, run: Run) -> PackedEnvelopes:
    row = await _ENVELOPES.one(connection, **_of(run))
    opened = _opened_envelopes(row.envelopes or b"", unpacked("I", row.lengths))
    return PackedEnvelopes(
        unpacked("I", row.uids), array("I", map(len, opened)), b"".join(opened), row.base_subjects or b""
    )


def _opened_envelopes(columns: bytes, lengths: "array[int]") -> list[bytes]:
    open_wire = wire_opener()
    opened: list[bytes] = []
    at = 0
    for length in lengths:
        opened.append(open_wire(columns[at : at + length], b"")[0])
        at += length
    return opened


async def modseqs(connection: Connection, run: Run) -> "tuple[array[int], array[int]]":
    """Uids and, beside them, the modseqs of their placements."""
    row = await _MODSEQS.one(connection, **_of(run))
    return unpacked("I", row.uids), unpacked("q", row.modseqs)


async def uids_of_email(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, mailbox_id: MailboxId, message_id: MessageId
) -> list[Uid]:
    """Where a message and the copies of it stand in a mailbox, which have one EMAILID."""
    rows = await _UIDS_OF_EMAIL.all(
        connection, tenant_id=tenant_id, account_id=account_id, mailbox_id=mailbox_id, message_id=message_id
    )
    return [Uid(row.uid) for row in rows]


def _of(run: Run) -> dict[str, int]:
    return {
        "tenant_id": run.tenant_id,
        "account_id": run.account_id,
        "mailbox_id": run.mailbox_id,
        "first": run.first,
        "last": run.last,
    }


async def kept_facts(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, mailbox_id: MailboxId, numbers: Sequence[int]
) -> list[KeptColumn]:
    return await _KEPT_FACTS.all(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        mailbox_id=mailbox_id,
        numbers=list(numbers),
        format=FORMAT,
    )


async def kept_column(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    mailbox_id: MailboxId,
    numbers: Sequence[int],
    column: Column,
) -> list[KeptColumn]:
    return await _KEPT_COLUMN[column].all(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        mailbox_id=mailbox_id,
        numbers=list(numbers),
        format=FORMAT,
    )


async def keep(
    connection: Connection, run: Run, *, number: int, stamp: int, messages: int, packed_facts: bytes
) -> bool:
    """Keep a page of these messages, the run being just theirs; False: one of them has gone, and nothing was kept."""
    row = await _KEEP.one(
        connection,
        tenant_id=run.tenant_id,
        account_id=run.account_id,
        mailbox_id=run.mailbox_id,
        number=number,
        format=FORMAT,
        stamp=stamp,
        messages=messages,
        last=run.last,
        facts=packed_facts,
    )
    return row.is_kept


async def keep_column(
    connection: Connection, run: Run, *, number: int, stamp: int, column: Column, packed: bytes
) -> None:
    """Add a column to the page of that stamp; nothing happens if it is there no more."""
    await _KEEP_COLUMN[column].execute(
        connection,
        tenant_id=run.tenant_id,
        account_id=run.account_id,
        mailbox_id=run.mailbox_id,
        number=number,
        stamp=stamp,
        format=FORMAT,
        packed=packed,
    )
