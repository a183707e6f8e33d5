"""What is read on two days comes back to Postgres."""

import pytest

from mailserver.services import messages
from storage.rows import Columns
from storage.tiers import promotion
from storage.types import Uid
from tests.conftest import plain_message
from tests.storage.tiers.conftest import Attic


async def cold_messages(attic: Attic, count: int) -> None:
    for number in range(count):
        await attic.one.receive(plain_message(number, body=f"{number} " * 200))
    attic.age()
    await attic.tier()


async def read(attic: Attic, uids: list[int]) -> None:
    shown = await attic.one.contents()
    async for _ in messages.fetch_messages(
        attic.one.store, attic.one.who, shown.mailbox.id, [Uid(uid) for uid in uids], Columns.WIRE
    ):
        pass
    await attic.one.store.blobs.notes.write(attic.one.store.database)


async def test_what_is_read_on_two_days_comes_back(attic: Attic) -> None:
    await cold_messages(attic, 4)
    before = await attic.one.octets()
    await read(attic, [2])
    attic.sql("UPDATE cold_read SET read_on = read_on - 3 WHERE tenant_id = {t}")
    await read(attic, [2, 3])
    assert await attic.promote() == 1
    assert attic.hot_and_cold() == (1, 3)
    assert await attic.one.octets() == before
    assert attic.sql("SELECT live_blobs FROM object WHERE tenant_id = {t}") == [(3,)]


async def test_once_is_not_enough_nor_twice_a_day(attic: Attic) -> None:
    await cold_messages(attic, 2)
    await read(attic, [1])
    await read(attic, [1])
    assert await attic.promote() == 0


async def test_long_ago_does_not_count(attic: Attic) -> None:
    await cold_messages(attic, 2)
    await read(attic, [1])
    attic.sql("UPDATE cold_read SET read_on = read_on - 30 WHERE tenant_id = {t}")
    await read(attic, [1])
    assert await attic.promote() == 0
    assert attic.sql("SELECT count(*) FROM cold_read WHERE tenant_id = {t}") == [(1,)]


async def test_a_policy_of_never_brings_nothing_back_and_remembers_nothing(attic: Attic) -> None:
    await cold_messages(attic, 2)
    await read(attic, [1])
    attic.sql("UPDATE cold_read SET read_on = read_on - 3 WHERE tenant_id = {t}")
    await read(attic, [1])
    assert await attic.promote(None) == 0
    assert attic.sql("SELECT count(*) FROM cold_read WHERE tenant_id = {t}") == [(0,)]


async def test_a_download_of_everything_is_no_reading(attic: Attic) -> None:
    await cold_messages(attic, 30)
    await read(attic, list(range(1, 31)))
    assert attic.sql("SELECT count(*) FROM cold_read WHERE tenant_id = {t}") == [(0,)]


async def test_what_came_back_goes_cold_again_later(attic: Attic) -> None:
    await cold_messages(attic, 2)
    before = await attic.one.octets()
    await read(attic, [1])
    attic.sql("UPDATE cold_read SET read_on = read_on - 3 WHERE tenant_id = {t}")
    await read(attic, [1])
    await attic.promote()
    attic.age()
    assert (await attic.tier()).blobs == 1
    assert await attic.one.octets() == before


async def test_what_is_read_stays_hot_for_another_while(attic: Attic) -> None:
    await attic.one.receive(plain_message(1, body="read"))
    await attic.one.receive(plain_message(2, body="forgotten"))
    attic.age()
    await read(attic, [1])
    assert (await attic.tier()).blobs == 1
    assert attic.sql("SELECT read_on = CURRENT_DATE FROM blob WHERE tenant_id = {t} AND object_id IS NULL") == [(True,)]


async def test_a_long_message_that_is_opened_is_read_too(attic: Attic) -> None:
    await attic.one.receive(plain_message(1, body="line of text\r\n" * 60_000))
    attic.age()
    await attic.tier()
    (row,) = await attic.one.rows()
    content = await messages.open_content(attic.one.store, attic.one.who, row.message_id)
    content.note_reading()
    await attic.one.store.blobs.notes.write(attic.one.store.database)
    assert attic.sql("SELECT count(*) FROM cold_read WHERE tenant_id = {t}") == [(1,)]


async def test_what_is_too_large_to_come_back_does_not_stand_in_the_way(
    attic: Attic, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        await attic.one.receive(plain_message(number, body=f"{number} "))
    await attic.one.receive(plain_message(9, body="".join(f"{number * 7919} " for number in range(3_000))))
    attic.age()
    await attic.tier()
    for days in (0, 1):
        attic.sql(
            "INSERT INTO cold_read SELECT tenant_id, digest, CURRENT_DATE - %s FROM blob WHERE tenant_id = {t}", days
        )
    monkeypatch.setattr(promotion, "LARGEST_OCTETS", 1_000)
    monkeypatch.setattr(promotion, "AT_ONCE", 2)
    assert await attic.promote() == 4
    assert attic.hot_and_cold() == (4, 1)
