"""A tenant put back from its archive into an installation that does not have it: directory, mail, keys as rows.

The tenant's key file is not in the archive; it has to be in place. Content goes first, in transactions of its own that
can be done again; then all rows in one, and every account begins a new epoch in it. Nobody knows what clients saw after
the archive was made, so every mailbox gets a new uidvalidity: clients read it anew, and uids stay.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

from storage.archive.content import archived_keys, batches, checked, put_back
from storage.archive.files import Archive
from storage.archive.format import ArchiveUnusable
from storage.archive.tables import TABLES, Table
from storage.epochs import MAIL_ID_LEAP, OTHER_ID_LEAP, Lost, start_epoch
from storage.keys import TenantKeys
from storage.query import Connection
from storage.steps import reached
from tenants.types import AccountId, TenantId

_ROWS_AT_ONCE = 500
_OCTETS_AT_ONCE = 4 * 1024 * 1024

Progress = Callable[[str, int], None]
"""What is written, and how much of it."""


class TenantThere(Exception):
    """Something of the tenant is here already: the tenant itself, a domain, or an id of one of its rows."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True)
class RestoredTenant:
    """`lost` is content that the archive lacks: messages that need it cannot be read whole."""

    tenant_id: TenantId
    accounts: int
    messages: int
    blobs: int
    lost: int


async def restore_tenant(
    archive: Archive, owner_url: str, secrets: Path, progress: Progress = lambda _what, _done: None
) -> RestoredTenant:
    """All or nothing, but content that nothing uses.

    Raises ArchiveUnusable, TenantThere, KeyUnusable (the tenant's key file), psycopg.Error.
    """
    manifest = archive.manifest
    if not manifest.is_of_tenant:
        raise ArchiveUnusable("it is of a mailbox, not of a tenant")
    tenant_id = TenantId(manifest.tenant_id)
    keys = archived_keys(archive, secrets)
    async with _owner(owner_url, tenant_id) as connection:
        await _demand_absent(connection, archive, tenant_id)
        blobs = await _put_content(connection, archive, keys, progress)
        try:
            async with connection.transaction():
                counts = {}
                for table in TABLES:
                    counts[table.name] = await _insert_all(connection, table, archive)
                    progress(table.name, counts[table.name])
                reached("archive: rows are there")
                lost = await _claim_content(connection, tenant_id)
                await _move_sequences(connection, tenant_id)
                accounts = await _begin_epochs(connection, tenant_id)
        except psycopg.errors.UniqueViolation as taken:
            raise TenantThere(str(taken.diag.constraint_name)) from None
    return RestoredTenant(tenant_id, accounts, counts["message"], blobs, lost)


@asynccontextmanager
async def _owner(owner_url: str, tenant_id: TenantId) -> AsyncIterator[Connection]:
    async with await AsyncConnection.connect(owner_url, autocommit=True) as connection:
        await connection.execute("SELECT set_config('waypost.tenant', %s, false)", [str(tenant_id)])
        yield connection


async def _demand_absent(connection: Connection, archive: Archive, tenant_id: TenantId) -> None:
    """Told before anything is written. What else is taken, the constraints of the tables say."""
    found = await connection.execute("SELECT slug FROM tenant WHERE id = %s", [tenant_id])
    if row := await found.fetchone():
        raise TenantThere(str(row[0]))
    domains = [row["name"] for row in archive.rows("rows/domain.ndjson.zst")]
    found = await connection.execute("SELECT name FROM domain WHERE name = ANY (%s) ORDER BY name", [domains])
    if row := await found.fetchone():
        raise TenantThere(str(row[0]))


async def _put_content(connection: Connection, archive: Archive, keys: TenantKeys, progress: Progress) -> int:
    done = 0
    for some in batches(archive.blobs()):
        blobs = [checked(keys, keys, each) for each in some]
        async with connection.transaction():
            await put_back(connection, keys.tenant_id, blobs)
        done += len(some)
        progress("content", done)
        reached("archive: some content is there")
    return done


async def _insert_all(connection: Connection, table: Table, archive: Archive) -> int:
    """The columns that both know. A column that is new here gets its default."""
    rows = archive.rows(f"rows/{table.name}.ndjson.zst")
    statement: sql.Composed | None = None
    total = 0
    for some in _in_batches(rows):
        if statement is None:
            statement = await _insert_statement(connection, table.name, some[0].keys())
        await connection.execute(statement, [json.dumps(some)])
        total += len(some)
    return total


def _in_batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    some: list[dict[str, Any]] = []
    octets = 0
    for row in rows:
        some.append(row)
        octets += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(some) >= _ROWS_AT_ONCE or octets >= _OCTETS_AT_ONCE:
            yield some
            some, octets = [], 0
    if some:
        yield some


async def _insert_statement(connection: Connection, table: str, archived: Iterable[str]) -> sql.Composed:
    found = await connection.execute(
        """
        SELECT a.attname::text FROM pg_attribute a
         WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        """,
        [table],
    )
    here = {name for (name,) in await found.fetchall()}
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in archived if name in here)
    return sql.SQL("INSERT INTO {} ({}) SELECT {} FROM json_populate_recordset(NULL::{}, %s::json)").format(
        sql.Identifier(table), columns, columns, sql.Identifier(table)
    )


async def _claim_content(connection: Connection, tenant_id: TenantId) -> int:
    """So that it is not collected; returns how many blobs that messages need are missing."""
    await connection.execute("UPDATE blob SET touched_at = now() WHERE tenant_id = %s", [tenant_id])
    found = await connection.execute(
        """
        SELECT count(DISTINCT u.digest) FROM message_blob u
         WHERE u.tenant_id = %s
           AND (SELECT b.octets FROM blob b WHERE b.tenant_id = u.tenant_id AND b.digest = u.digest) IS NULL
        """,
        [tenant_id],
    )
    row = await found.fetchone()
    assert row is not None
    return int(row[0])


async def _move_sequences(connection: Connection, tenant_id: TenantId) -> None:
    """Beyond every id of the tenant, and what may have been given out since the archive was made."""
    await connection.execute(
        """
        SELECT setval('mail_id', greatest(s.last_value, g.highest + %(leap)s))
          FROM mail_id s,
               (SELECT greatest((SELECT max(id) FROM message WHERE tenant_id = %(tenant_id)s),
                                (SELECT max(id) FROM mailbox WHERE tenant_id = %(tenant_id)s)) AS highest) g
         WHERE g.highest IS NOT NULL
        """,
        {"tenant_id": tenant_id, "leap": MAIL_ID_LEAP},
    )
    found = await connection.execute(
        """
        SELECT a.attrelid::regclass::text FROM pg_attribute a
         WHERE a.attidentity <> '' AND a.attrelid = ANY (%s::regclass[])
        """,
        [[table.name for table in TABLES]],
    )
    for (table,) in await found.fetchall():
        statement = sql.SQL(
            "SELECT setval(pg_get_serial_sequence({0}, 'id'), greatest(nextval(pg_get_serial_sequence({0}, 'id')),"
            " (SELECT max(id) FROM {1}) + {2}))"
        )
        await connection.execute(statement.format(table, sql.Identifier(table), OTHER_ID_LEAP))


async def _begin_epochs(connection: Connection, tenant_id: TenantId) -> int:
    found = await connection.execute(
        "SELECT account_id FROM account_state WHERE tenant_id = %s ORDER BY account_id", [tenant_id]
    )
    accounts = [AccountId(account_id) for (account_id,) in await found.fetchall()]
    for account_id in accounts:
        await start_epoch(connection, tenant_id, account_id, Lost(is_known=False))
    return len(accounts)
