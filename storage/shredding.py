"""Shredding a tenant: its key is destroyed, then all that is left of it, so that a certificate can say so.

Each step is durable before the next begins, and whoever was interrupted starts again where it stopped:

1. The tenant is deleted in the directory (nobody signs in, nothing is delivered) and a row of `shredding` says that and
   what there was. From here on it goes only forward.
2. Its key file is destroyed: from now on no octet of its bodies and attachments can be read, wherever a copy is.
3. Its objects are deleted from the bucket, whatever rows say of them.
4. Its rows are deleted, in every table that has a tenant_id, a chunk in a transaction, which also counts them.
5. Processes that still had its keys have looked again (`keys.KNOWN_S`); what they may have written meanwhile goes too.
6. The certificate, in the row and as a file beside the keys, where a restore of the database does not undo it.

Legal hold of the tenant, of any account, or of any object refuses it before the key is destroyed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from storage.blobs.objects import ObjectsHeld, ObjectStore
from storage.errors import KeyUnusable
from storage.key_files import certificate_path, fingerprint, read_master_keys, read_tenant_key, tenant_key_path
from storage.keys import KNOWN_S
from storage.secret_files import destroy_drafts, destroy_file, locked, make_directory, replace_file
from storage.shredding_certificate import Certificate, Count, as_json, from_json
from storage.steps import reached
from tenants.types import TenantId

Owner = psycopg.AsyncConnection[tuple[Any, ...]]
Tell = Callable[[str, int], None]

SETTLE_S = KNOWN_S + 60.0  # a process knows the key so long, and its last statement may run a minute
CHUNK_ROWS = 5000
KEPT_TABLES = frozenset({"domain"})  # names stay reserved; `manage.py tenant release` frees them
_OCTETS = {
    "message": "octets",
    "blob_content": "length(sealed)",
    "outgoing_content": "length(sealed)",
    "upload_content": "length(sealed)",
}
_STATE = "account_state"  # with it goes what an account has beside its mail
_HOLDS_ASKED_AT_ONCE = 8
LOCK_TRIES = 20


class ShreddingRefused(Exception):
    """Nothing was changed, unless it had begun before."""


class TenantInUse(ShreddingRefused):
    """It is active: suspend or delete it first."""


class UnderLegalHold(ShreddingRefused):
    """`what` is held: `tenant`, `accounts` or `objects`, so many."""

    def __init__(self, what: str, count: int) -> None:
        super().__init__(f"{count} {what} under legal hold")
        self.what = what
        self.count = count


class ObjectsNotReached(ShreddingRefused):
    """It has objects, and no object store is configured."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} objects, and no object store")
        self.count = count


class ShreddingUnderWay(ShreddingRefused):
    """Another process is at it."""


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    columns: Sequence[str]  # of its primary key, without the tenant


@dataclass(frozen=True, slots=True)
class _Progress:
    key_destroyed_at: datetime | None
    objects_deleted_at: datetime | None
    certificate: str | None


async def check(connection: Owner, objects: ObjectStore | None, tenant_id: TenantId) -> None:
    """Raises ShreddingRefused, ColdTierUnavailable."""
    row = await (await connection.execute("SELECT status, is_held FROM tenant WHERE id = %s", (tenant_id,))).fetchone()
    if row is None or row[0] == "active":
        raise TenantInUse
    if row[1]:
        raise UnderLegalHold("tenant", 1)
    held = await _count(connection, "SELECT count(*) FROM account WHERE tenant_id = %s AND is_held", tenant_id)
    if held:
        raise UnderLegalHold("accounts", held)
    held = await _count(connection, "SELECT count(*) FROM object WHERE tenant_id = %s AND is_held", tenant_id)
    if held:
        raise UnderLegalHold("objects", held)
    if objects is None:
        known = await _count(connection, "SELECT count(*) FROM object WHERE tenant_id = %s", tenant_id)
        if known:
            raise ObjectsNotReached(known)
    elif await objects.has_object_lock():
        held = await _held_in_bucket(objects, tenant_id)
        if held:
            raise UnderLegalHold("objects", held)


