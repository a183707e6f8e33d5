"""What old data keys sealed is sealed anew while it is read; nothing that was ever sealed stops opening."""

import asyncio
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailserver.upkeep.key_jobs import reseal_as_asked
from storage import old_keys, smarthosts, steps
from storage.blobs.objects import ObjectStore
from storage.key_rotation import data_keys, order_reseal, retire_data_keys, rotate_data_key
from storage.keys import ANNOUNCED_S, KeyRing
from storage.outgoing_content import last_chunk, read_chunk
from storage.smarthosts import SmarthostSetting
from storage.store import MailStore
from storage.tiers import tiering
from tests.conftest import Company, RunningServices, new_company, owner_connection, plain_message
from tests.someone import Someone
from tests.storage.queue_box import Box

LONG = plain_message(2, body="\r\n".join(f"{n} bottles of beer, {n * 7919} more" for n in range(90_000)))


def letter(number: int) -> bytes:
    return plain_message(number, body=f"Letter {number}")


@dataclass(frozen=True, slots=True)
class House:
    """A person whose company rotates its keys; `ring` is that of a process that has looked lately."""

    services: RunningServices
    company: Company
    one: Someone

    def rotate(self, *, age_s: float = ANNOUNCED_S) -> None:
        with owner_connection(self.services) as owner:
            rotate_data_key(self.services.secrets, owner, self.company.tenant_id)
            owner.execute(
                "UPDATE data_key SET created_at = created_at - make_interval(secs => %s) WHERE tenant_id = %s",
                (age_s, self.company.tenant_id),
            )
        self.one.store.keys.forget(self.company.tenant_id)

    def rests(self) -> dict[int, dict[str, int]]:
        """Chunks under each key, by place."""
        with owner_connection(self.services) as owner:
            return {
                key.id: {place: chunks for place, (chunks, _) in key.rests.items()}
                for key in data_keys(owner, self.company.tenant_id)
            }

    def age(self) -> None:
        with owner_connection(self.services) as owner:
            owner.execute(
                "UPDATE blob_content SET content_on = content_on - 100 WHERE tenant_id = %s", (self.company.tenant_id,)
            )
            owner.execute(
                "UPDATE blob SET content_on = content_on - 100, touched_at = touched_at - interval '100 days'"
                " WHERE tenant_id = %s",
                (self.company.tenant_id,),
            )

    async def tier(self, objects: ObjectStore) -> None:
        keys = await self.one.store.keys.of(self.company.tenant_id)
        await tiering.tier(self.one.store.database, objects, keys, cold_after_days=30, hot_budget_octets=None)

    async def reseal(self) -> old_keys.Resealed:
        return await old_keys.reseal(self.one.store.database, self.one.store.keys, self.company.tenant_id)


@pytest.fixture
async def house(services: RunningServices, company: Company, tiered_store: MailStore) -> House:
    """Of whose mail large parts rest in Postgres too."""
    return House(services, company, Someone(replace(tiered_store, parts=None), await company.person()))


async def test_content_queue_and_password_move_to_the_new_key(house: House) -> None:
    store, tenant_id = house.one.store, house.company.tenant_id
    await house.one.receive()
    await house.one.receive(LONG)
    queue = Box(store, house.company)
    await queue.put("bob@far.example", octets=LONG)
    await smarthosts.save(
        store.database, store.keys, tenant_id, SmarthostSetting("relay.example", 587, "required", "us", "secret")
    )
    before = house.rests()
    assert set(before) == {2}
    assert set(before[2]) == {"hot", "queue", "smarthost"}
    assert before[2]["hot"] > 3, "the long one is several chunks"
    house.rotate()
    await house.one.receive(letter(3))
    done = await house.reseal()
    assert (done.chunks, done.damaged) == (sum(before[2].values()), 0)
    assert house.rests()[2] == {}
    first, second, third = await house.one.octets()
    assert first.endswith(plain_message())
    assert second.endswith(LONG)
    assert third.endswith(letter(3))
    (leased,) = await queue.lease()
    keys = await store.keys.of(tenant_id)
    chunks = [await read_chunk(store.database, keys, leased.message, n) for n in range(last_chunk(len(LONG)) + 1)]
    assert b"".join(chunks) == LONG
    found = await smarthosts.find(store.database, store.keys, tenant_id)
    assert found is not None
    assert found.password == "secret"
    assert (await house.reseal()).chunks == 0


async def test_a_reader_in_the_midst_sees_every_message_whole(house: House) -> None:
    for number in range(30):
        await house.one.receive(letter(number))
    await house.one.receive(LONG)
    expected = await house.one.octets()
    house.rotate()
    resealing = asyncio.create_task(house.reseal())
    while not resealing.done():
        assert await house.one.octets() == expected
    assert resealing.result().damaged == 0
    assert await house.one.octets() == expected


