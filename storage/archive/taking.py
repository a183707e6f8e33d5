"""Making an archive of a tenant, of an account or of one mailbox, while everything runs.

All rows are read in one repeatable-read transaction, so they are of one moment. Content that is collected meanwhile is
still seen by it, and weeks of content are not dropped under it; what rests in objects stays there for days after it is
doomed.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import AsyncConnection, IsolationLevel, sql

from storage.archive.content import SnapshotContent
from storage.archive.files import ArchiveWriter
from storage.archive.format import KEYS, MAILBOXES, MESSAGES, THREADS, Manifest, key_check
from storage.archive.tables import TABLES, Table
from storage.blobs.ranges import ReadsObjects
from storage.errors import MailboxNotFound
from storage.keys import TenantKeys
from storage.query import Connection
from storage.types import BlobDigest, MailboxId
from tenants.types import AccountId

# COPY gives each JSON text as a line of its own: it never holds these two characters, nor line ends.
_AS_LINES = sql.SQL(r" TO STDOUT (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')")

Progress = Callable[[str, int], None]
"""What is written, and how much of it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """`damaged` is content without a good copy; everything else is in the archive."""

    manifest: Manifest
    damaged: list[BlobDigest]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be archived, and how people call it. `account_id` None: the whole tenant; `mailbox` None: all."""

    tenant: str
    account_id: AccountId | None = None
    address: str | None = None
    mailbox: str | None = None


async def take(
    owner_url: str,
    keys: TenantKeys,
    objects: ReadsObjects | None,
    subject: Subject,
    path: Path,
    now: datetime,
    progress: Progress = lambda _what, _done: None,
) -> Taken:
    """Write an archive to `path`, which is not there yet.

    Raises MailboxNotFound, ColdTierUnavailable, FileExistsError, OSError, psycopg.Error; then nothing is there.
    """
    writer = ArchiveWriter(path)
    try:
        async with _snapshot(owner_url, keys) as connection:
            work = _Taking(connection, keys, writer, subject, progress)
            counts = await (work.tenant() if subject.account_id is None else work.account(subject.account_id))
            content = SnapshotContent(connection, keys, objects)
            blobs, damaged = await content.write(
                writer, work.used, work.values, lambda written: progress("content", written)
            )
        manifest = Manifest(
            tenant_id=keys.tenant_id,
            tenant=subject.tenant,
            account_id=subject.account_id,
            address=subject.address,
            mailbox=subject.mailbox,
            made_at=now.isoformat(),
            key_check=key_check(keys.naming_key),
            files=writer.files,
            counts={**counts, "content": blobs},
            damaged=[digest.hex() for digest in damaged],
        )
        writer.finish(manifest)
    except BaseException:
        writer.abandon()
        raise
    return Taken(manifest, damaged)


@asynccontextmanager
async def _snapshot(owner_url: str, keys: TenantKeys) -> AsyncIterator[Connection]:
    async with await AsyncConnection.connect(owner_url) as connection:
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        # before the transaction looks for the first time: no week is dropped that it can see
        await connection.execute("LOCK TABLE blob_content IN ACCESS SHARE MODE")
        await connection.execute("SELECT set_config('waypost.tenant', %s, false)", [str(keys.tenant_id)])
        await connection.execute("SET LOCAL TIME ZONE 'UTC'")
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # S3 may be slow
        yield connection


class _Taking:
    def __init__(
        self, connection: Connection, keys: TenantKeys, writer: ArchiveWriter, subject: Subject, progress: Progress
    ) -> None:
        self._connection, self._writer, self._subject, self._progress = connection, writer, subject, progress
        self.used = "SELECT u.digest FROM message_blob u WHERE u.tenant_id = %(tenant_id)s"
        self.values: dict[str, object] = {"tenant_id": keys.tenant_id}

    async def tenant(self) -> dict[str, int]:
        counts = {}
        for table in TABLES:
            rows = await self._write(f"rows/{table.name}.ndjson.zst", _all_rows(table))
            counts[table.name] = rows
            self._progress(table.name, rows)
        return counts

    async def account(self, account_id: AccountId) -> dict[str, int]:
        self.values |= {"account_id": account_id, "mailbox_ids": await self._mailboxes(account_id)}
        self.used = _USED_IN_MAILBOXES
        await self._write(KEYS, next(_all_rows(table) for table in TABLES if table.name == "data_key"))
        return {
            "mailbox": await self._write(MAILBOXES, sql.SQL(_MAILBOXES)),
            "thread_reference": await self._write(THREADS, sql.SQL(_THREADS)),
            "message": await self._write(MESSAGES, sql.SQL(_MESSAGES)),
        }

    async def _mailboxes(self, account_id: AccountId) -> list[MailboxId]:
        rows = await self._connection.execute(
            """
            SELECT m.id FROM mailbox m
             WHERE m.tenant_id = %(tenant_id)s AND m.account_id = %(account_id)s AND m.deleted_at IS NULL
               AND (%(name)s::text IS NULL OR m.name = %(name)s)
             ORDER BY m.id
            """,
            {**self.values, "account_id": account_id, "name": self._subject.mailbox},
        )
        found = [MailboxId(mailbox_id) for (mailbox_id,) in await rows.fetchall()]
        if not found and self._subject.mailbox is not None:
            raise MailboxNotFound(self._subject.mailbox)
        return found

    async def _write(self, name: str, query: sql.Composable) -> int:
        lines = 0
        with closing(self._writer.rows_file(name)) as file:
            async with self._connection.cursor() as cursor:
                statement = sql.SQL("COPY ({})").format(query) + _AS_LINES
                composed = psycopg.AsyncClientCursor(self._connection).mogrify(statement, self.values)
                async with cursor.copy(composed.encode()) as copy:
                    async for piece in copy:
                        octets = bytes(piece)
                        file.write(octets)
                        lines += octets.count(b"\n")
            file.finish(lines)
        return lines


def _all_rows(table: Table) -> sql.Composable:
    """The columns as they are today; who restores takes those that it knows."""
    order = f"{table.first}, {table.key}" if table.first else table.key
    return sql.SQL(
        f"SELECT row_to_json(r) FROM (SELECT * FROM {table.name} t WHERE t.{table.tenant_column} = %(tenant_id)s"  # noqa: S608
        f" ORDER BY {order}) r"
    )


# Postgres may know nothing of a table that was filled a moment ago, and then takes any order of joins for good. So what
# is looked up for each row is a subquery of its own, which can only go by the key.
_USED_IN_MAILBOXES = """
    SELECT b.digest FROM placement p
     CROSS JOIN LATERAL (SELECT u.digest FROM message_blob u
                          WHERE u.tenant_id = %(tenant_id)s AND u.message_id = p.message_id OFFSET 0) b
     WHERE p.tenant_id = %(tenant_id)s AND p.account_id = %(account_id)s AND p.mailbox_id = ANY (%(mailbox_ids)s)