async def shred(
    owner_url: str,
    secrets_directory: Path,
    objects: ObjectStore | None,
    tenant_id: TenantId,
    *,
    administrator: str,
    backups_kept_days: int,
    settle_s: float = SETTLE_S,
    tell: Tell = lambda _step, _count: None,
) -> Certificate:
    """Shred it, or go on with it; one that is shredded gives its certificate again.

    `tell` hears of each table and of the objects, with how many went. Raises ShreddingRefused, ColdTierUnavailable,
    psycopg.Error; in every case it may be called again.
    """
    async with _alone(owner_url, tenant_id) as connection:
        progress = await _progress(connection, tenant_id)
        if progress is not None and progress.certificate is not None and not await _is_back(connection, tenant_id):
            return from_json(progress.certificate)
        if progress is None or progress.key_destroyed_at is None or progress.certificate is not None:
            if not _is_past_return(progress, secrets_directory, tenant_id):
                await check(connection, objects, tenant_id)
                await _begin(connection, secrets_directory, tenant_id, administrator)
                reached("shredding: begun")
            await asyncio.to_thread(_destroy_key, secrets_directory, tenant_id)
            reached("shredding: key destroyed")
            await connection.execute(
                "UPDATE shredding SET key_destroyed_at = clock_timestamp() WHERE tenant = %s", (tenant_id,)
            )
            reached("shredding: key said to be destroyed")
        await _sweep(connection, objects, tenant_id, tell)
        await _settle(connection, tenant_id, settle_s)
        while await _sweep(connection, objects, tenant_id, tell):
            reached("shredding: swept again")
        certificate = await _certify(connection, secrets_directory, tenant_id, backups_kept_days)
        reached("shredding: certified")
        return certificate


async def certificates(connection: Owner) -> list[tuple[str, str | None]]:
    """Slug and certificate of every tenant that is shredded, or being shredded (None), by time."""
    cursor = await connection.execute("SELECT slug, certificate FROM shredding ORDER BY begun_at")
    return [(slug, certificate) for slug, certificate in await cursor.fetchall()]


# -- steps


async def _begin(connection: Owner, secrets_directory: Path, tenant_id: TenantId, administrator: str) -> None:
    """Of what began before, what was found then stays."""
    key = await asyncio.to_thread(_fingerprint, secrets_directory, tenant_id)
    async with connection.transaction():
        held = await connection.execute("SELECT is_held FROM tenant WHERE id = %s FOR UPDATE", (tenant_id,))
        if await held.fetchall() != [(False,)]:
            raise UnderLegalHold("tenant", 1)
        await connection.execute("UPDATE tenant SET status = 'deleted' WHERE id = %s", (tenant_id,))
        domains = await connection.execute("SELECT name FROM domain WHERE tenant_id = %s ORDER BY name", (tenant_id,))
        made = await connection.execute(
            "SELECT id, created_at FROM data_key WHERE tenant_id = %s AND purpose = 'data' ORDER BY id", (tenant_id,)
        )
        counted = await connection.execute(
            "SELECT count(*), coalesce(sum(octets), 0)::bigint FROM object WHERE tenant_id = %s", (tenant_id,)
        )
        (objects,) = await counted.fetchall()
        found = {
            "domains": [name for (name,) in await domains.fetchall()],
            "tenant_key": key,
            "data_keys": [(key_id, made_at.isoformat()) for key_id, made_at in await made.fetchall()],
            "objects": {"rows": objects[0], "octets": objects[1]},
        }
        await connection.execute(
            """
            INSERT INTO shredding (tenant, slug, administrator, begun_at, found, deleted)
            SELECT id, slug, %(administrator)s, now(), %(found)s, '{}' FROM tenant WHERE id = %(tenant)s
            ON CONFLICT (tenant) DO UPDATE
               SET administrator = excluded.administrator, begun_at = excluded.begun_at, found = excluded.found,
                   deleted = '{}', key_destroyed_at = NULL, objects_deleted_at = NULL, certificate = NULL
             WHERE shredding.certificate IS NOT NULL
            """,
            {"tenant": tenant_id, "administrator": administrator, "found": Jsonb(found)},
        )


