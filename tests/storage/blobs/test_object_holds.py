"""Legal holds of tenants and accounts, in the bucket and in the rows."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from storage.blobs.object_faults import ObjectsHeld
from storage.blobs.objects import ObjectStore
from storage.blobs.objects_config import ObjectsConfig
from storage.blobs.tiered import object_name
from storage.database import Database
from storage.errors import ColdTierUnavailable
from storage.object_holds import keep_holds
from storage.tiers.doomed import delete_doomed
from tests.conftest import Company, RunningServices
from tests.directory_rows import Directory
from tests.storage.blobs.faulty_proxy import Fault, FaultyProxy

WRITING, LIVE, DOOMED = 0, 1, 2
_ids = itertools.count(0x1000)


@dataclass(frozen=True, slots=True)
class Bucket:
    """The objects of a tenant of its own; `store` is a bucket with Object Lock."""

    company: Company
    directory: Directory
    store: ObjectStore

    async def put(self, state: int = LIVE) -> int:
        object_id = next(_ids)
        if state != WRITING:
            await self.store.put(self.name(object_id), b"octets")
        self.directory.run(
            "INSERT INTO object (tenant_id, id, kind, state, octets, created_at, doomed_at)"
            " VALUES (%(tenant_id)s, %(id)s, 1, %(state)s, 6, now(), now() - interval '30 days')",
            tenant_id=self.company.tenant_id,
            id=object_id,
            state=state,
        )
        return object_id

    def name(self, object_id: int) -> str:
        return object_name(self.company.tenant_id, object_id)

    def hold(self, *, is_held: bool) -> None:
        self.directory.tenant(self.company.tenant_id, is_held=is_held)

    def marked(self) -> set[int]:
        rows = self.directory.run(
            "SELECT id FROM object WHERE tenant_id = %(tenant_id)s AND is_held", tenant_id=self.company.tenant_id
        )
        return {row[0] for row in rows}

    async def locked(self, *ids: int) -> set[int]:
        return {each for each in ids if await self.store.is_held(self.name(each))}


@pytest.fixture
async def bucket(services: RunningServices, company: Company, locked_store: ObjectStore) -> AsyncIterator[Bucket]:
    directory = Directory(services)
    directory.tenant(company.tenant_id)
    yield Bucket(company, directory, locked_store)
    directory.tenant(company.tenant_id, is_held=False)
    directory.run("UPDATE object SET is_held = false")


async def test_a_hold_reaches_all_objects_of_the_tenant_and_ends_with_it(bucket: Bucket, database: Database) -> None:
    live, doomed, writing = await bucket.put(), await bucket.put(DOOMED), await bucket.put(WRITING)
    assert (await keep_holds(database, bucket.store)).held == 0
    bucket.hold(is_held=True)
    assert (await keep_holds(database, bucket.store)).held == 2
    assert bucket.marked() == {live, doomed} == await bucket.locked(live, doomed)
    assert writing not in bucket.marked()
    with pytest.raises(ObjectsHeld):
        await bucket.store.delete([bucket.name(live)])
    assert (await keep_holds(database, bucket.store)).held == 0
    bucket.hold(is_held=False)
    assert (await keep_holds(database, bucket.store)).lifted == 2
    assert bucket.marked() == set() == await bucket.locked(live, doomed)
    await bucket.store.delete([bucket.name(live), bucket.name(doomed)])


async def test_a_hold_of_one_account_holds_what_its_tenant_has(
    bucket: Bucket, database: Database, company: Company
) -> None:
    live = await bucket.put()
    person = await company.person()
    bucket.directory.account(person, is_held=True)
    assert (await keep_holds(database, bucket.store)).held == 1
    assert await bucket.locked(live) == {live}
    bucket.directory.account(person, is_held=False)
    assert (await keep_holds(database, bucket.store)).lifted == 1


async def test_what_is_held_is_not_deleted_however_long_it_was_doomed(bucket: Bucket, database: Database) -> None:
    doomed = await bucket.put(DOOMED)
    bucket.hold(is_held=True)
    await keep_holds(database, bucket.store)
    tenant_id = bucket.company.tenant_id
    assert await delete_doomed(database, bucket.store, tenant_id, kept_s=86_400.0) == 0
    bucket.hold(is_held=False)
    await keep_holds(database, bucket.store)
    assert await delete_doomed(database, bucket.store, tenant_id, kept_s=86_400.0) == 1
    assert await bucket.store.facts(bucket.name(doomed)) is None


async def test_what_came_since_is_held_the_next_time(bucket: Bucket, database: Database) -> None:
    bucket.hold(is_held=True)
    first = await bucket.put()
    await keep_holds(database, bucket.store)
    later = await bucket.put()
    assert (await keep_holds(database, bucket.store)).held == 1
    assert await bucket.locked(first, later) == {first, later}


async def test_a_hold_that_somebody_lifted_in_s3_is_set_anew(bucket: Bucket, database: Database) -> None:
    bucket.hold(is_held=True)
    live = await bucket.put()
    await keep_holds(database, bucket.store)
    await bucket.store.hold(bucket.name(live), on=False)
    await keep_holds(database, bucket.store)
    assert await bucket.locked(live) == set()
    await keep_holds(database, bucket.store, again=True)
    assert await bucket.locked(live) == {live}


async def test_an_object_that_is_gone_is_told_of_and_keeps_nothing_else_from_its_hold(
    bucket: Bucket, database: Database
) -> None:
    bucket.hold(is_held=True)
    gone, live = await bucket.put(), await bucket.put()
    await bucket.store.delete([bucket.name(gone)])
    done = await keep_holds(database, bucket.store)
    assert (done.held, done.missing) == (1, 1)
    assert bucket.marked() == {live}


async def test_while_s3_is_away_nothing_is_marked_that_is_not_held(
    bucket: Bucket, database: Database, locked: ObjectsConfig
) -> None:
    bucket.hold(is_held=True)
    ids = [await bucket.put() for _ in range(5)]
    with FaultyProxy(locked.url) as proxy:
        store = ObjectStore(replace(locked, url=proxy.url, attempts=1))
        proxy.fault(Fault.ERROR_503, method="PUT", contains=f"{ids[2]:016x}")
        with pytest.raises(ColdTierUnavailable):
            await keep_holds(database, store)
        assert bucket.marked() == await bucket.locked(*ids) == {*ids} - {ids[2]}
        proxy.heal()
        assert (await keep_holds(database, store)).held == 1
        await store.close()
    assert bucket.marked() == {*ids}


async def test_without_object_lock_the_rows_alone_are_marked(
    bucket: Bucket, database: Database, store: ObjectStore
) -> None:
    bucket.hold(is_held=True)
    live = await bucket.put()
    done = await keep_holds(database, store)
    assert (done.held, done.has_lock) == (1, False)
    assert bucket.marked() == {live}
    bucket.hold(is_held=False)
    assert (await keep_holds(database, store)).lifted == 1
    assert bucket.marked() == set()
