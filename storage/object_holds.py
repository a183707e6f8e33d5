"""Legal holds reach into the bucket: S3 itself keeps the objects of a tenant under hold, whoever asks to delete them.

A tenant is under hold itself, or one of its accounts is: packs mix the mail of all. Held are objects that blobs rest in
and those that are doomed but still there. `object.is_held` is set after S3 has said yes, and unset after S3 let go, so
that what is marked is held; Waypost's own deletion looks at the mark. In a bucket without Object Lock only the mark is
left.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from storage.blobs.objects import ObjectStore
from storage.blobs.tiered import object_name
from storage.database import Database
from storage.errors import ObjectMissing
from storage.query import Query
from tenants.policies import held_accounts, policies
from tenants.types import TenantId

_AT_ONCE = 64


@dataclass(slots=True)
class Holds:
    """What was done. `has_lock`: S3 holds as well; not known (None) while there was nothing to do."""

    held: int = 0
    lifted: int = 0
    missing: int = 0
    has_lock: bool | None = None


@dataclass(frozen=True, slots=True)
class _Id:
    id: int


@dataclass(frozen=True, slots=True)
class _Tenant:
    tenant_id: int


_TENANTS_WITH_HELD = Query(
    "SELECT DISTINCT tenant_id FROM object WHERE is_held", row=_Tenant, role="waypost_system", scans=["object"]
)
_TO_HOLD = Query(
    """
    SELECT id FROM object
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND id > %(after)s AND state IN (1, 2)
       AND (NOT is_held OR %(again)s::boolean)
     ORDER BY id LIMIT %(limit)s
    """,
    row=_Id,
)
_HELD = Query(
    """
    SELECT id FROM object
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND id > %(after)s AND is_held
     ORDER BY id LIMIT %(limit)s
    """,
    row=_Id,
)
_MARK = Query[None](
    """
    WITH locked AS (
        SELECT id FROM object
         WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND id = ANY (%(ids)s) ORDER BY id FOR UPDATE
    )
    UPDATE object o SET is_held = %(on)s FROM locked
     WHERE o.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND o.id = locked.id
    """
)


async def keep_holds(database: Database, objects: ObjectStore, *, again: bool = False) -> Holds:
    """Hold what is to be held and let go the rest; `again`: also what is marked already, should S3 have lost it.

    Raises ColdTierUnavailable, StoreUnavailable; what was done until then stays so, and the next time goes on.
    """
    done = Holds()
    held = await held_tenants(database)
    for tenant_id in held:
        await _hold(database, objects, tenant_id, done, again=again)
    async with database.system_single() as connection:
        marked = {TenantId(row.tenant_id) for row in await _TENANTS_WITH_HELD.all(connection)}
    for tenant_id in sorted(marked - held):
        await _lift(database, objects, tenant_id, done)
    return done


async def held_tenants(database: Database) -> set[TenantId]:
    """Tenants under hold, and those with an account under hold."""
    async with database.system() as connection:
        found = await policies(connection)
    held = {tenant_id for tenant_id, policy in found.items() if policy.is_held}
    for tenant_id in found.keys() - held:
        async with database.read(tenant_id) as connection:
            if await held_accounts(connection, tenant_id):
                held.add(tenant_id)
    return held


async def _hold(database: Database, objects: ObjectStore, tenant_id: TenantId, done: Holds, *, again: bool) -> None:
    after = 0
    while True:
        async with database.read(tenant_id) as connection:
            found = await _TO_HOLD.all(connection, tenant_id=tenant_id, after=after, again=again, limit=_AT_ONCE)
        if not found:
            return
        after = found[-1].id
        done.held += await _change(database, objects, tenant_id, [row.id for row in found], done, on=True)


async def _lift(database: Database, objects: ObjectStore, tenant_id: TenantId, done: Holds) -> None:
    after = 0
    while True:
        async with database.read(tenant_id) as connection:
            found = await _HELD.all(connection, tenant_id=tenant_id, after=after, limit=_AT_ONCE)
        if not found:
            return
        after = found[-1].id
        done.lifted += await _change(database, objects, tenant_id, [row.id for row in found], done, on=False)


async def _change(
    database: Database, objects: ObjectStore, tenant_id: TenantId, ids: Sequence[int], done: Holds, *, on: bool
) -> int:
    """First in S3, then in the rows of those that S3 has changed. Returns how many."""
    if done.has_lock is None:
        done.has_lock = await objects.has_object_lock()
    refusals: list[BaseException] = []
    changed = list(ids)
    if done.has_lock:
        names = [object_name(tenant_id, each) for each in ids]
        answers = await asyncio.gather(*(objects.hold(name, on=on) for name in names), return_exceptions=True)
        changed = [each for each, answer in zip(ids, answers, strict=True) if answer is None]
        missing = [each for each, answer in zip(ids, answers, strict=True) if isinstance(answer, ObjectMissing)]
        refusals = [answer for answer in answers if answer is not None and not isinstance(answer, ObjectMissing)]
        done.missing += len(missing)
        if not on:
            changed += missing  # nothing is left to hold
    async with database.read(tenant_id) as connection:
        await _MARK.execute(connection, tenant_id=tenant_id, ids=changed, on=on)
    if refusals:
        raise refusals[0]
    return len(changed)