def _fingerprint(secrets_directory: Path, tenant_id: TenantId) -> str | None:
    try:
        return fingerprint(read_tenant_key(secrets_directory, read_master_keys(secrets_directory), tenant_id))
    except KeyUnusable:
        return None


def _destroy_key(secrets_directory: Path, tenant_id: TenantId) -> None:
    """And what a process left that died while it wrapped the key anew."""
    with locked(secrets_directory):
        path = tenant_key_path(secrets_directory, tenant_id)
        destroy_file(path)
        destroy_drafts(path)


async def _sweep(connection: Owner, objects: ObjectStore | None, tenant_id: TenantId, tell: Tell) -> int:
    """Delete what there is; returns how much that was."""
    gone = await _delete_objects(connection, objects, tenant_id, tell)
    gone += await _leave_inbound(connection, tenant_id)
    await connection.execute(
        "UPDATE domain SET catch_all_account_id = NULL, catch_all_group_id = NULL WHERE tenant_id = %s"
        " AND (catch_all_account_id IS NOT NULL OR catch_all_group_id IS NOT NULL)",
        (tenant_id,),
    )
    for table in await tables_of_tenants(connection):
        while True:
            rows = await _delete_chunk(connection, table, tenant_id)
            if rows == 0:
                break
            gone += rows
            tell(table.name, rows)
            reached("shredding: chunk deleted")
    return gone


async def _delete_objects(connection: Owner, objects: ObjectStore | None, tenant_id: TenantId, tell: Tell) -> int:
    """By their names in the bucket: also those that no row knows."""
    gone = 0
    if objects is not None:
        async for page in objects.list(f"{tenant_id}/"):
            names = [each.name for each in page]
            try:
                await objects.delete(names)
            except ObjectsHeld as held:
                raise UnderLegalHold("objects", len(held.names)) from held
            gone += len(names)
            tell("objects", len(names))
            reached("shredding: objects deleted")
    await connection.execute(
        "UPDATE shredding SET objects_deleted_at = clock_timestamp() WHERE tenant = %s AND objects_deleted_at IS NULL",
        (tenant_id,),
    )
    return gone


async def _leave_inbound(connection: Owner, tenant_id: TenantId) -> int:
    """Mail on its way in to several tenants: to this one no more."""
    async with connection.transaction():
        cursor = await connection.execute(
            """
            UPDATE inbound i
               SET tenant_ids = array(SELECT t FROM unnest(i.tenant_ids) WITH ORDINALITY AS u (t, n)
                                       WHERE t <> %(tenant)s ORDER BY n),
                   account_ids = array(SELECT a FROM unnest(i.tenant_ids, i.account_ids) WITH ORDINALITY AS u (t, a, n)
                                        WHERE t <> %(tenant)s ORDER BY n)
             WHERE %(tenant)s = ANY (i.tenant_ids)
            """,
            {"tenant": tenant_id},
        )
        await connection.execute(
            "DELETE FROM inbound_content c USING inbound i WHERE c.inbound_id = i.id AND i.tenant_ids = '{}'"
        )
        await connection.execute("DELETE FROM inbound WHERE tenant_ids = '{}'")
        return cursor.rowcount


