"""How objects, orphans and weeks of content end; and what a clock that leaps may not do."""

import asyncio

import pytest

from storage.blobs.tiered import object_name
from storage.tiers import doomed, orphans, weeks
from storage.tiers.moving import PACK, begin_object
from storage.tiers.rounds import clock_is_steady
from tests.conftest import RunningServices, owner_connection, plain_message
from tests.storage.tiers.conftest import Attic
from tests.storage.tiers.test_compaction import forget

DAY_S = 86_400.0
KEPT_S = 14 * DAY_S


async def cold(attic: Attic, count: int = 3, *, days: int = 100) -> str:
    """As many messages in one pack, and in a week that no other test has; its name."""
    for number in range(count):
        await attic.one.receive(plain_message(number, body=str(number) * 100))
    attic.age(days)
    await attic.tier()
    ((object_id,),) = attic.sql("SELECT id FROM object WHERE tenant_id = {t} AND state = 1")
    return object_name(attic.keys.tenant_id, object_id)


async def delete_doomed(attic: Attic) -> int:
    return await doomed.delete_doomed(attic.one.store.database, attic.objects, attic.keys.tenant_id, kept_s=KEPT_S)


async def test_a_doomed_object_stays_until_no_restore_can_want_it(attic: Attic) -> None:
    name = await cold(attic)
    await forget(attic, [1, 2, 3])
    attic.sql("UPDATE object SET doomed_at = doomed_at - interval '13 days' WHERE tenant_id = {t}")
    assert await delete_doomed(attic) == 0
    assert await attic.objects.facts(name)
    attic.sql("UPDATE object SET doomed_at = doomed_at - interval '2 days' WHERE tenant_id = {t}")
    assert await delete_doomed(attic) == 1
    assert await attic.objects.facts(name) is None
    assert attic.sql("SELECT count(*) FROM object WHERE tenant_id = {t}") == [(0,)]


async def test_a_doomed_object_under_legal_hold_stays(attic: Attic) -> None:
    name = await cold(attic)
    await forget(attic, [1, 2, 3])
    attic.sql("UPDATE object SET doomed_at = doomed_at - interval '1 year', is_held = true WHERE tenant_id = {t}")
    assert await delete_doomed(attic) == 0
    assert await attic.objects.facts(name)


async def test_an_object_whose_writer_died_is_given_up_after_a_day(attic: Attic) -> None:
    database, tenant_id = attic.one.store.database, attic.keys.tenant_id
    await begin_object(database, tenant_id, PACK)
    assert await doomed.doom_abandoned(database, tenant_id) == 0
    attic.sql("UPDATE object SET created_at = created_at - interval '25 hours' WHERE tenant_id = {t}")
    assert await doomed.doom_abandoned(database, tenant_id) == 1
    assert attic.sql("SELECT state FROM object WHERE tenant_id = {t}") == [(2,)]


async def test_an_object_without_a_row_goes_when_it_was_seen_so_for_long_enough(attic: Attic) -> None:
    await cold(attic)
    name = object_name(attic.keys.tenant_id, 77)
    await attic.objects.put(name, b"nobody's")
    database = attic.one.store.database
    swept = await orphans.sweep(database, attic.objects, kept_s=KEPT_S)
    assert (swept.orphans >= 1, swept.deleted) == (True, 0)
    attic.sql("UPDATE orphan_object SET seen_at = seen_at - interval '15 days' WHERE name = %s", name)
    assert (await orphans.sweep(database, attic.objects, kept_s=KEPT_S, may_delete=False)).deleted == 0
    assert (await orphans.sweep(database, attic.objects, kept_s=KEPT_S)).deleted == 1
    assert await attic.objects.facts(name) is None


async def test_an_orphan_that_gets_a_row_after_all_is_forgotten(attic: Attic) -> None:
    name = object_name(attic.keys.tenant_id, 78)
    await attic.objects.put(name, b"restored later")
    database = attic.one.store.database
    await orphans.sweep(database, attic.objects, kept_s=KEPT_S)
    attic.sql("INSERT INTO object (tenant_id, id, kind, state, created_at) VALUES ({t}, 78, 1, 1, now())")
    await orphans.sweep(database, attic.objects, kept_s=0)
    assert attic.sql("SELECT count(*) FROM orphan_object WHERE name = %s", name) == [(0,)]
    assert await attic.objects.facts(name)


@pytest.mark.parametrize(
    "name",
    [
        "somebody/else's notes",
        "7/+00000000000004d",
        "7/0x0000000000004d",
        "7/000000000000004D",
        "07/000000000000004d",
        "99999999999999999999/000000000000004d",
        "7/ffffffffffffffff",
    ],
)
async def test_what_is_not_named_like_ours_is_left_alone(attic: Attic, name: str) -> None:
    await attic.objects.put(name, b"!")
    for _ in range(2):
        swept = await orphans.sweep(attic.one.store.database, attic.objects, kept_s=0)
    assert await attic.objects.facts(name)
    assert swept.objects >= 1
    await attic.objects.delete([name])


