"""Messages of an account by their ids, wherever they stand: what JMAP asks for (RFC 8621 §4).

Where they stand, and with what flags, is not read here: an account's picture tells it (`services.account_views`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import NamedTuple

from storage.blobs.tiered import TieredBlobs
from storage.content import open_many, read_by_ids
from storage.database import Database
from storage.header_column import unpack_header
from storage.keys import TenantKeys
from storage.query import Connection, Query
from storage.types import MessageId
from tenants.types import AccountId, TenantId

ENOUGH_OCTETS = 2 * 1024 * 1024
"""About how much content comes with one answer."""


class EmailColumns(Flag):
    """What to read. A header is read in full: what of it its column cannot hold stands in the content."""

    PREVIEW = auto()
    HEADER = auto()


class EmailRow(NamedTuple):
    """Columns that were not asked for are empty."""

    message_id: MessageId
    preview: str
    header: bytes


@dataclass(frozen=True, slots=True)
class _Row:
    message_id: int
    preview: str
    header: bytes


@dataclass(frozen=True, slots=True)
class _BaseSubject:
    message_id: int
    base_subject: str


@dataclass(frozen=True, slots=True)
class WholeEmail:
    """`octets` None: a long message, or one that is damaged, which says so when it is opened."""

    message_id: MessageId
    structure: bytes
    octets: bytes | None


def _query(columns: EmailColumns) -> Query[_Row]:
    preview = "m.preview" if EmailColumns.PREVIEW in columns else "''::text AS preview"
    header = "m.header" if EmailColumns.HEADER in columns else "''::bytea AS header"
    return Query(
        f"""
        SELECT m.id AS message_id, {preview}, {header}
          FROM message m
         WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND m.account_id = %(account_id)s
           AND m.id = ANY (%(message_ids)s)
        """,  # noqa: S608 - our own column names
        row=_Row,
    )


_QUERIES = {
    columns: _query(columns)
    for columns in (EmailColumns.PREVIEW, EmailColumns.HEADER, EmailColumns.PREVIEW | EmailColumns.HEADER)
}
_BASE_SUBJECTS = Query(
    """
    SELECT m.id AS message_id, m.base_subject FROM message m
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND m.account_id = %(account_id)s
       AND m.id = ANY (%(message_ids)s)
    """,
    row=_BaseSubject,
)


async def read_columns(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    message_ids: Sequence[MessageId],
    columns: EmailColumns,
) -> dict[MessageId, EmailRow]:
    """Of those that are there, one statement for all. Raises ContentDamaged (a header column that does not open)."""
    rows = await _QUERIES[columns].tuples(
        connection, tenant_id=tenant_id, account_id=account_id, message_ids=message_ids
    )
    if EmailColumns.HEADER in columns:
        return {row[0]: EmailRow(row[0], row[1], unpack_header(row[2])) for row in rows}
    return {row[0]: EmailRow(*row) for row in rows}


async def base_subjects(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, message_ids: Sequence[MessageId]
) -> dict[MessageId, str]:
    """Of those that are there: the subject without the likes of "Re:" (RFC 5256 §2.1)."""
    rows = await _BASE_SUBJECTS.all(connection, tenant_id=tenant_id, account_id=account_id, message_ids=message_ids)
    return {MessageId(row.message_id): row.base_subject for row in rows}


async def read_whole(
    database: Database,
    blobs: TieredBlobs,
    keys: TenantKeys,
    account_id: AccountId,
    message_ids: Sequence[MessageId],
) -> dict[MessageId, WholeEmail]:
    """Messages with their octets where these are one small blob; ask for ENOUGH_OCTETS at most, as they are known."""
    whole, others = open_many(keys, await read_by_ids(database, blobs, keys.tenant_id, account_id, message_ids))
    found = [WholeEmail(MessageId(each.uid), each.structure, each.octets) for each in whole]
    found += [WholeEmail(each.message_id, each.structure, None) for each in others]
    return {each.message_id: each for each in found}
