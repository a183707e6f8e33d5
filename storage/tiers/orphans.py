"""What the bucket holds and no row knows, and what rows know and the bucket does not hold.

An object without a row (a writer died between the two, rows were restored to an earlier point in time) is remembered
when it is first seen, and deleted when it was seen without a row for as long as doomed objects are kept. If most of the
bucket looks like that, this is not our database, or not our bucket, and nothing is deleted. A row without its object is
told of and never deleted: somebody may bring the object back.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from storage.blobs.objects import ObjectsHeld, ObjectStore
from storage.blobs.tiered import object_name
from storage.database import Database
from storage.query import Query
from storage.steps import reached
from tenants.types import TenantId

SUSPICIOUS_SHARE = 0.2
SUSPICIOUS_OBJECTS = 10
ORPHANS_AT_ONCE = 100_000
MISSING_AT_ONCE = 1_000
_AT_ONCE = 1_000
_LAST_ID = 2**63 - 1
_NAME = re.compile(r"([1-9][0-9]{0,18})/([0-9a-f]{16})", re.ASCII)


class TooManyOrphans(Exception):
    """So much of the bucket, or all of it, is unknown here that it is probably somebody else's."""

    def __init__(self, orphans: int, objects: int) -> None:
        super().__init__(f"{orphans} of {objects} objects in the bucket belong to no row: is it the right bucket?")
        self.orphans = orphans
        self.objects = objects


@dataclass(slots=True)
class Swept:
    """`missing` are names of objects in which blobs should rest and which the bucket does not hold: the first
    MISSING_AT_ONCE or somewhat more, for when all are gone nobody needs to hear of each."""

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
     WHERE tenant_id = %(tenant_id)s AND id > %(after)s AND id <= %(until)s AND state = 1 ORDER BY id LIMIT %(limit)s
    """,
    row=_Key,
    role="waypost_system",
)
_NEXT_TENANT = Query(
    "SELECT tenant_id FROM object WHERE tenant_id > %(after)s ORDER BY tenant_id LIMIT 1",
    row=_Tenant,
    role="waypost_system",
)
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
    """Compare bucket and rows, both ways. Raises TooManyOrphans, ColdTierUnavailable, StoreUnavailable.

    Of orphans the first ORPHANS_AT_ONCE by name are remembered and deleted; the rest is only counted.
    """
    swept = Swept()
    orphans: set[str] = set()
    looked_at = set[int]()
    tenant, last, known_here = 0, 0, 0
    async for page in objects.list():  # by ascending name, which is the order of a tenant's ids
        swept.objects += len(page)
        swept.octets += sum(each.octets for each in page)
        names = {key: each.name for each in page if (key := parse_name(each.name)) is not None}
        known = await _known(database, list(names))
        known_here += len(known)
        unknown = [name for key, name in names.items() if key not in known]
        swept.orphans += len(unknown)
        orphans.update(unknown[: ORPHANS_AT_ONCE - len(orphans)])
        listed: dict[int, set[int]] = {}
        for owner, object_id in names:
            listed.setdefault(owner, set()).add(object_id)
        for owner, ids in listed.items():
            if owner != tenant:
                await _find_missing(database, objects, swept, tenant, set(), last, _LAST_ID)
                tenant, last = owner, 0
                looked_at.add(owner)
            await _find_missing(database, objects, swept, tenant, ids, last, max(ids))
            last = max(ids)
    await _find_missing(database, objects, swept, tenant, set(), last, _LAST_ID)
    async for unlisted in _tenants(database):
        if unlisted not in looked_at:
            await _find_missing(database, objects, swept, unlisted, set(), 0, _LAST_ID)
    await _remember(database, orphans)
    is_much = swept.orphans > SUSPICIOUS_OBJECTS and swept.orphans > SUSPICIOUS_SHARE * swept.objects
    if is_much or (swept.orphans and not known_here):
        raise TooManyOrphans(swept.orphans, swept.objects)
    if may_delete:
        swept.deleted = await _delete_due(database, objects, orphans, kept_s)
    return swept


def parse_name(name: str) -> tuple[int, int] | None:
    """Tenant and id out of an object's name; None for what is no object of ours."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    tenant_id, object_id = int(found[1]), int(found[2], 16)
    return (tenant_id, object_id) if max(tenant_id, object_id) <= _LAST_ID else None


async def _tenants(database: Database) -> AsyncIterator[int]:
    """Those that have any object, one look for each."""
    after = 0
    while True:
        async with database.system_single() as connection:
            row = await _NEXT_TENANT.first(connection, after=after)
        if row is None:
            return
        after = row.tenant_id
        yield after


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


async def _find_missing(
    database: Database, objects: ObjectStore, swept: Swept, tenant_id: int, listed: set[int], after: int, until: int
) -> None:
    """A tenant's objects in use with ids in that range that were not listed, and are not there at a second look
    either."""
    while after < until and len(swept.missing) < MISSING_AT_ONCE:
        async with database.system_single() as connection:
            rows = await _IN_USE.all(connection, tenant_id=tenant_id, after=after, until=until, limit=_AT_ONCE)
        if not rows:
            return
        after = rows[-1].id
        names = [object_name(TenantId(tenant_id), row.id) for row in rows if row.id not in listed]
        swept.missing += [name for name in names if await objects.facts(name) is None]


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
