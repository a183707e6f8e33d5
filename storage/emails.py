"""Messages of an account by their ids, wherever they stand: what JMAP asks for (RFC 8621 §4).

Where they stand, and with what flags, is not read here: an account's picture tells it (`services.account_views`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import NamedTuple

from storage.blobs.codec import decompress
from storage.blobs.layout import SealedChunk
from storage.blobs.tiered import TieredBlobs
from storage.database import Database
from storage.errors import ContentDamaged
from storage.header_column import unpack_header
from storage.keys import TenantKeys
from storage.query import Connection, Query
from storage.types import BlobDigest, MessageId
from tenants.types import AccountId, TenantId

SMALL_OCTETS = 256 * 1024
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
class WholeEmail:
    """`octets` None: a long message, or one that is damaged, which says so when it is opened."""

    message_id: MessageId
    structure: bytes
    octets: bytes | None


@dataclass(frozen=True, slots=True)
class _SealedRow:
    message_id: int
    octets: int
    header: bytes
    structure: bytes
    is_small: bool
    digest: bytes | None
    key_id: int | None
    codec: int | None
    sealed: bytes | None
    object_id: int | None
    object_offset: int | None
    object_octets: int | None
    layout: bytes | None


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
_READ = Query(
    """
    SELECT m.id AS message_id, m.octets, m.header, m.structure, s.is_small, b.digest, c.key_id, c.codec, c.sealed,
           b.object_id, b.object_offset, o.octets AS object_octets, b.layout
      FROM message m
     CROSS JOIN LATERAL (SELECT m.octets <= %(small_octets)s AND m.segments = ''::bytea AS is_small) s
      LEFT JOIN message_blob u
        ON u.tenant_id = m.tenant_id AND u.message_id = m.id AND u.ordinal = 0 AND s.is_small
      LEFT JOIN blob b ON b.tenant_id = u.tenant_id AND b.digest = u.digest
      LEFT JOIN blob_content c
        ON c.tenant_id = b.tenant_id AND c.digest = b.digest AND c.content_on = b.content_on AND c.chunk = 0
       AND b.object_id IS NULL
      LEFT JOIN object o ON o.tenant_id = b.tenant_id AND o.id = b.object_id
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND m.account_id = %(account_id)s
       AND m.id = ANY (%(message_ids)s)
    """,
    row=_SealedRow,
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


async def read_whole(
    database: Database,
    blobs: TieredBlobs,
    keys: TenantKeys,
    account_id: AccountId,
    message_ids: Sequence[MessageId],
) -> dict[MessageId, WholeEmail]:
    """Messages with their octets where these are one small blob; ask for ENOUGH_OCTETS at most, as they are known."""
    async with database.read(keys.tenant_id) as connection:
        rows = await _READ.all(
            connection,
            tenant_id=keys.tenant_id,
            account_id=account_id,
            message_ids=message_ids,
            small_octets=SMALL_OCTETS,
        )
    fetched = await blobs.fetch_for(keys.tenant_id, rows)
    return {
        MessageId(row.message_id): WholeEmail(
            MessageId(row.message_id),
            row.structure,
            _octets(keys, row, fetched.get(row.digest or b"")) if row.is_small else None,
        )
        for row in rows
    }


def _octets(keys: TenantKeys, row: _SealedRow, fetched: object) -> bytes | None:
    """None where it is missing, out of reach or damaged: whoever opens it by itself hears which."""
    try:
        header = unpack_header(row.header)
        if len(header) == row.octets:
            return header
        chunk = fetched
        if row.key_id is not None and row.codec is not None and row.sealed is not None:
            chunk = SealedChunk(row.key_id, row.codec, row.sealed)
        if row.digest is None or not isinstance(chunk, SealedChunk):
            return None
        sealed = keys.open(chunk.key_id, BlobDigest(row.digest), 0, True, chunk.codec, chunk.sealed)
        octets = header + decompress(chunk.codec, sealed)
    except ContentDamaged:
        return None
    return octets if len(octets) == row.octets else None
