"""Work in short turns: when it rests, what is free meanwhile, and that a rest can be ended at any time."""

import asyncio
from dataclasses import dataclass, field

import pytest

from storage.tiers import compaction, tiering
from storage.tiers.moving import Moved
from storage.tiers.turns import FULL_SPEED, Turns
from tests.conftest import plain_message
from tests.storage.tiers.conftest import Attic, Steps


@dataclass
class Clock:
    """Stands still but for what is asked to pass; waits are noted, and take no time."""

    now_s: float = 1000.0
    waits: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now_s

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now_s += seconds


def turns_by(clock: Clock, duty: float = 0.25) -> Turns:
    return Turns(duty, clock=clock, wait=clock.wait)


async def tier(attic: Attic, turns: Turns) -> Moved:
    return await tiering.tier(
        attic.one.store.database, attic.objects, attic.keys, cold_after_days=30, hot_budget_octets=None, turns=turns
    )


async def old_mail(attic: Attic, count: int) -> None:
    for number in range(count):
        await attic.one.receive(plain_message(number, body=f"Message {number}. " * 20))
    attic.age()


async def test_after_each_turn_there_is_a_rest_of_its_length_by_the_duty() -> None:
    clock = Clock()
    turns = turns_by(clock)
    for worked_s in (1.0, 2.0):
        async with turns.turn():
            clock.now_s += worked_s
    assert clock.waits == [3.0, 6.0]


async def test_works_that_share_turns_do_not_work_at_once() -> None:
    """Nor while the other rests: or two of them would have twice the duty."""
    clock = Clock()
    turns = turns_by(clock)
    at_work = 0

    async def work() -> None:
        nonlocal at_work
        async with turns.turn():
            at_work += 1
            assert at_work == 1
            await asyncio.sleep(0)
            clock.now_s += 1
            at_work -= 1

    await asyncio.gather(work(), work(), work())
    assert clock.waits == [3.0] * 3
    assert clock.now_s == 1012


async def test_at_full_speed_there_are_no_rests_and_nobody_waits() -> None:
    async with FULL_SPEED.turn(), FULL_SPEED.turn():
        assert not FULL_SPEED.are_short


async def test_a_turn_ends_with_a_pack_and_nothing_is_under_way_while_it_rests(
    attic: Attic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiering, "_PACK_BLOBS", 2)
    await old_mail(attic, 6)
    seen: list[tuple[int, int, int]] = []

    async def wait(_seconds: float) -> None:
        ((leases,),) = attic.sql("SELECT count(*) FROM work_lease WHERE tenant_id = {t}")
        ((begun,),) = attic.sql("SELECT count(*) FROM object WHERE tenant_id = {t} AND state = 0")
        seen.append((attic.hot_and_cold()[1], leases, begun))

    moved = await tier(attic, Turns(0.04, wait=wait))
    assert (moved.blobs, moved.packs) == (6, 3)
    assert seen == [(2, 0, 0), (4, 0, 0), (6, 0, 0), (6, 0, 0)]


async def test_whoever_hurries_goes_first_while_another_rests(attic: Attic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiering, "_PACK_BLOBS", 2)
    await old_mail(attic, 8)
    by_hand: list[int] = []

    async def wait(_seconds: float) -> None:
        by_hand.append((await attic.tier()).blobs)

    paced = await tier(attic, Turns(0.04, wait=wait))
    assert (paced.blobs, by_hand[0], sum(by_hand)) == (2, 6, 6)
    assert attic.hot_and_cold() == (0, 8)


async def test_a_rest_ends_at_once_when_the_work_is_ended(attic: Attic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiering, "_PACK_BLOBS", 2)
    await old_mail(attic, 6)
    rests = asyncio.Event()

    async def wait_forever(_seconds: float) -> None:
        rests.set()
        await asyncio.Event().wait()

    work = asyncio.create_task(tier(attic, Turns(0.04, wait=wait_forever)))
    await rests.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert attic.hot_and_cold() == (4, 2)
    assert attic.sql("SELECT 1 FROM work_lease WHERE tenant_id = {t}") == []
    assert (await attic.tier()).blobs == 4


async def test_work_that_fails_lets_the_next_one_begin(attic: Attic, steps_of_work: Steps) -> None:
    await old_mail(attic, 2)
    clock = Clock()
    turns = turns_by(clock)
    steps_of_work.ends_at = "moving: written"
    with pytest.raises(Exception, match="moving: written"):
        await tier(attic, turns)
    steps_of_work.ends_at = None
    assert clock.waits == []
    assert (await tier(attic, turns)).blobs == 2


async def test_packs_are_compacted_in_turns_too(attic: Attic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "MANY_SMALL", 2)
    monkeypatch.setattr(compaction, "TARGET_OCTETS", 1)
    monkeypatch.setattr(tiering, "_PACK_BLOBS", 1)
    await old_mail(attic, 3)
    await attic.tier()
    leases: list[int] = []

    async def wait(_seconds: float) -> None:
        leases.append(len(attic.sql("SELECT 1 FROM work_lease WHERE tenant_id = {t}")))

    turns = Turns(0.04, wait=wait)
    moved = await compaction.compact(attic.one.store.database, attic.objects, attic.keys, turns=turns)
    assert (moved.blobs, moved.packs) == (3, 3)
    assert leases == [0] * 4