async def test_rows_without_objects_are_found_among_others_on_any_page(attic: Attic) -> None:
    """Whatever stands before, between and behind them in the bucket."""
    ids = [10, 20, 30, 40, 50]
    names = {each: object_name(attic.keys.tenant_id, each) for each in ids}
    for each in ids:
        attic.sql("INSERT INTO object (tenant_id, id, kind, state, created_at) VALUES ({t}, %s, 1, 1, now())", each)
    for each in (20, 40):
        await attic.objects.put(names[each], b"here")
    swept = await orphans.sweep(attic.one.store.database, attic.objects, kept_s=KEPT_S)
    assert [name for name in swept.missing if name in names.values()] == [names[each] for each in (10, 30, 50)]
    await attic.objects.delete(list(names.values()))


async def test_a_bucket_that_is_mostly_unknown_is_not_cleared(attic: Attic) -> None:
    names = [object_name(attic.keys.tenant_id, 1000 + number) for number in range(100)]
    for name in names:
        await attic.objects.put(name, b"of another installation")
    try:
        with pytest.raises(orphans.TooManyOrphans):
            await orphans.sweep(attic.one.store.database, attic.objects, kept_s=0)
        assert await attic.objects.facts(names[0])
    finally:
        await attic.objects.delete(names)


async def test_a_row_whose_object_is_missing_is_told_of(attic: Attic) -> None:
    name = await cold(attic)
    await attic.objects.delete([name])
    swept = await orphans.sweep(attic.one.store.database, attic.objects, kept_s=KEPT_S)
    assert name in swept.missing
    assert attic.sql("SELECT state FROM object WHERE tenant_id = {t}") == [(1,)]


async def test_a_week_in_which_nothing_is_hot_is_dropped(attic: Attic) -> None:
    database = attic.one.store.database
    attic.make_week(400)
    await cold(attic, days=400)
    week = attic.week(400)
    assert week in {each.week for each in await weeks.weeks(database)}
    await weeks.drop_idle(database)
    assert week in {each.week for each in await weeks.weeks(database)}, "it is a second copy for a day"
    attic.sql("UPDATE idle_week SET since = since - interval '2 days' WHERE week = %s", week)
    before = await attic.one.octets()
    await weeks.drop_idle(database)
    assert week not in {each.week for each in await weeks.weeks(database)}
    assert await attic.one.octets() == before


async def test_a_week_with_something_hot_stays(attic: Attic) -> None:
    database = attic.one.store.database
    attic.make_week(500)
    await attic.one.receive(plain_message(1))
    attic.age(500)
    for _ in range(2):
        await weeks.drop_idle(database)
        attic.sql("UPDATE idle_week SET since = since - interval '2 days'")
    assert attic.week(500) in {each.week for each in await weeks.weeks(database)}
    assert len(await attic.one.octets()) == 1


async def test_a_week_in_which_somebody_writes_with_a_clock_that_leapt_back_stays(
    attic: Attic, services: RunningServices
) -> None:
    """The delivery is not there yet when one looks, and ends while the drop waits for it."""
    database = attic.one.store.database
    attic.make_week(300)
    await weeks.drop_idle(database)
    attic.sql("UPDATE idle_week SET since = since - interval '2 days'")
    with owner_connection(services) as writing:
        digest = b"\1" * 20
        for statement in (
            "INSERT INTO blob (tenant_id, digest, octets, content_on, touched_at)"
            " VALUES (%s, %s, 1, CURRENT_DATE - 300, now())",
            "INSERT INTO blob_content (tenant_id, digest, chunk, content_on, key_id, codec, sealed)"
            " VALUES (%s, %s, 0, CURRENT_DATE - 300, 1, 0, '')",
        ):
            writing.execute(statement, (attic.keys.tenant_id, digest))
        dropping = asyncio.create_task(weeks.drop_idle(database))
        while not attic.sql("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'blob_content'::regclass"):
            assert not dropping.done()
            await asyncio.sleep(0)
        writing.commit()
    await dropping
    assert attic.sql("SELECT count(*) FROM blob_content WHERE tenant_id = {t}") == [(1,)]


async def test_the_last_few_of_a_week_move_to_this_one(attic: Attic) -> None:
    database = attic.one.store.database
    attic.make_week(600)
    await cold(attic, 40, days=600)
    await attic.one.receive(plain_message(99))
    attic.age(600)
    before = await attic.one.octets()
    assert await weeks.empty_nearly_idle(database) >= 1
    assert attic.sql("SELECT content_on = CURRENT_DATE FROM blob WHERE tenant_id = {t} AND object_id IS NULL") == [
        (True,)
    ]
    assert await attic.one.octets() == before


async def test_a_clock_that_leaps_is_not_believed_for_a_while(attic: Attic) -> None:
    database = attic.one.store.database
    await clock_is_steady(database, wary_s=KEPT_S)
    attic.sql("UPDATE clock_seen SET wary_until = now()")
    assert await clock_is_steady(database, wary_s=KEPT_S)
    for leap_s in (3 * 3600, -3 * DAY_S):
        attic.sql("UPDATE clock_seen SET wary_until = now(), seen_at = seen_at + make_interval(secs => %s)", leap_s)
        assert not await clock_is_steady(database, wary_s=KEPT_S)
        assert not await clock_is_steady(database, wary_s=KEPT_S)
    attic.sql("UPDATE clock_seen SET wary_until = now()")
    assert await clock_is_steady(database, wary_s=KEPT_S)
