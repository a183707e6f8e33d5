"""Objects that nothing rests in are deleted, once no restore to a point in time can want them.

An object whose octets were begun and never used (its writer died) is doomed after a day. What S3 holds back (legal
hold) stays, with its row. When the clock leapt since the last time, nothing is deleted for as long as things are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.blobs.object_faults import ObjectsHeld
from storage.blobs.objects import ObjectStore
from storage.blobs.tiered import object_name
from storage.database import Database
from storage.query import Query
from storage.steps import reached
from tenants.types import TenantId

ABANDONED_AFTER_S = 86_400.0
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class _Id:
    id: int


_DOOM_ABANDONED = Query[None](
    """
    UPDATE object SET state = 2, doomed_at = now()
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND state = 0
       AND created_at < now() - make_interval(secs => %(after_s)s)
    """
)
_DUE = Query(
    """
    SELECT id FROM object
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND state = 2 AND NOT is_held
       AND doomed_at < now() - make_interval(secs => %(kept_s)s)
     ORDER BY doomed_at LIMIT %(limit)s
    """,
    row=_Id,
)
_FORGET = Query[None](
    """
    DELETE FROM object
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND id = ANY (%(ids)s) AND state = 2 AND NOT is_held
    """
)


async def doom_abandoned(database: Database, tenant_id: TenantId, *, after_s: float = ABANDONED_AFTER_S) -> int:
    """Give up objects that were begun so long ago; whoever still writes one finds that out. Returns how many."""
    async with database.read(tenant_id) as connection:
        return await _DOOM_ABANDONED.execute(connection, tenant_id=tenant_id, after_s=after_s)


async def delete_doomed(database: Database, objects: ObjectStore, tenant_id: TenantId, *, kept_s: float) -> int:
    """Delete what was doomed so long ago: the octets first, then the row. Returns how many went.

    Raises ColdTierUnavailable, StoreUnavailable.
    """
    deleted = 0
    while True:
        async with database.read(tenant_id) as connection:
            due = [row.id for row in await _DUE.all(connection, tenant_id=tenant_id, kept_s=kept_s, limit=AT_ONCE)]
        if not due:
            return deleted
        gone = await _delete(objects, tenant_id, due)
        reached("doomed: deleted")
        async with database.read(tenant_id) as connection:
            deleted += await _FORGET.execute(connection, tenant_id=tenant_id, ids=gone)
        if len(gone) < len(due):
            return deleted  # what S3 holds back would come again and again


async def _delete(objects: ObjectStore, tenant_id: TenantId, ids: Sequence[int]) -> list[int]:
    names = {object_name(tenant_id, each): each for each in ids}
    try:
        await objects.delete(list(names))
    except ObjectsHeld as held:
        return [each for name, each in names.items() if name not in held.names]
    return list(ids)
