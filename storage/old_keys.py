"""What still rests under old data keys of a tenant, and sealing it anew with the current one.

Every row says itself which key sealed it, so the work may stop anywhere, be done twice, and go on beside readers and
writers. What rests in objects never changes: whoever compacts asks `objects_under_old_keys` what to write anew.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Protocol, TypeVar

from storage.blobs.objects import ObjectStore
from storage.database import Database
from storage.errors import ContentDamaged
from storage.keys import ANNOUNCED_S, KeyRing, TenantKeys
from storage.outgoing_content import last_chunk
from storage.query import Connection, Query
from storage.smarthosts import PASSWORD_CODEC, PASSWORD_NAME
from storage.steps import reached
from storage.tiers.compaction import WornPack, compact
from storage.tiers.moving import Moved, Progress
from storage.types import BlobDigest
from tenants.types import TenantId

PAGE = 200
OBJECTS_AT_ONCE = 16
PAGE_OCTETS = 4 * 1024 * 1024


class _Sized(Protocol):
    @property
    def octets(self) -> int: ...


_Row = TypeVar("_Row", bound=_Sized)


@dataclass(frozen=True, slots=True)
class _TenantId:
    tenant_id: int


@dataclass(frozen=True, slots=True)
class _HotRow:
    digest: bytes
    chunk: int
    content_on: date
    octets: int


@dataclass(frozen=True, slots=True)
class _Locked:
    digest: bytes


@dataclass(frozen=True, slots=True)
class _HotChunk:
    digest: bytes
    octets: int
    chunk: int
    content_on: date
    key_id: int
    codec: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class _QueueRow:
    outgoing_id: int
    chunk: int
    octets: int


@dataclass(frozen=True, slots=True)
class _QueueChunk:
    digest: bytes
    octets: int
    outgoing_id: int
    chunk: int
    key_id: int
    codec: int
    sealed: bytes


_Chunk = TypeVar("_Chunk", _HotChunk, _QueueChunk)


@dataclass(frozen=True, slots=True)
class _Password:
    key_id: int | None
    sealed_password: bytes | None


_ASKED = Query(
    "SELECT tenant_id FROM reseal_order ORDER BY tenant_id",
    row=_TenantId,
    role="waypost_system",
    scans=["reseal_order"],
)
_IS_DONE = Query[None]("DELETE FROM reseal_order WHERE tenant_id = waypost_tenant(%(tenant_id)s)")
_OBJECTS = Query(
    """
    SELECT o.id, o.octets, o.live_octets FROM object o
     WHERE o.tenant_id = waypost_tenant(%(tenant_id)s) AND o.id > %(after)s AND o.state = 1
       AND EXISTS (
           SELECT FROM blob b
            WHERE b.tenant_id = o.tenant_id AND b.object_id = o.id
              AND layout_has_other_key_v1(b.layout, (
                  SELECT coalesce(
                             max(k.id) FILTER (WHERE k.created_at <= now() - make_interval(secs => %(announced_s)s)),
                             min(k.id))
                    FROM data_key k WHERE k.tenant_id = o.tenant_id AND k.purpose = 'data')))
     ORDER BY o.id LIMIT %(limit)s
    """,
    row=WornPack,
)
_HOT = Query(
    """
    SELECT c.digest, c.chunk, c.content_on, length(c.sealed)::bigint AS octets FROM blob_content c
     WHERE c.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND c.digest >= %(digest)s
       AND (c.digest, c.chunk, c.content_on) > (%(digest)s, %(chunk)s, %(content_on)s::date) AND c.key_id <> %(key_id)s
     ORDER BY c.digest, c.chunk, c.content_on LIMIT %(limit)s
    """,
    row=_HotRow,
)
_LOCK = Query(
    """
    SELECT b.digest FROM blob b
     WHERE b.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND b.digest = ANY (%(digests)s)
     ORDER BY b.digest FOR UPDATE
    """,
    row=_Locked,
)
_HOT_CHUNKS = Query(
    """
    SELECT c.digest, b.octets, c.chunk, c.content_on, c.key_id, c.codec, c.sealed
      FROM unnest(%(digests)s::bytea[], %(chunks)s::integer[], %(days)s::date[]) AS w (digest, chunk, content_on)
      JOIN blob_content c ON c.digest = w.digest AND c.chunk = w.chunk AND c.content_on = w.content_on
      JOIN blob b ON b.tenant_id = c.tenant_id AND b.digest = c.digest
     WHERE c.tenant_id = (SELECT waypost_tenant(%(tenant_id)s))
    """,
    row=_HotChunk,
)
_HOT_UPDATE = Query[None](
    """
    UPDATE blob_content c SET key_id = %(key_id)s, sealed = w.sealed
      FROM unnest(%(digests)s::bytea[], %(chunks)s::integer[], %(days)s::date[], %(keys)s::integer[],
                  %(sealed)s::bytea[]) AS w (digest, chunk, content_on, key_id, sealed)
     WHERE c.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND c.digest = w.digest AND c.chunk = w.chunk
       AND c.content_on = w.content_on AND c.key_id = w.key_id
    """
)
_QUEUED = Query(
    """
    SELECT c.outgoing_id, c.chunk, length(c.sealed)::bigint AS octets FROM outgoing_content c
     WHERE c.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND c.key_id <> %(key_id)s
       AND (c.outgoing_id, c.chunk) > (%(outgoing_id)s, %(chunk)s)
     ORDER BY c.outgoing_id, c.chunk LIMIT %(limit)s
    """,
    row=_QueueRow,
)
_QUEUED_CHUNKS = Query(
    """
    SELECT o.content_name AS digest, o.octets, c.outgoing_id, c.chunk, c.key_id, c.codec, c.sealed
      FROM unnest(%(ids)s::bigint[], %(chunks)s::integer[]) AS w (id, chunk)
      JOIN outgoing_content c ON c.outgoing_id = w.id AND c.chunk = w.chunk
      JOIN outgoing o ON o.tenant_id = c.tenant_id AND o.id = c.outgoing_id
     WHERE c.tenant_id = (SELECT waypost_tenant(%(tenant_id)s))
    """,
    row=_QueueChunk,
)
_QUEUED_UPDATE = Query[None](
    """
    UPDATE outgoing_content c SET key_id = %(key_id)s, sealed = w.sealed
      FROM unnest(%(ids)s::bigint[], %(chunks)s::integer[], %(keys)s::integer[], %(sealed)s::bytea[])
           AS w (id, chunk, key_id, sealed)
     WHERE c.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND c.outgoing_id = w.id AND c.chunk = w.chunk
       AND c.key_id = w.key_id
    """
)
_PASSWORD = Query(
    "SELECT key_id, sealed_password FROM smarthost WHERE tenant_id = waypost_tenant(%(tenant_id)s)", row=_Password
)
_PASSWORD_UPDATE = Query[None](
    """
    UPDATE smarthost SET key_id = %(key_id)s, sealed_password = %(sealed)s
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND sealed_password = %(before)s
    """
)


async def objects_under_old_keys(
    connection: Connection, tenant_id: TenantId, limit: int, *, after: int = 0
) -> list[WornPack]:
    """Live objects, packs and parts, by id, in which something that is used was not sealed with the current key."""
    return await _OBJECTS.all(connection, tenant_id=tenant_id, after=after, limit=limit, announced_s=ANNOUNCED_S)


async def reseal_objects(
    database: Database, objects: ObjectStore, ring: KeyRing, tenant_id: TenantId, *, tell: Progress = lambda _: None
) -> Moved:
    """Write anew the objects in which something rests under an old key, like compaction; the old ones are doomed.

    Raises KeyUnusable, ColdTierUnavailable, StoreUnavailable; what was moved until then stays moved.
    """
    keys = await ring.of(tenant_id)
    moved = Moved()
    after = 0
    while True:
        async with database.read(tenant_id) as connection:
            old = await objects_under_old_keys(connection, tenant_id, OBJECTS_AT_ONCE, after=after)
        if not old:
            return moved
        moved.add(await compact(database, objects, keys, packs=old, progress=tell))
        after = old[-1].id
        reached("reseal: objects")


async def asked_for(database: Database) -> list[TenantId]:
    """Tenants of which an administrator wants everything sealed anew."""
    async with database.system_single() as connection:
        return [TenantId(row.tenant_id) for row in await _ASKED.all(connection)]


async def finish_if_done(database: Database, tenant_id: TenantId) -> bool:
    """Take back the order when nothing rests in objects under an old key either."""
    async with database.read(tenant_id) as connection:
        if await objects_under_old_keys(connection, tenant_id, 1):
            return False
        await _IS_DONE.execute(connection, tenant_id=tenant_id)
        return True


@dataclass(slots=True)
class Resealed:
    """Chunks that were sealed anew, and those that do not open, which stay as they are."""

    chunks: int = 0
    octets: int = 0
    damaged: int = 0


async def reseal(
    database: Database, ring: KeyRing, tenant_id: TenantId, *, tell: Callable[[Resealed], None] = lambda _: None
) -> Resealed:
    """Seal anew what rests in Postgres under old keys of a tenant; tells after each page how far it is.

    Raises KeyUnusable, StoreUnavailable.
    """
    keys = await ring.of(tenant_id)
    done = Resealed()
    await _reseal_hot(database, keys, done, tell)
    await _reseal_queue(database, keys, done, tell)
    await _reseal_password(database, keys, done)
    return done


async def _reseal_hot(database: Database, keys: TenantKeys, done: Resealed, tell: Callable[[Resealed], None]) -> None:
    after: tuple[bytes, int, date] = (b"", 0, date(1970, 1, 1))
    while True:
        async with database.read(keys.tenant_id) as connection:
            rows = await _HOT.all(
                connection,
                tenant_id=keys.tenant_id,
                digest=after[0],
                chunk=after[1],
                content_on=after[2],
                key_id=keys.current,
                limit=PAGE,
            )
        if not rows:
            return
        page = _first_octets(rows)
        _add(done, await database.retried(partial(_reseal_hot_page, database, keys, page)))
        after = (page[-1].digest, page[-1].chunk, page[-1].content_on)
        tell(done)
        reached("reseal: hot page")


async def _reseal_hot_page(database: Database, keys: TenantKeys, page: Sequence[_HotRow]) -> Resealed:
    """The blobs are locked first, by digest, as everywhere. Copies of a blob that is gone stay as they are."""
    async with database.transaction(keys.tenant_id) as connection:
        digests = sorted({row.digest for row in page})
        locked = {row.digest for row in await _LOCK.all(connection, tenant_id=keys.tenant_id, digests=digests)}
        used = [row for row in page if row.digest in locked]
        chunks = await _HOT_CHUNKS.all(
            connection,
            tenant_id=keys.tenant_id,
            digests=[row.digest for row in used],
            chunks=[row.chunk for row in used],
            days=[row.content_on for row in used],
        )
        anew = await asyncio.to_thread(_sealed_anew, keys, chunks)
        await _HOT_UPDATE.execute(
            connection,
            tenant_id=keys.tenant_id,
            key_id=keys.current,
            digests=[chunk.digest for chunk, _ in anew],
            chunks=[chunk.chunk for chunk, _ in anew],
            days=[chunk.content_on for chunk, _ in anew],
            keys=[chunk.key_id for chunk, _ in anew],
            sealed=[sealed for _, sealed in anew],
        )
    return Resealed(len(anew), sum(len(sealed) for _, sealed in anew), len(chunks) - len(anew))


async def _reseal_queue(database: Database, keys: TenantKeys, done: Resealed, tell: Callable[[Resealed], None]) -> None:
    after = (0, -1)
    while True:
        async with database.read(keys.tenant_id) as connection:
            rows = await _QUEUED.all(
                connection,
                tenant_id=keys.tenant_id,
                outgoing_id=after[0],
                chunk=after[1],
                key_id=keys.current,
                limit=PAGE,
            )
            if not rows:
                return
            page = _first_octets(rows)
            chunks = await _QUEUED_CHUNKS.all(
                connection,
                tenant_id=keys.tenant_id,
                ids=[row.outgoing_id for row in page],
                chunks=[row.chunk for row in page],
            )
            anew = await asyncio.to_thread(_sealed_anew, keys, chunks)
            await _QUEUED_UPDATE.execute(
                connection,
                tenant_id=keys.tenant_id,
                key_id=keys.current,
                ids=[chunk.outgoing_id for chunk, _ in anew],
                chunks=[chunk.chunk for chunk, _ in anew],
                keys=[chunk.key_id for chunk, _ in anew],
                sealed=[sealed for _, sealed in anew],
            )
        _add(done, Resealed(len(anew), sum(len(sealed) for _, sealed in anew), len(chunks) - len(anew)))
        after = (page[-1].outgoing_id, page[-1].chunk)
        tell(done)
        reached("reseal: page of the queue")


def _sealed_anew(keys: TenantKeys, chunks: Sequence[_Chunk]) -> list[tuple[_Chunk, bytes]]:
    """What does not open is left out."""
    anew = []
    for each in chunks:
        is_last = each.chunk == last_chunk(each.octets)
        with contextlib.suppress(ContentDamaged):
            sealed = keys.reseal(BlobDigest(each.digest), each.chunk, is_last, each.codec, each.key_id, each.sealed)
            anew.append((each, sealed))
    return anew


async def _reseal_password(database: Database, keys: TenantKeys, done: Resealed) -> None:
    async with database.read(keys.tenant_id) as connection:
        row = await _PASSWORD.first(connection, tenant_id=keys.tenant_id)
        if row is None or row.key_id in (None, keys.current) or row.sealed_password is None:
            return
        try:
            sealed = keys.reseal(PASSWORD_NAME, 0, True, PASSWORD_CODEC, row.key_id, row.sealed_password)
        except ContentDamaged:
            done.damaged += 1
            return
        done.chunks += await _PASSWORD_UPDATE.execute(
            connection, tenant_id=keys.tenant_id, key_id=keys.current, sealed=sealed, before=row.sealed_password
        )


def _add(done: Resealed, more: Resealed) -> None:
    done.chunks += more.chunks
    done.octets += more.octets
    done.damaged += more.damaged


def _first_octets(rows: Sequence[_Row]) -> Sequence[_Row]:
    """As many as are together at most PAGE_OCTETS, at least one."""
    octets = 0
    for at, row in enumerate(rows):
        octets += row.octets
        if octets > PAGE_OCTETS:
            return rows[: max(1, at)]
    return rows
