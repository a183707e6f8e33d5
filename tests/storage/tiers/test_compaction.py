"""Half-dead packs are written anew, and what read them reads on."""

from secrets import token_hex

import pytest

from storage.blobs.hot import HotBlobs
from storage.blobs.tiered import object_name
from storage.housekeeping import collect_blobs
from storage.tiers import compaction
from tests.conftest import plain_message
from tests.someone import ADD, DELETED
from tests.storage.tiers.conftest import Attic


async def filled(attic: Attic, count: int = 20) -> list[bytes]:
    """As many cold messages; what each is."""
    for number in range(count):
        await attic.one.receive(plain_message(number, body=f"Message {number}. {token_hex(500)}"))
    attic.age()
    await attic.tier()
    return await attic.one.octets()


async def forget(attic: Attic, uids: list[int]) -> None:
    """Expunge, past every bin, and collect."""
    await attic.one.flag("INBOX", uids, ADD, DELETED)
    await attic.one.expunge("INBOX")
    await attic.one.empty_bin()
    await collect_blobs(attic.one.store.database, attic.one.store.keys, HotBlobs(grace_s=0))


async def test_a_pack_that_is_half_dead_is_written_anew(attic: Attic) -> None:
    octets = await filled(attic)
    await forget(attic, list(range(1, 13)))
    ((before, live, state),) = attic.sql("SELECT id, live_blobs, state FROM object WHERE tenant_id = {t}")
    assert (live, state) == (8, 1)
    moved = await attic.compact()
    assert (moved.blobs, moved.packs, moved.damaged) == (8, 1, [])
    rows = attic.sql("SELECT id, state, live_blobs, blobs FROM object WHERE tenant_id = {t} ORDER BY state")
    assert [(state, live, blobs) for _, state, live, blobs in rows] == [(1, 8, 8), (2, 0, 20)]
    assert rows[1][0] == before
    assert await attic.one.octets() == octets[12:]


async def test_a_pack_that_lives_is_left_alone(attic: Attic) -> None:
    await filled(attic)
    await forget(attic, [1, 2, 3])
    assert (await attic.compact()).packs == 0


async def test_a_pack_in_which_nothing_lives_is_doomed_at_once(attic: Attic) -> None:
    await filled(attic, 3)
    await forget(attic, [1, 2, 3])
    assert attic.sql("SELECT state, live_blobs, live_octets FROM object WHERE tenant_id = {t}") == [(2, 0, 0)]


async def test_a_pack_of_tiny_messages_is_not_half_dead_from_the_beginning(attic: Attic) -> None:
    for number in range(20):
        await attic.one.receive(plain_message(number, body=str(number)))
    attic.age()
    await attic.tier()
    assert (await attic.compact()).packs == 0


async def test_many_small_packs_become_one(attic: Attic) -> None:
    for number in range(compaction.MANY_SMALL):
        await attic.one.receive(plain_message(number, body=str(number) * 100))
        attic.age()
        await attic.tier()
    octets = await attic.one.octets()
    assert (await attic.compact()).packs == 1
    assert attic.sql("SELECT count(*) FROM object WHERE tenant_id = {t} AND state = 1") == [(1,)]
    assert await attic.one.octets() == octets


async def test_what_moves_is_sealed_under_the_current_key(attic: Attic) -> None:
    octets = await filled(attic)
    await forget(attic, list(range(1, 13)))
    keys = await attic.with_new_key()
    await compaction.compact(attic.one.store.database, attic.objects, keys)
    layouts = attic.sql("SELECT layout FROM blob WHERE tenant_id = {t}")
    assert {int.from_bytes(layout[:4], "big") for (layout,) in layouts} == {keys.current}
    assert await attic.one.octets() == octets[12:]


async def test_a_blob_that_is_damaged_in_its_pack_comes_from_postgres_if_it_is_there(attic: Attic) -> None:
    octets = await filled(attic)
    await forget(attic, list(range(1, 13)))
    await attic.flip_a_bit_in_the_first_live_blob()
    assert (await attic.compact()).damaged == []
    assert await attic.one.octets() == octets[12:]


async def test_a_blob_that_is_damaged_everywhere_stays_and_is_told_of(attic: Attic) -> None:
    await filled(attic)
    await forget(attic, list(range(1, 13)))
    digest = await attic.flip_a_bit_in_the_first_live_blob()
    attic.drop_old_weeks()
    moved = await attic.compact()
    assert (moved.damaged, moved.blobs) == ([digest], 7)
    assert attic.sql("SELECT live_blobs FROM object WHERE tenant_id = {t} AND state = 1 ORDER BY 1") == [(1,), (7,)]


async def test_packs_that_are_gone_do_not_keep_others_from_being_written_anew(
    attic: Attic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "_PACKS_AT_ONCE", 1)
    for _ in range(3):
        await filled(attic, 4)
    await forget(attic, [1, 2, 3, 5, 6, 7, 9, 10, 11])
    attic.drop_old_weeks()
    (first, *others) = (each for (each,) in attic.sql("SELECT id FROM object WHERE tenant_id = {t} ORDER BY id"))
    await attic.objects.delete([object_name(attic.keys.tenant_id, first)])
    moved = await attic.compact()
    assert (moved.blobs, len(moved.damaged)) == (2, 1)
    assert attic.sql("SELECT count(*) FROM object WHERE tenant_id = {t} AND state = 2") == [(len(others),)]
