"""What the bucket holds and no row knows, and what rows know and the bucket does not hold.

An object without a row (a writer died between the two, rows were restored to an earlier point in time) is remembered
when it is first seen, and deleted when it was seen without a row for as long as doomed objects are kept. If most of the
bucket looks like that, this is not our database, or not our bucket, and nothing is deleted. A row without its object is
told of and never deleted: somebody may bring the object back.
"""

from dataclasses import dataclass, field

from storage.blobs.objects import ObjectsHeld, ObjectStore
from storage.blobs.tiered import object_name
from storage.database import Database
from storage.query import Query
from storage.steps import reached
from tenants.types import TenantId

SUSPICIOUS_SHARE = 0.2
SUSPICIOUS_OBJECTS = 100
_AT_ONCE = 1_000


class TooManyOrphans(Exception):
    """So much of the bucket is unknown here that it is probably somebody else's."""

    def __init__(self, orphans: int, objects: int) -> None:
        super().__init__(f"{orphans} of {objects} objects in the bucket belong to no row: is it the right bucket?")
        self.orphans = orphans
        self.objects = objects


@dataclass(slots=True)
class Swept:
    """`missing` are names of objects in which blobs should rest and which the bucket does not hold."""

    objects: int = 0
    octets: int = 0
    orphans: int = 0
    deleted: int = 0
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Key:
    tenant_id: int
    id: int


@dataclass(frozen=True, slots=True)
class _Tenant:
    tenant_id: int


@dataclass(frozen=True, slots=True)
class _Name:
    name: str


_KNOWN = Query(
    """
    SELECT o.tenant_id, o.id FROM unnest(%(tenants)s::bigint[], %(ids)s::bigint[]) AS u (tenant_id, id)
      JOIN object o ON o.tenant_id = u.tenant_id AND o.id = u.id
    """,
    row=_Key,
    role="waypost_system",
)
_IN_USE = Query(
    """
    SELECT tenant_id, id FROM object
     WHERE tenant_id = %(tenant_id)s AND id > %(object_id)s AND state = 1 ORDER BY id LIMIT %(limit)s
    """,
    row=_Key,
    role="waypost_system",
)
_TENANTS = Query("SELECT DISTINCT tenant_id FROM object", row=_Tenant, role="waypost_system", scans=["object"])
_REMEMBER = Query[None](
    """
    INSERT INTO orphan_object (name, seen_at) SELECT u.name, now() FROM unnest(%(names)s::text[]) AS u (name)
    ON CONFLICT DO NOTHING
    """,
    role="waypost_system",
)
_FORGET = Query[None](
    "DELETE FROM orphan_object WHERE name = ANY (%(names)s::text[])", role="waypost_system", scans=["orphan_object"]
)
_REMEMBERED = Query(
    "SELECT name FROM orphan_object ORDER BY name", row=_Name, role="waypost_system", scans=["orphan_object"]
)
_DUE = Query(
    """
    SELECT name FROM orphan_object WHERE seen_at <= now() - make_interval(secs => %(kept_s)s) ORDER BY name
    """,
    row=_Name,
    role="waypost_system",
    scans=["orphan_object"],
)


async def sweep(database: Database, objects: ObjectStore, *, kept_s: float, may_delete: bool = True) -> Swept:
    """Compare bucket and rows, both ways. Raises TooManyOrphans, ColdTierUnavailable, StoreUnavailable."""
    swept = Swept()
    orphans: set[str] = set()
    looked_at: set[int] = set()
    tenant, seen = 0, set[int]()
    async for page in objects.list():  # by ascending name, so a tenant's stand together
        swept.objects += len(page)
        swept.octets += sum(each.octets for each in page)
        names = {key: each.name for each in page if (key := parse_name(each.name)) is not None}
        known = await _known(database, list(names))
        orphans |= {name for key, name in names.items() if key not in known}
        for owner, object_id in names:
            if owner != tenant:
                swept.missing += await _missing(database, objects, tenant, seen)
                looked_at.add(tenant)
                tenant, seen = owner, set()
            seen.add(object_id)
    swept.missing += await _missing(database, objects, tenant, seen)
    looked_at.add(tenant)
    async with database.system_single() as connection:
        tenants = {row.tenant_id for row in await _TENANTS.all(connection)}
    for unlisted in sorted(tenants - looked_at):
        swept.missing += await _missing(database, objects, unlisted, set())
    swept.orphans = len(orphans)
    await _remember(database, orphans)
    if len(orphans) > SUSPICIOUS_OBJECTS and len(orphans) > SUSPICIOUS_SHARE * swept.objects:
        raise TooManyOrphans(len(orphans), swept.objects)
    if may_delete:
        swept.deleted = await _delete_due(database, objects, orphans, kept_s)
    return swept


def parse_name(name: str) -> tuple[int, int] | None:
    """Tenant and id out of an object's name; None for what is no object of ours."""
    tenant, _, number = name.partition("/")
    if not (tenant.isascii() and tenant.isdigit() and len(number) == 16):
        return None
    try:
        return int(tenant), int(number, 16)
    except ValueError:
        return None


async def _known(database: Database, keys: list[tuple[int, int]]) -> set[tuple[int, int]]:
    async with database.system_single() as connection:
        rows = await _KNOWN.all(connection, tenants=[key[0] for key in keys], ids=[key[1] for key in keys])
    return {(row.tenant_id, row.id) for row in rows}


async def _remember(database: Database, orphans: set[str]) -> None:
    """Those that have a row by now, or are gone, are forgotten."""
    async with database.system_single() as connection:
        remembered = {row.name for row in await _REMEMBERED.all(connection)}
        if gone := sorted(remembered - orphans):
            await _FORGET.execute(connection, names=gone)
        if new := sorted(orphans - remembered):
            await _REMEMBER.execute(connection, names=new)


async def _missing(database: Database, objects: ObjectStore, tenant_id: int, seen: set[int]) -> list[str]:
    """Names of a tenant's objects in use that were not listed, and are not there at a second look either."""
    missing: list[str] = []
    after = 0
    while True:
        async with database.system_single() as connection:
            rows = await _IN_USE.all(connection, tenant_id=tenant_id, object_id=after, limit=_AT_ONCE)
        if not rows:
            return missing
        after = rows[-1].id
        names = [object_name(TenantId(tenant_id), row.id) for row in rows if row.id not in seen]
        missing += [name for name in names if await objects.facts(name) is None]


async def _delete_due(database: Database, objects: ObjectStore, orphans: set[str], kept_s: float) -> int:
    async with database.system_single() as connection:
        due = [row.name for row in await _DUE.all(connection, kept_s=kept_s) if row.name in orphans]
    keys = {name: key for name in due if (key := parse_name(name)) is not None}
    known = await _known(database, list(keys.values()))  # a row may have come since they were listed
    names = [name for name, key in keys.items() if key not in known]
    if names:
        reached("orphans: chosen")
        try:
            await objects.delete(names)
        except ObjectsHeld as held:
            names = [name for name in names if name not in held.names]
        async with database.system_single() as connection:
            await _FORGET.execute(connection, names=names)
    return len(names)
