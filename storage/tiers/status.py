"""Where a tenant's content rests, and what is still to do."""

from dataclasses import dataclass

from storage.database import Database
from storage.query import Query
from storage.tiers.moving import PACK, PART
from tenants.types import TenantId


@dataclass(frozen=True, slots=True)
class TierStatus:
    """Octets are as stored: sealed and compressed.

    `due` counts hot blobs past the tenant's age, `live_octets` what is in use of the packs, `doomed_octets` what waits
    for its deletion.
    """

    hot_blobs: int
    hot_octets: int
    due_blobs: int
    due_octets: int
    packs: int
    pack_octets: int
    live_octets: int
    cold_blobs: int
    parts: int
    part_octets: int
    doomed: int
    doomed_octets: int
    being_written: int


@dataclass(frozen=True, slots=True)
class _Hot:
    blobs: int
    octets: int
    due_blobs: int
    due_octets: int


@dataclass(frozen=True, slots=True)
class _Objects:
    kind: int
    state: int
    objects: int
    octets: int
    live_octets: int
    live_blobs: int


_HOT = Query(
    """
    SELECT count(*) AS blobs, coalesce(sum(stored_octets), 0)::bigint AS octets,
           count(*) FILTER (WHERE is_due) AS due_blobs,
           coalesce(sum(stored_octets) FILTER (WHERE is_due), 0)::bigint AS due_octets
      FROM (SELECT b.stored_octets,
                   coalesce(greatest(b.content_on, b.touched_at::date, b.read_on)
                       < CURRENT_DATE - %(days)s::integer, false) AS is_due
              FROM blob b
             WHERE b.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND b.object_id IS NULL) h
    """,
    row=_Hot,
)
_OBJECTS = Query(
    """
    SELECT kind, state, count(*) AS objects, coalesce(sum(octets), 0)::bigint AS octets,
           coalesce(sum(live_octets), 0)::bigint AS live_octets, coalesce(sum(live_blobs), 0)::bigint AS live_blobs
      FROM object WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) GROUP BY kind, state
    """,
    row=_Objects,
)


async def status(database: Database, tenant_id: TenantId, *, cold_after_days: int | None) -> TierStatus:
    async with database.read(tenant_id) as connection:
        hot = await _HOT.one(connection, tenant_id=tenant_id, days=cold_after_days)
        rows = await _OBJECTS.all(connection, tenant_id=tenant_id)
    packs = [row for row in rows if row.kind == PACK and row.state == 1]
    parts = [row for row in rows if row.kind == PART and row.state == 1]
    doomed = [row for row in rows if row.state == 2]
    return TierStatus(
        hot_blobs=hot.blobs,
        hot_octets=hot.octets,
        due_blobs=hot.due_blobs,
        due_octets=hot.due_octets,
        packs=sum(row.objects for row in packs),
        pack_octets=sum(row.octets for row in packs),
        live_octets=sum(row.live_octets for row in packs),
        cold_blobs=sum(row.live_blobs for row in packs),
        parts=sum(row.objects for row in parts),
        part_octets=sum(row.octets for row in parts),
        doomed=sum(row.objects for row in doomed),
        doomed_octets=sum(row.octets for row in doomed),
        being_written=sum(row.objects for row in rows if row.state == 0),
    )