async def test_work_that_is_killed_at_any_page_goes_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_keys, "PAGE", 2)
    for number in range(7):
        await house.one.receive(letter(number))
    expected = await house.one.octets()
    house.rotate()

    def die(_step: str) -> None:
        raise KeyboardInterrupt

    kills = 0
    monkeypatch.setattr(steps, "listener", die)
    while house.rests()[2]:
        with pytest.raises(KeyboardInterrupt):
            await house.reseal()
        kills += 1
        assert await house.one.octets() == expected
    assert kills == 4


async def test_damaged_content_is_left_and_counted(house: House) -> None:
    for number in range(3):
        await house.one.receive(letter(number))
    with owner_connection(house.services) as owner:
        owner.execute(
            "UPDATE blob_content SET sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1)"
            " WHERE (tenant_id, digest) IN (SELECT tenant_id, digest FROM blob WHERE tenant_id = %s LIMIT 1)",
            (house.company.tenant_id,),
        )
    house.rotate()
    done = await house.reseal()
    assert (done.chunks, done.damaged) == (2, 1)
    assert house.rests()[2] == {"hot": 1}


async def test_what_rests_in_objects_is_written_anew_and_an_order_ends_then(house: House, objects: ObjectStore) -> None:
    store, tenant_id = house.one.store, house.company.tenant_id
    for number in range(5):
        await house.one.receive(letter(number))
    expected = await house.one.octets()
    house.age()
    await house.tier(objects)
    house.rotate()
    assert "objects" in house.rests()[2]
    async with store.database.read(tenant_id) as connection:
        old = await old_keys.objects_under_old_keys(connection, tenant_id, 10)
        assert len(old) == 1
        assert await old_keys.objects_under_old_keys(connection, tenant_id, 10, after=old[0].id) == []
    with owner_connection(house.services) as owner:
        order_reseal(owner, tenant_id)
    assert tenant_id in await old_keys.asked_for(store.database)
    await reseal_as_asked(store, None)
    assert tenant_id in await old_keys.asked_for(store.database), "without S3 the order stands"
    await reseal_as_asked(store, objects)
    assert tenant_id not in await old_keys.asked_for(store.database)
    assert house.rests()[2] == {}
    assert await house.one.octets() == expected


async def test_an_object_under_the_current_key_is_left_alone(house: House, objects: ObjectStore) -> None:
    await house.one.receive()
    house.rotate()
    await house.reseal()
    house.age()
    await house.tier(objects)
    async with house.one.store.database.read(house.company.tenant_id) as connection:
        assert await old_keys.objects_under_old_keys(connection, house.company.tenant_id, 10) == []


async def test_every_table_that_names_a_key_is_counted(services: RunningServices) -> None:
    with owner_connection(services) as owner:
        tables = owner.execute(
            """
            SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'key_id'
             WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace
            """
        ).fetchall()
    assert {name for (name,) in tables} == {"blob_content", "outgoing_content", "upload_content", "smarthost"}


acts = st.lists(
    st.sampled_from(
        ["deliver", "deliver", "deliver long", "rotate", "announce", "reseal", "retire", "tier", "objects"]
    ),
    min_size=4,
    max_size=14,
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=acts)
async def test_whatever_is_rotated_resealed_retired_and_tiered_every_message_opens(
    acts: list[str], services: RunningServices, tiered_store: MailStore, objects: ObjectStore
) -> None:
    company = await new_company(services, tiered_store.database)
    house = House(services, company, Someone(tiered_store, await company.person()))
    expected: list[bytes] = []
    for number, act in enumerate(acts):
        if act.startswith("deliver"):
            body = f"{company.tenant_id} {number} " * (40_000 if act == "deliver long" else 1)
            octets = plain_message(number, body="\r\n".join(body[at : at + 70] for at in range(0, len(body), 70)))
            await house.one.receive(octets)
            expected.append(octets)
        elif act == "rotate":
            house.rotate(age_s=0)
        elif act == "announce":
            with owner_connection(services) as owner:
                owner.execute(
                    "UPDATE data_key SET created_at = created_at - interval '1 day',"
                    " retired_at = retired_at - interval '20 days' WHERE tenant_id = %s",
                    (company.tenant_id,),
                )
            tiered_store.keys.forget(company.tenant_id)
        elif act == "reseal":
            await house.reseal()
        elif act == "retire":
            with owner_connection(services) as owner:
                retire_data_keys(owner, company.tenant_id, keep_days=14)
        elif act == "tier":
            house.age()
            await house.tier(objects)
        else:
            await old_keys.reseal_objects(tiered_store.database, objects, tiered_store.keys, company.tenant_id)
        another = Someone(
            MailStore(
                tiered_store.database,
                KeyRing(services.secrets, tiered_store.database),
                tiered_store.blobs,
                tiered_store.announce,
            ),
            house.one.who,
        )
        for reader in (house.one, another):
            found = await reader.octets()
            assert len(found) == len(expected)
            assert all(whole.endswith(octets) for whole, octets in zip(found, expected, strict=True))
