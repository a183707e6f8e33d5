"""Rows of objects against the bucket and against the blobs that rest in them."""

import asyncio
import secrets

import pytest

from storage import housekeeping
from storage.blobs.objects import ObjectStore
from storage.blobs.tiered import object_name
from storage.store import MailStore
from storage.tiers.tiering import tier
from storage.verification.findings import Finding, Kind, Report
from storage.verification.ground import Choice
from storage.verification.tenancy import verify_strangers
from tests.conftest import plain_message
from tests.someone import ADD, DELETED, Someone
from tests.storage.verification.damage import Damager, go_cold

OBJECTS = frozenset({"objects"})


@pytest.fixture
def cold(damager: Damager, objects: ObjectStore) -> Damager:
    return damager.with_bucket(objects)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        ("UPDATE object SET live_blobs = live_blobs + 1", Kind.OBJECT_COUNTS),
        ("UPDATE object SET live_octets = 0", Kind.OBJECT_COUNTS),
        ("UPDATE object SET state = 2, doomed_at = now()", Kind.OBJECT_DOOMED),
        ("UPDATE object SET state = 0", Kind.OBJECT_DOOMED),
        ("DELETE FROM blob", Kind.OBJECT_UNUSED),
    ],
)
async def test_counts_and_states_are_put_right(
    ada: Someone, cold: Damager, store: MailStore, objects: ObjectStore, damage: str, kind: Kind
) -> None:
    await ada.receive()
    await go_cold(store, objects, cold.tenant_id)
    assert (await cold.look()).findings == []
    await cold.sql(f"{damage} WHERE tenant_id = {{t}}")
    assert [each.is_repaired for each in (await cold.look(parts=OBJECTS, repairs_counts=False)).findings] == [False]
    looked = await cold.look(parts=OBJECTS)
    assert [(each.kind, each.is_repaired) for each in looked.findings] == [(kind, True)]
    assert (await cold.look(parts=OBJECTS)).findings == []
    state = "SELECT state, live_blobs, doomed_at IS NULL FROM object WHERE tenant_id = {t}"
    assert await cold.sql(state) == [(2, 0, False) if kind is Kind.OBJECT_UNUSED else (1, 1, True)]


async def test_a_row_of_another_length_than_its_object_is_found(
    ada: Someone, cold: Damager, store: MailStore, objects: ObjectStore
) -> None:
    await ada.receive()
    await go_cold(store, objects, cold.tenant_id)
    await cold.sql("UPDATE object SET octets = octets - 1 WHERE tenant_id = {t}")
    assert (await cold.look(parts=OBJECTS)).kinds == [Kind.OBJECT_LENGTH]


async def test_blobs_in_an_object_that_has_no_row_are_found(
    ada: Someone, cold: Damager, store: MailStore, objects: ObjectStore
) -> None:
    await ada.receive()
    await go_cold(store, objects, cold.tenant_id)
    await cold.sql("DELETE FROM object WHERE tenant_id = {t}")
    assert (await cold.look(parts=OBJECTS, grace_s=86_400.0)).kinds == [Kind.OBJECT_WITHOUT_ROW]


async def test_an_object_that_nobody_finished_is_found_when_it_is_old(cold: Damager) -> None:
    await cold.sql(
        "INSERT INTO object (tenant_id, id, kind, created_at) VALUES ({t}, 5, 1, now() - interval '36 hours')"
    )
    assert (await cold.look(parts=OBJECTS)).findings == [], "upkeep gives it up"
    await cold.sql("UPDATE object SET created_at = now() - interval '3 days' WHERE tenant_id = {t}")
    assert [(each.kind, each.is_repaired) for each in (await cold.look(parts=OBJECTS)).findings] == [
        (Kind.OBJECT_UNFINISHED, False)
    ]


async def test_an_object_without_a_row_is_found_after_the_grace_time(
    ada: Someone, cold: Damager, store: MailStore, objects: ObjectStore
) -> None:
    await ada.receive()
    await go_cold(store, objects, cold.tenant_id)
    names = [object_name(cold.tenant_id, secrets.randbits(63)) for _ in range(3)]
    for name in names:
        await objects.put(name, b"of nobody")
    assert (await cold.look(parts=OBJECTS)).findings == []
    looked = await cold.look(parts=OBJECTS, grace_s=-5.0)
    assert looked.kinds == [Kind.OBJECT_ORPHANED] * 3
    assert [each.values["name"] for each in looked.findings] == sorted(names)


async def test_an_object_of_a_tenant_that_has_nothing_here_is_found(cold: Damager, objects: ObjectStore) -> None:
    name = object_name(cold.tenant_id, 77)
    await objects.put(name, b"of nobody")
    found: list[Finding] = []
    try:
        await verify_strangers(cold.ground(Report(found.append), Choice()))
        assert name not in [each.values["name"] for each in found]
        await verify_strangers(cold.ground(Report(found.append), Choice(grace_s=-5.0)))
        assert name in [each.values["name"] for each in found]
    finally:
        await objects.delete([name])


async def test_tiering_and_collection_beside_it_give_no_finding(
    ada: Someone, cold: Damager, store: MailStore, objects: ObjectStore
) -> None:
    keys = await store.keys.of(cold.tenant_id)
    tiered = 0

    async def be_busy() -> None:
        """Mail comes, ages, goes cold, and half of it goes."""
        nonlocal tiered
        for turn in range(6):
            uids = [
                (await ada.receive(plain_message(turn * 100 + at, body=f"{turn} {at} " + "word " * 900))).uid
                for at in range(20)
            ]
            await ada.flag("INBOX", [*uids[::2]], ADD, DELETED)
            await ada.expunge()
            await ada.empty_bin()
            await cold.sql(
                "WITH aged AS (UPDATE blob_content SET content_on = CURRENT_DATE - 20"
                " WHERE tenant_id = {t} AND content_on = CURRENT_DATE)"
                " UPDATE blob SET touched_at = now() - interval '20 days', content_on = CURRENT_DATE - 20"
                " WHERE tenant_id = {t}"
            )
            moved = await tier(store.database, objects, keys, cold_after_days=1, hot_budget_octets=None)
            tiered += moved.blobs
            await housekeeping.collect_blobs(store.database, store.keys, store.blobs.hot)

    busy = asyncio.create_task(be_busy())
    looks = 0
    while not busy.done() or not looks:
        looked = await cold.look(rebuilds=True)
        assert looked.findings == []
        looks += 1
    await busy
    assert looks > 3
    assert tiered > 50
    assert (await cold.look(rebuilds=True)).findings == []