async def tables_of_tenants(connection: Owner) -> list[_Table]:
    """Every table with a tenant_id but those that are kept; who points at another table before that table.

    Where deleting a row takes rows of other tables with it, these come first, so that they are counted."""
    cursor = await connection.execute(
        """
        SELECT c.relname, coalesce((
                   SELECT array_agg(k.attname::text ORDER BY array_position(i.indkey::smallint[], k.attnum))
                     FROM pg_index i JOIN pg_attribute k ON k.attrelid = i.indrelid AND k.attnum = ANY (i.indkey)
                    WHERE i.indrelid = c.oid AND i.indisprimary AND k.attname <> 'tenant_id'), '{}')
          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
         WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace
         ORDER BY c.relname
        """
    )
    tables = {name: _Table(name, columns) for name, columns in await cursor.fetchall() if name not in KEPT_TABLES}
    pointing = await connection.execute(
        """
        SELECT DISTINCT f.relname, t.relname FROM pg_constraint k
          JOIN pg_class f ON f.oid = k.conrelid JOIN pg_class t ON t.oid = k.confrelid
         WHERE k.contype = 'f' AND f.oid <> t.oid
        """
    )
    order: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(tables, ()))
    for pointer, target in await pointing.fetchall():
        if pointer in tables and target in tables:
            order.add(target, pointer)
    deleting = await connection.execute(
        """
        SELECT DISTINCT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
         WHERE NOT t.tgisinternal AND t.tgtype & 8 <> 0 AND NOT c.relispartition
        """
    )
    last = {name for (name,) in await deleting.fetchall()} & set(tables)
    for name in last:
        order.add(name, *(set(tables) - last))
    if _STATE in last:
        order.add(_STATE, *(last - {_STATE}))
    return [tables[name] for name in order.static_order()]


async def _delete_chunk(connection: Owner, table: _Table, tenant_id: TenantId) -> int:
    """By ranges of the primary key, so that what was deleted before is not walked over again and again."""
    name = sql.Identifier(table.name)
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    octets = sql.SQL(_OCTETS.get(table.name, "0"))
    values: list[object] = [tenant_id]
    until: sql.Composable = sql.SQL("")
    if table.columns:
        boundary = await connection.execute(
            sql.SQL("SELECT {columns} FROM {name} WHERE tenant_id = %s ORDER BY {columns} OFFSET %s LIMIT 1").format(
                columns=columns, name=name
            ),
            (tenant_id, CHUNK_ROWS - 1),
        )
        if row := await boundary.fetchone():
            until = sql.SQL(" AND ({columns}) <= ({marks})").format(
                columns=columns, marks=sql.SQL(", ").join([sql.Placeholder()] * len(row))
            )
            values += row
    async with connection.transaction():
        cursor = await connection.execute(
            sql.SQL(
                """
                WITH gone AS (DELETE FROM {name} WHERE tenant_id = %s{until} RETURNING {octets} AS octets)
                SELECT count(*), coalesce(sum(octets), 0)::bigint FROM gone
                """
            ).format(name=name, until=until, octets=octets),
            values,
        )
        ((rows, octets_gone),) = await cursor.fetchall()
        if rows:
            await connection.execute(
                """
                UPDATE shredding
                   SET deleted = jsonb_set(deleted, ARRAY[%(table)s], jsonb_build_object(
                           'rows', coalesce((deleted -> %(table)s ->> 'rows')::bigint, 0) + %(rows)s,
                           'octets', coalesce((deleted -> %(table)s ->> 'octets')::bigint, 0) + %(octets)s))
                 WHERE tenant = %(tenant)s
                """,
                {"table": table.name, "rows": rows, "octets": octets_gone, "tenant": tenant_id},
            )
    return int(rows)


async def _settle(connection: Owner, tenant_id: TenantId, settle_s: float) -> None:
    cursor = await connection.execute(
        "SELECT extract(epoch FROM clock_timestamp() - key_destroyed_at)::float FROM shredding WHERE tenant = %s",
        (tenant_id,),
    )
    ((passed_s,),) = await cursor.fetchall()
    await asyncio.sleep(max(0.0, settle_s - max(0.0, passed_s)))


