"""Whatever ends the work, and whatever S3 does: every message is whole, and the work can be done again."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from deploy.local.objects import ObjectAccess
from storage.blobs.hot import HotBlobs
from storage.blobs.objects import ObjectStore
from storage.blobs.tiered import TieredBlobs
from storage.errors import ColdTierUnavailable, ContentDamaged
from storage.tiers import doomed
from tests.conftest import RunningServices, objects_config, plain_message
from tests.storage.blobs.faulty_proxy import Fault, FaultyProxy
from tests.storage.tiers.conftest import Attic, Interrupted, Steps
from tests.storage.tiers.test_compaction import filled, forget

MOVING = ["moving: begun", "moving: uploaded", "moving: written", "moving: moved"]


async def whole(attic: Attic, expected: list[bytes]) -> None:
    assert await attic.one.octets() == expected
    counts = attic.sql(
        """
        SELECT o.id FROM object o
          LEFT JOIN (SELECT object_id, count(*) AS n, sum(stored_octets) AS octets FROM blob
                      WHERE tenant_id = {t} GROUP BY 1) b ON b.object_id = o.id
         WHERE o.tenant_id = {t} AND (o.live_blobs, o.live_octets) <> (coalesce(b.n, 0), coalesce(b.octets, 0))
        """
    )
    assert counts == []


async def received(attic: Attic, count: int = 10) -> list[bytes]:
    for number in range(count):
        await attic.one.receive(plain_message(number, body=f"{number} " * 100))
    attic.age()
    return await attic.one.octets()


@pytest.mark.parametrize("step", ["tiering: chosen", *MOVING])
async def test_tiering_that_ends_at_a_step_is_done_again(attic: Attic, steps_of_work: Steps, step: str) -> None:
    expected = await received(attic)
    steps_of_work.ends_at = step
    with pytest.raises(Interrupted):
        await attic.tier()
    await whole(attic, expected)
    steps_of_work.ends_at = None
    await attic.tier()
    assert attic.hot_and_cold() == (0, 10)
    await whole(attic, expected)


@pytest.mark.parametrize("step", ["compaction: read", *MOVING])
async def test_compaction_that_ends_at_a_step_is_done_again(attic: Attic, steps_of_work: Steps, step: str) -> None:
    expected = await filled(attic)
    await forget(attic, list(range(1, 13)))
    steps_of_work.ends_at = step
    with pytest.raises(Interrupted):
        await attic.compact()
    await whole(attic, expected[12:])
    steps_of_work.ends_at = None
    await attic.compact()
    await whole(attic, expected[12:])
    assert attic.sql("SELECT count(*) FROM object WHERE tenant_id = {t} AND state = 1") == [(1,)]


async def test_deleting_that_ends_half_way_is_done_again(attic: Attic, steps_of_work: Steps) -> None:
    await filled(attic)
    await forget(attic, list(range(1, 21)))
    steps_of_work.ends_at = "doomed: deleted"
    arguments = (attic.one.store.database, attic.objects, attic.keys.tenant_id)
    with pytest.raises(Interrupted):
        await doomed.delete_doomed(*arguments, kept_s=0)
    steps_of_work.ends_at = None
    assert await doomed.delete_doomed(*arguments, kept_s=0) == 1
    assert attic.sql("SELECT count(*) FROM object WHERE tenant_id = {t}") == [(0,)]


@pytest.mark.parametrize(
    ("work", "step"),
    [
        *(("tier", step) for step in ("tiering: chosen", *MOVING)),
        *(("compact", step) for step in ("compaction: read", *MOVING)),
        ("collect", "doomed: deleted"),
    ],
)
async def test_a_process_that_is_killed_leaves_every_message_whole(
    attic: Attic, services: RunningServices, s3: ObjectAccess, work: str, step: str
) -> None:
    expected = await filled(attic) if work != "tier" else await received(attic)
    if work == "compact":
        await forget(attic, list(range(1, 13)))
        expected = expected[12:]
    if work == "collect":
        await forget(attic, list(range(1, 21)))
        expected = []
    environment = {
        **services.environment(),
        "WAYPOST_S3_URL": s3.url,
        "WAYPOST_S3_ACCESS_KEY": s3.access_key,
        "WAYPOST_S3_SECRET_KEY": s3.secret_key,
        "WAYPOST_S3_BUCKET": s3.bucket,
    }
    command = [sys.executable, "-m", "tests.storage.tiers.killed", work, str(attic.keys.tenant_id), step]
    ended = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    await whole(attic, expected)
    attic.sql("UPDATE work_lease SET leased_until = now() - interval '1 second' WHERE tenant_id = {t}")
    again = await asyncio.to_thread(subprocess.run, [*command[:-1], "no step"], env=environment, check=False)
    assert again.returncode == 0
    await whole(attic, expected)
    left = attic.sql("SELECT count(*) FROM object WHERE tenant_id = {t} AND state = 1")
    assert left == [(0 if work == "collect" else 1,)]


async def test_two_tierers_at_once_move_everything_once(attic: Attic) -> None:
    expected = await received(attic, 40)
    await asyncio.gather(*(attic.tier() for _ in range(4)))
    assert attic.hot_and_cold() == (0, 40)
    await whole(attic, expected)


async def test_a_tierer_whose_lease_ran_out_moves_nothing_twice(attic: Attic, steps_of_work: Steps) -> None:
    expected = await received(attic, 10)
    has_chosen = asyncio.Event()
    steps_of_work.does = lambda step: has_chosen.set() if step == "tiering: chosen" else None
    first = asyncio.create_task(attic.tier())
    await has_chosen.wait()
    attic.sql("UPDATE work_lease SET leased_until = now() - interval '1 second' WHERE tenant_id = {t}")
    second = await attic.tier()
    moved = [(await first).blobs, second.blobs]
    assert sum(moved) == 10
    await whole(attic, expected)


async def test_an_object_given_up_while_it_was_written_takes_nothing(attic: Attic, steps_of_work: Steps) -> None:
    expected = await received(attic, 3)

    def give_up(step: str) -> None:
        if step == "moving: uploaded":
            attic.sql("UPDATE object SET state = 2, doomed_at = now() WHERE tenant_id = {t}")

    steps_of_work.does = give_up
    assert (await attic.tier()).blobs == 0
    steps_of_work.does = None
    assert attic.hot_and_cold() == (3, 0)
    await whole(attic, expected)


# -- S3 on a bad day


@pytest.fixture
def proxy(s3: ObjectAccess) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(s3.url)
    yield proxy
    proxy.close()


@pytest.fixture
async def badly(attic: Attic, s3: ObjectAccess, proxy: FaultyProxy) -> AsyncIterator[Attic]:
    """The attic, whose object store is reached through a proxy that has bad days."""
    config = objects_config(
        replace(s3, url=proxy.url), attempts=1, read_timeout_s=0.5, connect_timeout_s=0.5, breaker_failures=1000
    )
    objects = ObjectStore(config)
    store = replace(attic.one.store, blobs=TieredBlobs(HotBlobs(), objects))
    yield replace(attic, one=replace(attic.one, store=store), objects=objects)
    proxy.heal()
    await objects.close()


AWAY = [Fault.REFUSE, Fault.HANG, Fault.SLOW, Fault.ERROR_503, Fault.ERROR_HTML, Fault.CUT, Fault.DROP_ANSWER]


@pytest.mark.parametrize("fault", [*AWAY, Fault.FLIP_REQUEST, Fault.FLIP_ANSWER, Fault.TRUNCATE])
@pytest.mark.parametrize("nth", [0, 1])
async def test_tiering_through_a_fault_moves_nothing_and_then_everything(
    badly: Attic, proxy: FaultyProxy, steps_of_work: Steps, fault: Fault, nth: int
) -> None:
    expected = await received(badly, 5)

    def begin(step: str) -> None:
        if step == ["moving: begun", "moving: uploaded"][nth]:
            proxy.fault(fault)

    steps_of_work.does = begin
    refused: list[Exception] = []
    try:
        moved = (await badly.tier()).blobs
    except (ColdTierUnavailable, ContentDamaged) as refusal:
        moved = 0
        refused.append(refusal)
    steps_of_work.does = None
    proxy.heal()
    assert moved == 0 or not refused
    await whole(badly, expected)
    await badly.tier()
    assert badly.hot_and_cold() == (0, 5)
    await whole(badly, expected)


@pytest.mark.parametrize("fault", [Fault.FLIP_ANSWER, Fault.TRUNCATE])
async def test_compaction_asks_again_for_what_changed_on_its_way(
    badly: Attic, proxy: FaultyProxy, fault: Fault
) -> None:
    expected = await filled(badly)
    await forget(badly, [*range(1, 7), *range(15, 21)])  # what lives is in the middle
    badly.drop_old_weeks()
    proxy.fault(fault, times=1)
    moved = await badly.compact()
    assert (moved.blobs, moved.damaged) == (8, [])
    await whole(badly, expected[6:14])


@pytest.mark.parametrize("fault", AWAY)
async def test_cold_mail_is_out_of_reach_for_a_while_and_hot_mail_is_not(
    badly: Attic, proxy: FaultyProxy, fault: Fault
) -> None:
    expected = await received(badly, 3)
    await badly.tier()
    badly.drop_old_weeks()
    await badly.one.receive(plain_message(9, body="hot"))
    proxy.fault(fault)
    rows = await badly.one.rows()
    assert len(rows) == 4
    with pytest.raises(ColdTierUnavailable):
        await badly.one.read(rows[0])
    assert (await badly.one.read(rows[3])).endswith(b"hot\r\n")
    proxy.heal()
    assert (await badly.one.octets())[:3] == expected


@pytest.mark.parametrize("fault", [Fault.FLIP_ANSWER, Fault.TRUNCATE])
async def test_what_comes_damaged_is_read_from_the_other_copy(badly: Attic, proxy: FaultyProxy, fault: Fault) -> None:
    expected = await received(badly, 3)
    await badly.tier()
    proxy.fault(fault)
    assert await badly.one.octets() == expected


async def test_what_changes_on_its_way_is_asked_for_again_and_is_no_damage(badly: Attic, proxy: FaultyProxy) -> None:
    """Also if it was kept for the next reader."""
    told: list[object] = []
    blobs = TieredBlobs(HotBlobs(), badly.objects, on_damage=lambda _tenant, digest, _damage: told.append(digest))
    one = replace(badly.one, store=replace(badly.one.store, blobs=blobs))
    expected = await received(badly, 5)
    await badly.tier()
    badly.drop_old_weeks()
    found = []
    for row in await one.rows():
        proxy.fault(Fault.FLIP_ANSWER, times=1)
        found.append(await one.read(row))
    assert (found, told) == (expected, [])


async def test_what_is_damaged_in_postgres_is_read_from_another_week(attic: Attic) -> None:
    told: list[object] = []
    blobs = TieredBlobs(HotBlobs(), attic.objects, on_damage=lambda _tenant, digest, _damage: told.append(digest))
    one = replace(attic.one, store=replace(attic.one.store, blobs=blobs))
    expected = await received(attic, 2)
    attic.sql(
        """
        INSERT INTO blob_content
        SELECT tenant_id, digest, chunk, CURRENT_DATE, key_id, codec, sealed FROM blob_content WHERE tenant_id = {t}
        """
    )
    attic.sql("UPDATE blob SET content_on = CURRENT_DATE WHERE tenant_id = {t}")
    attic.sql("UPDATE blob_content SET sealed = 'x' WHERE tenant_id = {t} AND content_on = CURRENT_DATE")
    assert [await one.read(row) for row in await one.rows()] == expected
    assert len(told) == 2


async def test_without_another_copy_damage_is_told(badly: Attic) -> None:
    told: list[object] = []
    blobs = TieredBlobs(HotBlobs(), badly.objects, on_damage=lambda _tenant, digest, _damage: told.append(digest))
    one = replace(badly.one, store=replace(badly.one.store, blobs=blobs))
    expected = await received(badly, 3)
    await badly.tier()
    damaged = await badly.flip_a_bit_in_the_first_live_blob()
    badly.drop_old_weeks()
    rows = await one.rows()
    with pytest.raises(ContentDamaged):
        await one.read(rows[0])
    assert told == [damaged]
    assert [await one.read(row) for row in rows[1:]] == expected[1:]
