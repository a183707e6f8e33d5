"""What FETCH needs of messages, column set by column set: nobody pays for columns that were not asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Flag, auto
from typing import NamedTuple

from storage.header_column import unpack_header
from storage.query import Connection, Query
from storage.types import MailboxId, MessageId, Modseq, SystemFlag, ThreadId, Uid
from storage.wire_columns import wire_opener
from tenants.types import AccountId, TenantId

NO_KEYWORDS: frozenset[str] = frozenset()
LONG_OCTETS = 8192
"""Of a column that is read for many messages at once. A header may be 256 KiB, a bodystructure megabytes."""
SYSTEM_FLAGS = tuple(SystemFlag(bits) for bits in range(32))


class Columns(Flag):
    """What to read beside the facts, which always come."""

    FACTS = 0
    WIRE = auto()  # envelope and bodystructure
    HEADER = auto()
    STRUCTURE = auto()  # the packed MIME index
    DETAILS = auto()  # when it came into the mailbox, the preview, and the message it is a copy of


class FetchRow(NamedTuple):
    """One message of a mailbox. Columns that were not asked for are empty. It is made by the ten thousand.

    `is_cut`: a column is too long to come with those of hundreds of others, and none came. Envelope and bodystructure
    are of `wire_version`; with `differs_in_utf8` a client that reads UTF-8 is to be given others. `email_id` is equal
    for messages that are copies of each other.
    """

    uid: Uid
    message_id: MessageId
    thread_id: ThreadId
    octets: int
    header_octets: int
    received_at: datetime
    flags: SystemFlag
    keywords: frozenset[str]
    modseq: Modseq
    envelope: bytes
    bodystructure: bytes
    header: bytes
    structure: bytes
    wire_version: int
    differs_in_utf8: bool
    saved_at: datetime | None = None
    preview: str = ""
    email_id: MessageId | None = None
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    uid: int
    message_id: int
    thread_id: int
    octets: int
    header_octets: int
    received_at: datetime
    flags: int
    keywords: list[str] | None
    modseq: int
    envelope: bytes
    bodystructure: bytes
    header: bytes
    structure: bytes
    wire_version: int
    differs_in_utf8: bool
    saved_at: datetime | None
    preview: str
    email_id: int | None
    is_cut: bool


_WANTED = {
    Columns.WIRE: ("envelope", "bodystructure"),
    Columns.HEADER: ("header",),
    Columns.STRUCTURE: ("structure",),
}
_OCTETS = {
    Columns.WIRE: "octet_length(m.envelope) + octet_length(m.bodystructure)",  # packed: of LONG_OCTETS at most
    Columns.HEADER: "m.header_octets",
    Columns.STRUCTURE: "octet_length(m.structure)",
}


_DETAILS = "coalesce(p.saved_at) AS saved_at, m.preview, coalesce(m.origin_id, m.id) AS email_id"
_NO_DETAILS = "NULL::timestamptz AS saved_at, ''::text AS preview, NULL::bigint AS email_id"


def _query(columns: Columns, *, cuts: bool) -> Query[_Row]:
    too_long = [f"{octets} > {LONG_OCTETS}" for column, octets in _OCTETS.items() if cuts and column in columns]
    is_cut = " OR ".join(too_long) or "false"
    value = "CASE WHEN {is_cut} THEN ''::bytea ELSE m.{name} END AS {name}" if too_long else "m.{name}"
    wanted = [
        value.format(is_cut=is_cut, name=name) if column in columns else f"''::bytea AS {name}"
        for column, names in _WANTED.items()
        for name in names
    ]
    return Query(
        f"""
        SELECT p.uid, p.message_id, m.thread_id, m.octets, m.header_octets, m.received_at, p.flags, p.keywords,
               p.modseq,
               {", ".join(wanted)}, m.wire_version, m.differs_in_utf8,
               {_DETAILS if Columns.DETAILS in columns else _NO_DETAILS}, {is_cut} AS is_cut
          FROM placement p
          JOIN message m ON m.tenant_id = p.tenant_id AND m.account_id = p.account_id AND m.id = p.message_id
         WHERE p.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND p.mailbox_id = %(mailbox_id)s
           AND p.account_id = %(account_id)s AND p.uid = ANY (%(uids)s)
         ORDER BY p.uid
        """,  # noqa: S608 - our own column names
        row=_Row,
    )


_QUERIES = {
    (columns, cuts): _query(columns, cuts=cuts)
    for cuts in (False, True)
    for columns in (
        wire | header | structure | details
        for wire in (Columns.FACTS, Columns.WIRE)
        for header in (Columns.FACTS, Columns.HEADER)
        for structure in (Columns.FACTS, Columns.STRUCTURE)
        for details in (Columns.FACTS, Columns.DETAILS)
    )
}


async def fetch(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    mailbox_id: MailboxId,
    uids: Sequence[Uid],
    columns: Columns,
    *,
    cuts: bool = False,
) -> list[FetchRow]:
    """The messages of `uids` that are still there, by uid. Raises ContentDamaged (a header column that does not open).

    With `cuts`, a row of which a column has more than LONG_OCTETS comes without its columns and `is_cut`.
    """
    rows = await _QUERIES[columns, cuts].tuples(
        connection, tenant_id=tenant_id, account_id=account_id, mailbox_id=mailbox_id, uids=list(uids)
    )
    has_header = Columns.HEADER in columns
    open_wire = wire_opener()
    return [
        FetchRow(
            uid,
            message_id,
            thread_id,
            octets,
            header_octets,
            received_at,
            SYSTEM_FLAGS[flags],
            frozenset(keywords) if keywords else NO_KEYWORDS,
            modseq,
            *open_wire(envelope, bodystructure),
            unpack_header(header) if has_header and not is_cut else b"",
            structure,
            wire_version,
            differs_in_utf8,
            saved_at,
            preview,
            email_id,
            is_cut,
        )
        for (
            uid, message_id, thread_id, octets, header_octets, received_at, flags, keywords, modseq, envelope,
            bodystructure, header, structure, wire_version, differs_in_utf8, saved_at, preview,
            email_id, is_cut,
        ) in rows
    ]  # fmt: skip
