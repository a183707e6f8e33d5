"""Content in objects: whatever S3 did to it is found, and another copy is used where there is one."""

import random

import pytest

from storage.blobs.objects import ObjectsConfig, ObjectStore
from storage.blobs.tiered import object_name
from storage.errors import ColdTierUnavailable
from storage.store import MailStore
from storage.verification.bucket import Stored
from storage.verification.findings import Kind
from storage.verification.slices import Slice
from tests.conftest import plain_message
from tests.letters import letters
from tests.someone import Someone
from tests.storage.verification.damage import Damager, go_cold

CONTENT = frozenset({"content"})
LONG = b"Subject: long\r\n\r\n" + random.Random(1).randbytes(2_600_000).hex().encode()


@pytest.fixture
def cold(damager: Damager, objects: ObjectStore) -> Damager:
    return damager.with_bucket(objects)


async def replace(cold: Damager, objects: ObjectStore, object_id: int, octets: bytes) -> None:
    await objects.put(object_name(cold.tenant_id, object_id), octets)


async def whole(cold: Damager, objects: ObjectStore, object_id: int) -> bytes:
    name = object_name(cold.tenant_id, object_id)
    facts = await objects.facts(name)
    assert facts is not None
    return await objects.get(name, 0, facts.octets)


async def test_mail_of_every_make_is_found_whole_in_packs(
    ada: Someone, cold: Damager, store: MailStore, objects: ObjectStore
) -> None:
    for _, letter in letters():
        await ada.receive(letter)
    await ada.receive(LONG)
    await go_cold(store, objects, cold.tenant_id)
    looked = await cold.look(rebuilds=True)
    assert looked.findings == []
    assert looked.tally.hot_blobs == 0
    assert looked.tally.objects == 1
    (blobs,) = (await cold.sql("SELECT count(*) FROM blob WHERE tenant_id = {t}"))[0]
    assert looked.tally.cold_blobs == blobs
    shares = [(await cold.look(slice=Slice(at / 4, 1 / 4), parts=CONTENT)).tally.objects for at in range(4)]
    assert sum(shares) == 1


async def test_a_flipped_bit_is_found_and_only_there(
    ada: Someone, cold: Damager, store: MailStore, objects: ObjectStore
) -> None:
    for number in range(10):
        await ada.receive(plain_message(number, body=f"Body {number}"))
    pack = await go_cold(store, objects, cold.tenant_id)
    octets = bytearray(await whole(cold, objects, pack))
    ((digest, offset),) = await cold.sql(
        "SELECT digest, object_offset FROM blob WHERE tenant_id = {t} ORDER BY digest LIMIT 1"
    )
    octets[offset + 20] ^= 4
    await replace(cold, objects, pack, bytes(octets))
    looked = await cold.look(parts=CONTENT)
    assert looked.kinds == [Kind.OBJECT_DAMAGED, Kind.CONTENT_DAMAGED]
    assert looked.findings[1].values["digest"] == digest.hex()
    assert looked.findings[1].values["place"] == f"object {pack:016x}"
    assert looked.findings[1].values["messages"] == 1


async def test_damage_where_nothing_rests_is_told_of_too(
    ada: Someone, cold: Damager, store: MailStore, objects: ObjectStore
) -> None:
    await ada.receive()
    pack = await go_cold(store, objects, cold.tenant_id)
    octets = bytearray(await whole(cold, objects, pack))
    octets[-60] ^= 1  # in the index
    await replace(cold, objects, pack, bytes(octets))
    assert (await cold.look(parts=CONTENT)).kinds == [Kind.OBJECT_DAMAGED]


async def test_a_truncated_object_is_found_with_what_it_lost(
    ada: Someone, cold: Damager, store: MailStore, objects: ObjectStore
) -> None:
    for number in range(10):
        await ada.receive(plain_message(number, body=f"Body {number}"))
    pack = await go_cold(store, objects, cold.tenant_id)
    octets = await whole(cold, objects, pack)
    ((cut,),) = await cold.sql(
        "SELECT object_offset FROM blob WHERE tenant_id = {t} ORDER BY object_offset DESC LIMIT 1 OFFSET 2"
    )
    await replace(cold, objects, pack, octets[: cut + 5])
    looked = await cold.look(parts=CONTENT)
    assert looked.kinds == [Kind.OBJECT_LENGTH] + [Kind.CONTENT_DAMAGED] * 3
    assert (await cold.look(parts=frozenset({"objects"}))).kinds == [Kind.OBJECT_LENGTH]


async def test_a_missing_object_is_one_finding(
    ada: Someone, cold: Damager, store: MailStore, objects: ObjectStore
) -> None:
    for number in range(10):
        await ada.receive(plain_message(number, body=f"Body {number}"))
    pack = await go_cold(store, objects, cold.tenant_id)
    await objects.delete([object_name(cold.tenant_id, pack)])
    for part in ("content", "objects"):
        looked = await cold.look(parts=frozenset({part}))
        assert looked.kinds == [Kind.OBJECT_MISSING]
        assert looked.findings[0].values["blobs"] == 10


