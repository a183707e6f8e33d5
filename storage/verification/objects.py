"""Rows of objects against the bucket, and against the blobs that rest in them.

Both change while this runs. So whatever differs is looked at again: a row under its lock, the bucket after the row.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from storage.blobs.tiered import object_name
from storage.errors import ColdTierUnavailable
from storage.keys import TenantKeys
from storage.verification.bucket import Bucket, Stored
from storage.verification.findings import Finding, Kind
from storage.verification.ground import Ground
from storage.verification.lost_objects import judge_missing
from storage.verification.object_rows import (
    DOOMED,
    LIVE,
    WRITING,
    CountedObject,
    counted_objects,
    lock_object,
    next_named,
    one_object,
    set_counts,
)
from storage.verification.single_blob import unreachable

_PAGE_OBJECTS = 100


async def verify_object_rows(ground: Ground, keys: TenantKeys, first: int, before: int) -> None:
    """Rows with ids from `first` to before `before`: counts, state, and whether the object is there, that long."""
    await _named_without_row(ground, keys, first, before)
    listed = _Listed(ground.bucket, keys.tenant_id, first) if ground.bucket is not None else None
    try:
        async for row in _rows(ground, keys, first, before):
            await _judge_counts(ground, keys, row)
            if listed is not None:
                for stored in await listed.before(row.id):
                    await _judge_orphan(ground, keys, stored)
                await _judge_presence(ground, keys, row, await listed.take(row.id))
        if listed is not None:
            for stored in await listed.before(before):
                await _judge_orphan(ground, keys, stored)
    except ColdTierUnavailable as away:
        ground.report.add(unreachable(keys, f"objects from {first:016x}", away))


async def _rows(ground: Ground, keys: TenantKeys, first: int, before: int) -> AsyncIterator[CountedObject]:
    while True:
        async with ground.database.read(keys.tenant_id) as connection:
            rows = await counted_objects(
                connection, keys.tenant_id, first, before, ground.choice.grace_s, _PAGE_OBJECTS
            )
        for row in rows:
            yield row
        if len(rows) < _PAGE_OBJECTS:
            return
        first = rows[-1].id + 1


async def _named_without_row(ground: Ground, keys: TenantKeys, first: int, before: int) -> None:
    """Objects that rows of blobs name and that have no row themselves."""
    while True:
        async with ground.database.read(keys.tenant_id) as connection:
            named = await next_named(connection, keys.tenant_id, first)
            if named is None or named >= before:
                return
            has_row = await one_object(connection, keys.tenant_id, named) is not None
            # a row goes only after the last blob has left, so whoever still names it is wrong
            still_named = has_row or await next_named(connection, keys.tenant_id, named) == named
        if not has_row and still_named:
            ground.report.add(Finding(Kind.OBJECT_WITHOUT_ROW, keys.tenant_id, {"object": f"{named:016x}"}))
        first = named + 1


class _Listed:
    """The bucket's list of a tenant, walked beside the rows."""

    def __init__(self, bucket: Bucket, tenant_id: int, first: int) -> None:
        prefix = f"{tenant_id}/"
        after = f"{prefix}{first - 1:016x}" if first > 0 else ""
        self._pages = bucket.list(prefix, after)
        self._page: list[Stored] = []
        self._is_over = False
        self._prefix = prefix

    async def before(self, object_id: int) -> list[Stored]:
        """Those that come before this one and were not asked for yet."""
        passed = []
        name = f"{self._prefix}{object_id:016x}"
        while (stored := await self._first()) is not None and stored.name < name:
            passed.append(self._page.pop())
        return passed

    async def take(self, object_id: int) -> Stored | None:
        stored = await self._first()
        if stored is not None and stored.name == f"{self._prefix}{object_id:016x}":
            return self._page.pop()
        return None

    async def _first(self) -> Stored | None:
        while not self._page and not self._is_over:
            page = await anext(self._pages, None)
            self._is_over = page is None
            self._page = list(reversed(page or ()))
        return self._page[-1] if self._page else None


async def _judge_orphan(ground: Ground, keys: TenantKeys, stored: Stored) -> None:
    """In the bucket without a row: told of after the grace time, for sweeps remove what was given up."""
    assert ground.bucket is not None
    if stored.modified_at > datetime.now(UTC) - timedelta(seconds=ground.choice.grace_s):
        return
    try:
        object_id = int(stored.name.rpartition("/")[2], 16)
    except ValueError:
        object_id = None
    if object_id is not None and object_id < 2**63:
        async with ground.database.read(keys.tenant_id) as connection:
            if await one_object(connection, keys.tenant_id, object_id) is not None:
                return
    if await ground.bucket.facts(stored.name) is None:
        return
    values = {"name": stored.name, "octets": stored.octets}
    ground.report.add(Finding(Kind.OBJECT_ORPHANED, keys.tenant_id, values))


async def _judge_presence(ground: Ground, keys: TenantKeys, row: CountedObject, stored: Stored | None) -> None:
    assert ground.bucket is not None
    if row.state != LIVE:
        return
    async with ground.database.read(keys.tenant_id) as connection:
        now = await one_object(connection, keys.tenant_id, row.id)
    if now is None or now.state != LIVE:
        return
    if stored is None:
        stored = await ground.bucket.facts(object_name(keys.tenant_id, row.id))
    if stored is None:
        await judge_missing(ground, keys, now)
    elif stored.octets != now.octets:
        values = {"object": f"{row.id:016x}", "counted": now.octets, "found": stored.octets}
        ground.report.add(Finding(Kind.OBJECT_LENGTH, keys.tenant_id, values))


async def _judge_counts(ground: Ground, keys: TenantKeys, row: CountedObject) -> None:
    """Look again, under the row's lock, at one whose counts or state are not what rests there says."""
    if _wrong(row) is None:
        return
    async with ground.database.transaction(keys.tenant_id) as connection:
        await lock_object(connection, keys.tenant_id, row.id)
        found = await counted_objects(connection, keys.tenant_id, row.id, row.id + 1, ground.choice.grace_s, 1)
        now = found[0] if found else None
        kind = _wrong(now) if now is not None else None
        if now is None or kind is None:
            return
        is_repaired = ground.choice.repairs_counts and kind is not Kind.OBJECT_UNFINISHED
        if is_repaired:
            await set_counts(
                connection,
                keys.tenant_id,
                row.id,
                blobs=now.found_blobs,
                octets=now.found_octets,
                state=LIVE if now.found_blobs else DOOMED,
            )
    values = {
        "object": f"{row.id:016x}",
        "counted": now.live_blobs,
        "counted_octets": now.live_octets,
        "found": now.found_blobs,
        "found_octets": now.found_octets,
    }
    ground.report.add(Finding(kind, keys.tenant_id, values, is_repaired=is_repaired))


def _wrong(row: CountedObject) -> Kind | None:
    """What is not right about an object's state and counts."""
    if row.state == WRITING:
        return Kind.OBJECT_DOOMED if row.found_blobs else Kind.OBJECT_UNFINISHED if row.is_old else None
    if row.state == DOOMED:
        return Kind.OBJECT_DOOMED if row.found_blobs else None
    if not row.found_blobs:
        return Kind.OBJECT_UNUSED
    is_counted = (row.live_blobs, row.live_octets) == (row.found_blobs, row.found_octets)
    return None if is_counted else Kind.OBJECT_COUNTS
