"""Whoever follows an account is told of later states, all by one reading."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from mailserver.services.state_changes import (
    NOWHERE,
    READINGS,
    Following,
    Place,
    StateChanges,
    changed_since,
    parse_place,
    place_of,
)
from mailserver.services.watching import Watchers, WatchingConfig
from storage.database import Database
from storage.pools import Pools
from storage.store import MailStore
from storage.told_states import ToldStates
from storage.types import Modseq
from tests.conftest import Company
from tests.someone import Someone

STATES = ToldStates(3, Modseq(30), {"Email": Modseq(30), "Mailbox": Modseq(20), "Thread": Modseq(10)})


@pytest.mark.parametrize(
    ("place", "types", "names"),
    [
        (Place(3, Modseq(30)), None, set()),
        (Place(3, Modseq(29)), None, {"Email"}),
        (Place(3, Modseq(10)), None, {"Email", "Mailbox"}),
        (Place(3, Modseq(10)), {"Mailbox", "Quota"}, {"Mailbox"}),
        (NOWHERE, None, {"Email", "Mailbox", "Thread"}),
        (Place(2, Modseq(30)), None, {"Email", "Mailbox", "Thread"}),  # of before a restore
        (Place(3, Modseq(31)), None, {"Email", "Mailbox", "Thread"}),  # of nobody
    ],
)
def test_what_changed_since_a_place(place: Place, types: set[str] | None, names: set[str]) -> None:
    assert set(changed_since(STATES, place, types)) == names


def test_states_are_told_as_get_writes_them() -> None:
    assert changed_since(STATES, NOWHERE, {"Email"}) == {"Email": "3-30"}


@pytest.mark.parametrize(
    ("limit_octets", "place", "types", "told"),
    [
        (100, NOWHERE, None, "40-100"),
        (100, Place(3, Modseq(9)), {"Quota"}, "40-100"),
        (100, Place(3, Modseq(10)), None, None),  # a flag is no message that came or went
        (100, NOWHERE, {"Email"}, None),
        (None, NOWHERE, None, None),
    ],
)
def test_a_quota_is_told_with_messages_that_come_and_go(
    limit_octets: int | None, place: Place, types: set[str] | None, told: str | None
) -> None:
    states = replace(STATES, used_octets=40, limit_octets=limit_octets)
    assert changed_since(states, place, types).get("Quota") == told


def test_a_place_is_read_as_it_is_written() -> None:
    assert parse_place(str(place_of(STATES))) == Place(3, Modseq(30))


@pytest.mark.parametrize("text", ["", "3", "3-", "-1-5", "3-30-1", "a-b", "3-" + "9" * 30])
def test_what_is_no_place_is_nowhere(text: str) -> None:
    assert parse_place(text) == NOWHERE


class Follower:
    """Somebody who is told."""

    def __init__(self, changes: StateChanges, someone: Someone) -> None:
        self.stirred = asyncio.Event()
        self.following: Following = changes.follow(someone.who.tenant_id, someone.who.account_id, self.stirred.set)

    async def next(self) -> ToldStates:
        async with asyncio.timeout(10):
            await self.stirred.wait()
        self.stirred.clear()
        return self.following.latest


@pytest.fixture
async def watchers(database: Database) -> AsyncIterator[Watchers]:
    watchers = Watchers(database, None, WatchingConfig(poll_s=86_400, poll_away_s=86_400))
    watchers.start()
    yield watchers
    await watchers.close()


@pytest.fixture
async def someone(store: MailStore, company: Company, watchers: Watchers) -> Someone:
    return Someone(replace(store, announce=watchers.announce), await company.person())


@pytest.fixture
async def changes(database: Database, watchers: Watchers) -> AsyncIterator[StateChanges]:
    changes = StateChanges(database, watchers, Pools(), pause_s=0.2)
    yield changes
    await changes.close()


def readings() -> float:
    return READINGS.labels()._value.get()  # type: ignore[no-any-return]


async def test_all_followers_share_one_reading(changes: StateChanges, someone: Someone) -> None:
    followers = [Follower(changes, someone) for _ in range(50)]
    first = await followers[0].following.now()
    before = readings()
    await someone.receive()
    told = [await each.next() for each in followers]
    assert readings() - before == 1
    assert all(each is told[0] for each in told)
    assert told[0].modseq > first.modseq


async def test_a_burst_is_read_a_few_times(changes: StateChanges, someone: Someone) -> None:
    follower = Follower(changes, someone)
    await follower.following.now()
    before = readings()
    for _ in range(10):
        await someone.receive()
    newest = await Follower(changes, someone).following.now()
    while (await follower.next()).modseq < newest.modseq:
        pass
    assert readings() - before < 10


async def test_who_asks_now_takes_nothing_from_the_others(changes: StateChanges, someone: Someone) -> None:
    """What one read for itself the others are still told of."""
    quiet, busy = Follower(changes, someone), Follower(changes, someone)
    await quiet.following.now()
    await someone.receive()
    newest = await busy.following.now()
    while (await quiet.next()).modseq < newest.modseq:
        pass


async def test_an_account_nobody_follows_is_not_watched(
    changes: StateChanges, someone: Someone, watchers: Watchers
) -> None:
    first, second = Follower(changes, someone), Follower(changes, someone)
    await first.following.now()
    first.following.close()
    first.following.close()
    await someone.receive()
    assert (await second.next()).types["Email"] > 0
    assert not first.stirred.is_set()
    second.following.close()
    assert watchers.known_modseq((someone.who.tenant_id, someone.who.account_id)) == 0
