"""Hot blobs go cold, and are read as before."""

import hashlib

import pytest

from mailserver.services import messages
from storage.blobs.packs import read_index
from storage.blobs.tiered import object_name
from storage.rows import Columns
from storage.tiers import tiering
from storage.types import Uid
from tests.conftest import plain_message
from tests.storage.tiers.conftest import Attic


async def fill(attic: Attic, count: int) -> list[bytes]:
    sent = [plain_message(number, body=f"Message {number}. " + "Lunch at noon? " * number) for number in range(count)]
    for octets in sent:
        await attic.one.receive(octets)
    return sent


async def test_what_is_old_goes_cold_and_is_read_as_before(attic: Attic) -> None:
    await fill(attic, 20)
    before = await attic.one.octets()
    attic.age()
    moved = await attic.tier()
    assert (moved.blobs, moved.packs, moved.damaged) == (20, 1, [])
    assert attic.hot_and_cold() == (0, 20)
    assert await attic.one.octets() == before


async def fetched(attic: Attic) -> list[bytes | None]:
    """Of each message what a FETCH of many brings at once."""
    shown = await attic.one.contents()
    found = []
    async for some in messages.fetch_messages(
        attic.one.store, attic.one.who, shown.mailbox.id, [Uid(uid) for uid in shown.uids], Columns.WIRE
    ):
        found += [each.octets for each in some]
    return found


async def test_many_messages_are_read_by_few_requests(attic: Attic) -> None:
    await fill(attic, 20)
    before = await attic.one.octets()
    attic.age()
    await attic.tier()
    assert await fetched(attic) == before


async def test_one_row_that_is_damaged_is_in_no_other_messages_way(attic: Attic) -> None:
    await fill(attic, 3)
    before = await attic.one.octets()
    attic.age()
    await attic.tier()
    attic.sql(
        """
        UPDATE blob SET layout = 'cut'
         WHERE tenant_id = {t} AND object_offset = (SELECT min(object_offset) FROM blob WHERE tenant_id = {t})
        """
    )
    assert await fetched(attic) == [None, *before[1:]]
    assert await attic.one.octets() == before, "from the copy that Postgres holds still"


async def test_a_pack_says_itself_what_it_holds(attic: Attic) -> None:
    await fill(attic, 3)
    attic.age()
    await attic.tier()
    ((object_id, octets, digest),) = attic.sql("SELECT id, octets, sha256 FROM object WHERE tenant_id = {t}")
    kept = await attic.objects.get(object_name(attic.keys.tenant_id, object_id), 0, octets)
    assert hashlib.sha256(kept).digest() == digest
    rows = attic.sql("SELECT digest, octets, object_offset, layout, stored_octets FROM blob WHERE tenant_id = {t}")
    assert sorted((b.digest, b.octets, b.offset, b.layout, b.stored_octets) for b in read_index(kept)) == sorted(rows)


async def test_what_is_young_stays_hot(attic: Attic) -> None:
    await fill(attic, 3)
    assert (await attic.tier()).blobs == 0
    assert attic.hot_and_cold() == (3, 0)


async def test_however_much_is_old_few_are_chosen_at_once(attic: Attic, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is damaged, or without content, is tried once and stands in nobody's way."""
    monkeypatch.setattr(tiering, "CANDIDATES", 4)
    await fill(attic, 30)
    attic.age()
    first, second = (digest for (digest,) in attic.sql("SELECT digest FROM blob WHERE tenant_id = {t} LIMIT 2"))
    attic.sql("UPDATE blob_content SET sealed = 'damaged' WHERE tenant_id = {t} AND digest = %s", first)
    attic.sql("DELETE FROM blob_content WHERE tenant_id = {t} AND digest = %s", second)
    packs: list[int] = []
    moved = await tiering.tier(
        attic.one.store.database,
        attic.objects,
        attic.keys,
        cold_after_days=30,
        hot_budget_octets=None,
        progress=lambda pack: packs.append(pack.blobs),
    )
    assert (moved.blobs, moved.damaged) == (28, [first])
    assert max(packs) <= 4
    assert attic.hot_and_cold() == (2, 28)
