"""Rows of objects as verification reads them."""

from dataclasses import dataclass
from datetime import date, datetime

from storage.query import Connection, Query
from storage.verification.blob_rows import ALL_DAYS
from tenants.types import TenantId

WRITING, LIVE, DOOMED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class ObjectRow:
    id: int
    state: int
    octets: int
    sha256: bytes | None
    live_blobs: int
    live_octets: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CountedObject:
    """With what rests in it, counted by the same statement."""

    id: int
    state: int
    octets: int
    live_blobs: int
    live_octets: int
    is_old: bool
    found_blobs: int
    found_octets: int


@dataclass(frozen=True, slots=True)
class _Id:
    object_id: int | None


_LIVE = Query(
    """
    SELECT o.id, o.state, o.octets, o.sha256, o.live_blobs, o.live_octets, o.created_at FROM object o
     WHERE o.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND o.id >= %(first)s AND o.id < %(before)s
       AND o.state = 1 AND o.created_at >= %(since)s::date
     ORDER BY o.id LIMIT %(limit)s
    """,
    row=ObjectRow,
)
_ONE = Query(
    """
    SELECT o.id, o.state, o.octets, o.sha256, o.live_blobs, o.live_octets, o.created_at FROM object o
     WHERE o.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND o.id = %(object_id)s
    """,
    row=ObjectRow,
)
_COUNTED = Query(
    """
    SELECT o.id, o.state, o.octets, o.live_blobs, o.live_octets,
           o.created_at < now() - make_interval(secs => %(grace_s)s) AS is_old,
           c.blobs AS found_blobs, c.octets AS found_octets
      FROM object o
     CROSS JOIN LATERAL (
           SELECT count(*) AS blobs, coalesce(sum(b.stored_octets), 0)::bigint AS octets FROM blob b
            WHERE b.tenant_id = o.tenant_id AND b.object_id = o.id) c
     WHERE o.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND o.id >= %(first)s AND o.id < %(before)s
     ORDER BY o.id LIMIT %(limit)s
    """,
    row=CountedObject,
)
_NEXT_NAMED = Query(
    """
    SELECT b.object_id FROM blob b
     WHERE b.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND b.object_id >= %(first)s
     ORDER BY b.object_id LIMIT 1
    """,
    row=_Id,
)
_LOCK = Query[None](
    """
    SELECT 1 FROM object o
     WHERE o.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND o.id = %(object_id)s FOR UPDATE
    """
)
_SET_COUNTS = Query[None](
    """
    UPDATE object o
       SET live_blobs = %(blobs)s, live_octets = %(octets)s, state = %(state)s::smallint,
           doomed_at = CASE %(state)s::smallint WHEN 1 THEN NULL ELSE coalesce(o.doomed_at, now()) END
     WHERE o.tenant_id = waypost_tenant(%(tenant_id)s) AND o.id = %(object_id)s
    """
)


async def live_objects(
    connection: Connection, tenant_id: TenantId, first: int, before: int, since: date | None, limit: int
) -> list[ObjectRow]:
    """In which blobs rest, made on `since` or later; by id from `first` to before `before`."""
    return await _LIVE.all(
        connection, tenant_id=tenant_id, first=first, before=_bigint(before), since=since or ALL_DAYS, limit=limit
    )


async def one_object(connection: Connection, tenant_id: TenantId, object_id: int) -> ObjectRow | None:
    return await _ONE.first(connection, tenant_id=tenant_id, object_id=object_id)


async def counted_objects(
    connection: Connection, tenant_id: TenantId, first: int, before: int, grace_s: float, limit: int
) -> list[CountedObject]:
    """Of every state. `is_old`: made so long ago that upkeep should have given it up, were it unfinished."""
    return await _COUNTED.all(
        connection, tenant_id=tenant_id, first=first, before=_bigint(before), grace_s=2 * grace_s, limit=limit
    )


async def next_named(connection: Connection, tenant_id: TenantId, first: int) -> int | None:
    """The least id from `first` on that the row of a blob names."""
    found = await _NEXT_NAMED.first(connection, tenant_id=tenant_id, first=first)
    return found.object_id if found else None


async def lock_object(connection: Connection, tenant_id: TenantId, object_id: int) -> None:
    """In a transaction: nothing comes to rest there or leaves until it ends."""
    await _LOCK.execute(connection, tenant_id=tenant_id, object_id=object_id)


async def set_counts(
    connection: Connection, tenant_id: TenantId, object_id: int, *, blobs: int, octets: int, state: int
) -> None:
    """`state`: live or doomed."""
    await _SET_COUNTS.execute(
        connection, tenant_id=tenant_id, object_id=object_id, blobs=blobs, octets=octets, state=state
    )


def _bigint(before: int) -> int:
    """The end of all ids is one more than a bigint holds, and no id is the last there can be."""
    return min(before, 2**63 - 1)