@pytest.mark.parametrize(
    ("damage", "kinds"),
    [
        ("UPDATE blob SET layout = substr(layout, 1, 8)", {Kind.CONTENT_DAMAGED}),
        ("UPDATE blob SET layout = ''", {Kind.CONTENT_DAMAGED}),
        ("UPDATE blob SET layout = set_byte(layout, 8, get_byte(layout, 8) - 1)", {Kind.CONTENT_DAMAGED}),
        ("UPDATE blob SET object_offset = object_offset + 1", {Kind.CONTENT_DAMAGED}),
        ("UPDATE blob SET object_offset = 100000000", {Kind.CONTENT_DAMAGED}),
        ("UPDATE blob SET layout = NULL", {Kind.CONTENT_DAMAGED}),
        ("UPDATE blob SET stored_octets = 1", {Kind.STORED_OCTETS}),
    ],
)
async def test_a_row_that_points_elsewhere_is_found(
    ada: Someone, cold: Damager, store: MailStore, objects: ObjectStore, damage: str, kinds: set[Kind]
) -> None:
    await ada.receive()
    await go_cold(store, objects, cold.tenant_id)
    await cold.sql(f"{damage} WHERE tenant_id = {{t}}")
    assert set((await cold.look(parts=CONTENT)).kinds) == kinds


async def test_what_postgres_still_holds_takes_the_place_of_what_s3_lost(
    ada: Someone, cold: Damager, store: MailStore, objects: ObjectStore
) -> None:
    await ada.receive(LONG)
    await ada.receive()
    pack = await go_cold(store, objects, cold.tenant_id, clear=False)
    await objects.delete([object_name(cold.tenant_id, pack)])
    looked = await cold.look(uses_copies=True)
    assert [(each.kind, each.is_repaired) for each in looked.findings] == [(Kind.OBJECT_MISSING, True)]
    looked = await cold.look(rebuilds=True)
    assert looked.findings == []
    assert looked.tally.hot_blobs == 2
    assert await cold.sql("SELECT state, live_blobs FROM object WHERE tenant_id = {t}") == [(2, 0)]


async def test_a_pack_that_was_replaced_gives_its_copy(
    ada: Someone, cold: Damager, store: MailStore, objects: ObjectStore
) -> None:
    await ada.receive(LONG)
    first = await go_cold(store, objects, cold.tenant_id)
    kept = await whole(cold, objects, first)
    await ada.receive()
    second = await go_cold(store, objects, cold.tenant_id)
    # the long blob came to rest in the second pack as compaction would have it, where it is damaged
    await cold.sql("UPDATE blob SET object_id = %s WHERE tenant_id = {t}", second)
    await cold.sql(
        "UPDATE object SET state = 2, live_blobs = 0, live_octets = 0, doomed_at = now() WHERE id = %s", first
    )
    await cold.look()
    assert await whole(cold, objects, first) == kept
    looked = await cold.look(uses_copies=True)
    assert [(each.kind, each.is_repaired) for each in looked.findings] == [(Kind.CONTENT_DAMAGED, True)]
    assert (await cold.look(rebuilds=True)).findings == []


async def test_without_s3_it_is_said_that_nothing_was_looked_at(
    ada: Someone, cold: Damager, store: MailStore, objects: ObjectStore
) -> None:
    await ada.receive()
    await go_cold(store, objects, cold.tenant_id)
    away = ObjectStore(ObjectsConfig("http://127.0.0.1:9", "nobody", "nothing", attempts=1, connect_timeout_s=0.2))
    try:
        looked = await cold.with_bucket(away).look(rebuilds=True)
    finally:
        await away.close()
    assert set(looked.kinds) == {Kind.CONTENT_UNREACHABLE}
    assert len(looked.kinds) == 3, "once for the message, its object, and the list of the bucket"
    assert set((await Damager(cold.owner_url, store, cold.tenant_id).look()).kinds) == {Kind.CONTENT_UNREACHABLE}


class GoneAfterReading:
    """S3 that goes away when somebody looks for the second time."""

    def __init__(self, objects: ObjectStore) -> None:
        self.get, self.list = objects.get, objects.list

    async def facts(self, name: str) -> Stored | None:
        raise ColdTierUnavailable("it went away")


async def test_s3_that_goes_away_between_two_looks_ends_nothing(
    ada: Someone, cold: Damager, store: MailStore, objects: ObjectStore
) -> None:
    packs = []
    for number in range(2):
        await ada.receive(plain_message(number, body=f"Body {number}"))
        packs.append(await go_cold(store, objects, cold.tenant_id))
    await objects.delete([object_name(cold.tenant_id, packs[0])])
    await replace(cold, objects, packs[1], (await whole(cold, objects, packs[1]))[:40])
    looked = await cold.with_bucket(GoneAfterReading(objects)).look(parts=CONTENT)
    assert looked.kinds == [Kind.CONTENT_UNREACHABLE] * 2