async def _certify(
    connection: Owner, secrets_directory: Path, tenant_id: TenantId, backups_kept_days: int
) -> Certificate:
    cursor = await connection.execute(
        """
        SELECT s.slug, t.name, s.administrator, s.begun_at, s.key_destroyed_at, clock_timestamp(), s.found, s.deleted
          FROM shredding s JOIN tenant t ON t.id = s.tenant WHERE s.tenant = %s
        """,
        (tenant_id,),
    )
    ((slug, name, administrator, begun_at, destroyed_at, ended_at, found, deleted),) = await cursor.fetchall()
    certificate = Certificate(
        tenant_id,
        slug,
        name,
        found["domains"],
        administrator,
        begun_at.astimezone(UTC),
        destroyed_at.astimezone(UTC),
        ended_at.astimezone(UTC),
        tenant_key=found["tenant_key"],
        data_keys=[(key_id, datetime.fromisoformat(made_at).astimezone(UTC)) for key_id, made_at in found["data_keys"]],
        objects=Count(**found["objects"]),
        tables={table: Count(**count) for table, count in sorted(deleted.items())},
        backups_kept_days=backups_kept_days,
    )
    text = as_json(certificate)
    await asyncio.to_thread(_write_beside_keys, secrets_directory, tenant_id, text)
    reached("shredding: certificate written")
    await connection.execute("UPDATE shredding SET certificate = %s WHERE tenant = %s", (text, tenant_id))
    return certificate


def _write_beside_keys(secrets_directory: Path, tenant_id: TenantId, text: str) -> None:
    with locked(secrets_directory):
        path = certificate_path(secrets_directory, tenant_id)
        make_directory(path.parent)
        replace_file(path, text)


# -- looking


@asynccontextmanager
async def _alone(owner_url: str, tenant_id: TenantId) -> AsyncIterator[Owner]:
    """A connection, on which statements commit by themselves; it holds a lock that ends with it."""
    connection = await psycopg.AsyncConnection.connect(owner_url, autocommit=True, application_name="waypost shredding")
    try:
        for left in range(LOCK_TRIES - 1, -1, -1):
            got = await connection.execute(
                "SELECT pg_try_advisory_lock(hashtext('shredding'), %s)", (tenant_id % 2**31,)
            )
            if await got.fetchall() == [(True,)]:
                break
            if left == 0:
                raise ShreddingUnderWay
            await asyncio.sleep(0.1)  # Postgres takes a moment to see that a process is gone
        yield connection
    finally:
        await connection.close()


async def _progress(connection: Owner, tenant_id: TenantId) -> _Progress | None:
    cursor = await connection.execute(
        "SELECT key_destroyed_at, objects_deleted_at, certificate FROM shredding WHERE tenant = %s", (tenant_id,)
    )
    row = await cursor.fetchone()
    return None if row is None else _Progress(*row)


def _is_past_return(progress: _Progress | None, secrets_directory: Path, tenant_id: TenantId) -> bool:
    """The key is destroyed, and nobody came to say so: a hold could not undo it any more."""
    path = tenant_key_path(secrets_directory, tenant_id)
    return progress is not None and progress.certificate is None and not path.exists()


async def _is_back(connection: Owner, tenant_id: TenantId) -> bool:
    """Whether rows of a shredded tenant are here again: somebody restored it."""
    return bool(await _count(connection, "SELECT count(*) FROM data_key WHERE tenant_id = %s", tenant_id))


async def _held_in_bucket(objects: ObjectStore, tenant_id: TenantId) -> int:
    held = 0
    async for page in objects.list(f"{tenant_id}/"):
        for at in range(0, len(page), _HOLDS_ASKED_AT_ONCE):
            asked = page[at : at + _HOLDS_ASKED_AT_ONCE]
            held += sum(await asyncio.gather(*(objects.is_held(each.name) for each in asked)))
    return held


async def _count(connection: Owner, statement: str, tenant_id: TenantId) -> int:
    cursor = await connection.execute(statement.encode(), (tenant_id,))
    return int((await cursor.fetchall())[0][0])