"""
_MAILBOXES = """
    SELECT row_to_json(m) FROM mailbox m
     WHERE m.tenant_id = %(tenant_id)s AND m.account_id = %(account_id)s AND m.id = ANY (%(mailbox_ids)s)
     ORDER BY m.name COLLATE "C"
"""
_THREADS = """
    SELECT row_to_json(r) FROM thread_reference r
     WHERE r.tenant_id = %(tenant_id)s AND r.account_id = %(account_id)s
       AND (r.thread_id IN (
               SELECT (SELECT g.thread_id FROM message g
                        WHERE g.tenant_id = %(tenant_id)s AND g.account_id = %(account_id)s AND g.id = p.message_id)
                 FROM placement p
                WHERE p.tenant_id = %(tenant_id)s AND p.account_id = %(account_id)s
                  AND p.mailbox_id = ANY (%(mailbox_ids)s))) IS TRUE
"""
# Messages in the order of the first place where they stand, so that they get their uids in that order again.
_MESSAGES = """
    SELECT json_build_object(
               'message', (SELECT row_to_json(g) FROM message g
                            WHERE g.tenant_id = %(tenant_id)s AND g.account_id = %(account_id)s
                              AND g.id = s.message_id),
               'blobs', (SELECT coalesce(json_agg(encode(u.digest, 'hex') ORDER BY u.ordinal), '[]') FROM message_blob u
                          WHERE u.tenant_id = %(tenant_id)s AND u.message_id = s.message_id),
               'placements', s.placements)
      FROM (SELECT p.message_id, min(ARRAY[p.mailbox_id, p.uid]) AS first,
                   json_agg(json_build_object('mailbox_id', p.mailbox_id, 'uid', p.uid, 'saved_at', p.saved_at,
                                              'flags', p.flags, 'keywords', p.keywords)
                            ORDER BY p.mailbox_id, p.uid) AS placements
              FROM placement p
             WHERE p.tenant_id = %(tenant_id)s AND p.account_id = %(account_id)s
               AND p.mailbox_id = ANY (%(mailbox_ids)s)
             GROUP BY p.message_id) s
     ORDER BY s.first
"""
