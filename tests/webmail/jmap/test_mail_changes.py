"""A client that applies what the server says changed has what the server has (RFC 8620 §5.2, RFC 8621 §§2-4)."""

import os
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from mailserver.assembly import Parts
from mailserver.services import account_advancing, changes, mailboxes, messages
from mailserver.services.account_views import AccountViews
from storage.epochs import start_epoch
from tests.account_deeds import Deeds
from tests.conftest import plain_message
from tests.someone import ADD, DELETED, FLAGGED, SEEN, Someone
from tests.webmail.jmap.client import Jmap
from webmail.jmap.http.application import open_door
from webmail.jmap.ids import parse_mailbox_id

Records = dict[str, Any]

SEEDS = range(200 if os.environ.get("WAYPOST_SOAK") == "1" else 3)


@pytest.fixture
def someone(jmap: Jmap) -> Someone:
    return Someone(jmap.store, jmap.person.principal)


async def everything(jmap: Jmap, kind: str) -> tuple[Records, str]:
    more = {}
    if kind == "Email":
        asked = await jmap.call("Email/query", {})
        more = {"ids": asked["ids"], "properties": ["mailboxIds", "keywords", "threadId", "receivedAt"]}
    told = await jmap.call(f"{kind}/get", {"ids": None, **more})
    return {each["id"]: each for each in told["list"]}, told["state"]


class Cache:
    """Of one type: what a client has, and the state that it is at."""

    def __init__(self, jmap: Jmap, kind: str, dice: random.Random) -> None:
        self._jmap, self.kind, self._dice = jmap, kind, dice
        self.records: Records = {}
        self.state = ""

    async def fill(self) -> None:
        self.records, self.state = await everything(self._jmap, self.kind)

    def answers_from(self, jmap: Jmap) -> None:
        """The next ones."""
        self._jmap = jmap

    async def catch_up(self) -> None:
        """A few changes at a time, or all."""
        updated: set[str] = set()
        while True:
            most = self._dice.choice((1, 2, 3, None))
            told = await self._jmap.call(f"{self.kind}/changes", {"sinceState": self.state, "maxChanges": most})
            ids = [*told["created"], *told["updated"], *told["destroyed"]]
            assert most is None or len(ids) <= most
            assert len(ids) == len(set(ids))
            assert not self.records.keys() & set(told["created"]), "created, though it was there"
            assert self.records.keys() >= {*told["updated"], *told["destroyed"]}, "changed, though it was not there"
            for each in told["destroyed"]:
                del self.records[each]
            for each in told["created"]:
                self.records[each] = None
            counts = told.get("updatedProperties")
            for each in told["updated"]:
                updated.add(each)
                if not counts:
                    self.records[each] = None
            self.state = told["newState"]
            if not told["hasMoreChanges"]:
                break
        await self._fetch(updated)

    async def look(self) -> None:
        """Fetch some that it has, whatever it was told: they are newer than its state then."""
        now, _ = await everything(self._jmap, self.kind)
        for each in self.records:
            if each in now and self._dice.random() < 0.5:
                self.records[each] = now[each]

    async def _fetch(self, updated: set[str]) -> None:
        now, _ = await everything(self._jmap, self.kind)
        for each, record in self.records.items():
            if record is None:
                self.records[each] = now.get(each)
            elif each in updated:
                self.records[each] = {**record, **counts_of(now.get(each) or {})}


def counts_of(record: Mapping[str, Any]) -> Records:
    return {name: value for name, value in record.items() if name.startswith(("total", "unread"))}


@pytest.mark.parametrize("recent_rows", [1, 500])
@pytest.mark.parametrize("seed", SEEDS)
async def test_clients_that_replay_changes_have_what_the_server_has(
    jmap: Jmap, someone: Someone, seed: int, recent_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the log is in memory or has to be read."""
    monkeypatch.setattr(account_advancing, "RECENT_ROWS", recent_rows)
    deeds, dice = Deeds(someone, 1000 + seed), random.Random(seed)
    caches = {kind: Cache(jmap, kind, dice) for kind in ("Mailbox", "Thread", "Email")}
    for cache in caches.values():
        await cache.fill()
    for _ in range(12):
        await deeds.some(dice.randrange(1, 7))
        for kind, cache in caches.items():
            await cache.catch_up()
            assert (cache.records, cache.state) == await everything(jmap, kind)


@pytest.mark.parametrize("seed", SEEDS)
async def test_it_does_not_matter_which_process_answers(jmap: Jmap, someone: Someone, parts: Parts, seed: int) -> None:
    """Each knows the account from another moment on; the third never before."""
    deeds, dice = Deeds(someone, 7000 + seed), random.Random(seed)

    def another() -> Jmap:
        return replace(jmap, application=open_door(replace(parts, account_views=AccountViews(parts.store))))

    second = another()
    caches = [Cache(jmap, kind, dice) for kind in ("Mailbox", "Thread", "Email")]
    for cache in caches:
        await cache.fill()
    for _ in range(8):
        await deeds.some(dice.randrange(1, 6))
        for cache in caches:
            answering = dice.choice((jmap, second, another()))
            cache.answers_from(answering)
            await cache.catch_up()
            assert (cache.records, cache.state) == await everything(dice.choice((jmap, second)), cache.kind)


@pytest.mark.parametrize("seed", SEEDS)
async def test_clients_that_fetch_more_than_they_are_told_of_have_what_the_server_has(
    jmap: Jmap, someone: Someone, seed: int
) -> None:
    """What is again as it was must be told of too: somebody may have seen it as it was meanwhile."""
    deeds, dice = Deeds(someone, 9000 + seed), random.Random(seed)
    trash = (await someone.box("Trash")).id
    caches = [Cache(jmap, kind, dice) for kind in ("Mailbox", "Thread", "Email")]
    for cache in caches:
        await cache.fill()
    for _ in range(10):
        for _ in range(3):
            await deeds.some(dice.randrange(1, 4))
            if dice.random() < 0.3:
                await jmap.call("Mailbox/set", {"update": {f"F{trash}": {"role": dice.choice((None, "trash"))}}})
            for cache in caches:
                await cache.look()
        for cache in caches:
            await cache.catch_up()
            assert (cache.records, cache.state) == await everything(jmap, cache.kind)


async def test_many_that_changed_at_once_can_be_told_one_by_one(jmap: Jmap, someone: Someone) -> None:
    """A STORE is one modseq: there are states within it."""
    placed = [await someone.receive(plain_message(number)) for number in range(9)]
    _, state = await everything(jmap, "Email")
    await someone.flag("INBOX", [each.uid for each in placed], ADD, FLAGGED)
    updated: list[str] = []
    for expected in (4, 4, 1):
        told = await jmap.call("Email/changes", {"sinceState": state, "maxChanges": 4})
        assert len(told["updated"]) == expected
        assert told["hasMoreChanges"] is (expected == 4)
        state = told["newState"]
        updated += told["updated"]
    assert updated == [f"M{each.message_id}" for each in placed]
    assert state == (await everything(jmap, "Email"))[1]


async def test_what_came_and_went_between_two_states_is_no_news(jmap: Jmap, someone: Someone) -> None:
    before = {kind: (await everything(jmap, kind))[1] for kind in ("Email", "Thread")}
    placed = await someone.receive()
    await someone.flag("INBOX", [placed.uid], ADD, DELETED)
    await someone.expunge()
    await someone.empty_bin()
    for kind, state in before.items():
        told = await jmap.call(f"{kind}/changes", {"sinceState": state})
        assert (told["created"], told["updated"], told["destroyed"]) == ([], [], [])
        assert told["newState"] != state


async def test_a_message_that_moves_is_updated_and_one_that_is_copied_where_it_is_is_new(
    jmap: Jmap, someone: Someone
) -> None:
    placed = await someone.receive()
    _, state = await everything(jmap, "Email")
    await someone.move("INBOX", [placed.uid], "Archive")
    told = await jmap.call("Email/changes", {"sinceState": state})
    assert (told["created"], told["updated"]) == ([], [f"M{placed.message_id}"])
    (uid,) = await someone.uids("Archive")
    await someone.copy("Archive", [uid], "Archive")
    later = await jmap.call("Email/changes", {"sinceState": told["newState"]})
    assert (len(later["created"]), later["updated"]) == (1, [])


async def test_nothing_new_is_no_change(jmap: Jmap, someone: Someone) -> None:
    await someone.receive()
    for kind in ("Mailbox", "Thread", "Email"):
        _, state = await everything(jmap, kind)
        told = await jmap.call(f"{kind}/changes", {"sinceState": state})
        assert (told["newState"], told["hasMoreChanges"]) == (state, False)
        assert (told["created"], told["updated"], told["destroyed"]) == ([], [], [])


async def test_only_counts_changed_when_mail_came(jmap: Jmap, someone: Someone) -> None:
    found, state = await everything(jmap, "Mailbox")
    placed = await someone.receive()
    told = await jmap.call("Mailbox/changes", {"sinceState": state})
    assert told["updated"] == [f"F{placed.mailbox_id}"]
    assert told["updatedProperties"] == ["totalEmails", "unreadEmails", "totalThreads", "unreadThreads"]
    assert f"F{placed.mailbox_id}" in found


async def test_when_a_mailbox_itself_changed_more_than_counts_did(jmap: Jmap, someone: Someone) -> None:
    _, state = await everything(jmap, "Mailbox")
    await someone.receive()
    await mailboxes.unsubscribe(jmap.store, someone.who, "Drafts")
    told = await jmap.call("Mailbox/changes", {"sinceState": state})
    assert len(told["updated"]) == 2
    assert told["updatedProperties"] is None


async def test_a_message_that_is_read_in_one_mailbox_changes_its_threads_others(jmap: Jmap, someone: Someone) -> None:
    first = await someone.receive(plain_message(1))
    await someone.receive(plain_message(2, in_reply_to="<1@elsewhere.test>"))
    copied = await someone.move("INBOX", [first.uid], "Archive")
    found, state = await everything(jmap, "Mailbox")
    archive = next(each for each in found.values() if each["role"] == "archive")
    await someone.flag("INBOX", await someone.uids(), ADD, SEEN)
    told = await jmap.call("Mailbox/changes", {"sinceState": state})
    assert archive["id"] in told["updated"]
    assert copied


async def test_a_flag_that_counts_for_nothing_is_no_news_of_mailboxes(jmap: Jmap, someone: Someone) -> None:
    placed = await someone.receive()
    _, state = await everything(jmap, "Mailbox")
    await someone.flag("INBOX", [placed.uid], ADD, FLAGGED)
    told = await jmap.call("Mailbox/changes", {"sinceState": state})
    assert (told["updated"], told["newState"]) == ([], state)


async def test_a_child_whose_parent_is_deleted_stands_below_the_name_that_stays(jmap: Jmap, someone: Someone) -> None:
    await mailboxes.create(jmap.store, someone.who, "Work/Old")
    before, state = await everything(jmap, "Mailbox")
    work = next(each["id"] for each in before.values() if each["name"] == "Work")
    old = next(each["id"] for each in before.values() if each["name"] == "Old")
    await mailboxes.delete(jmap.store, someone.who, "Work")
    told = await jmap.call("Mailbox/changes", {"sinceState": state})
    after, _ = await everything(jmap, "Mailbox")
    assert told["destroyed"] == [work]
    assert told["created"] == [after[old]["parentId"]]
    assert old in told["updated"]
    assert after[after[old]["parentId"]]["myRights"]["mayAddItems"] is False


async def test_a_thread_is_told_of_by_name_though_its_last_message_is_gone_for_good(
    jmap: Jmap, someone: Someone
) -> None:
    placed = await someone.receive()
    _, state = await everything(jmap, "Thread")
    await someone.flag("INBOX", [placed.uid], ADD, DELETED)
    await someone.expunge()
    await someone.empty_bin()
    told = await jmap.call("Thread/changes", {"sinceState": state})
    assert told["destroyed"] == [f"T{placed.message_id}"]


async def test_a_message_that_only_moves_does_not_change_its_thread(jmap: Jmap, someone: Someone) -> None:
    placed = await someone.receive()
    _, state = await everything(jmap, "Thread")
    await someone.move("INBOX", [placed.uid], "Archive")
    told = await jmap.call("Thread/changes", {"sinceState": state})
    assert (told["created"], told["updated"], told["destroyed"]) == ([], [], [])


async def test_a_thread_that_is_again_as_it_was_is_told_of_to_whom_fetched_it_between(
    jmap: Jmap, someone: Someone
) -> None:
    await someone.receive(plain_message(1))
    _, state = await everything(jmap, "Thread")
    placed = await someone.receive(plain_message(2, in_reply_to="<1@elsewhere.test>"))
    between, _ = await everything(jmap, "Thread")
    await someone.flag("INBOX", [placed.uid], ADD, DELETED)
    await someone.expunge()
    told = await jmap.call("Thread/changes", {"sinceState": state})
    (thread,) = between
    assert len(between[thread]["emailIds"]) == 2
    assert (told["created"], told["updated"], told["destroyed"]) == ([], [thread], [])


async def test_where_the_trash_is_changes_what_is_unread_elsewhere(jmap: Jmap, someone: Someone) -> None:
    """RFC 8621 §2: an unread reply in the trash makes its thread unread there alone."""
    first = await someone.receive(plain_message(1))
    reply = await someone.receive(plain_message(2, in_reply_to="<1@elsewhere.test>"))
    await someone.flag("INBOX", [first.uid], ADD, SEEN)
    await someone.move("INBOX", [reply.uid], "Trash")
    for role in (None, "trash"):
        before, state = await everything(jmap, "Mailbox")
        inbox = next(each for each in before if before[each]["role"] == "inbox")
        trash = next(each for each in before if before[each]["name"] == "Trash")
        await jmap.call("Mailbox/set", {"update": {trash: {"role": role}}})
        after, _ = await everything(jmap, "Mailbox")
        assert [each[inbox]["unreadThreads"] for each in (before, after)] == ([0, 1] if role is None else [1, 0])
        told = await jmap.call("Mailbox/changes", {"sinceState": state})
        assert {each for each in before if before[each] != after[each]} <= set(told["updated"])
        assert told["updatedProperties"] is None


async def test_what_imap_is_told_of_where_the_trash_is_it_is_told_again_when_it_opens_the_mailbox(
    jmap: Jmap, someone: Someone
) -> None:
    """Sessions take the highest mod-sequence from the log, and who opens the mailbox from its row: it never falls."""
    store, who = jmap.store, jmap.person.principal
    before, _ = await everything(jmap, "Mailbox")
    inbox = parse_mailbox_id(next(each for each in before if before[each]["role"] == "inbox"))
    trash = next(each for each in before if before[each]["name"] == "Trash")
    assert inbox is not None
    opened = await messages.load_contents(store, who, inbox)
    await jmap.call("Mailbox/set", {"update": {trash: {"role": None}}})
    told = await changes.changes_since(store, who, inbox, opened.account_modseq)
    assert told.highest_modseq == (await messages.load_contents(store, who, inbox)).modseq


@pytest.mark.parametrize("state", ["", "1", "x-1", "1-999999", "2-1", "1--1", "1-1-1-1", "0-0"])
async def test_changes_since_a_state_that_nobody_was_given_cannot_be_calculated(jmap: Jmap, state: str) -> None:
    for kind in ("Mailbox", "Thread", "Email"):
        refused = await jmap.refusal(f"{kind}/changes", {"sinceState": state})
        assert refused["type"] == "cannotCalculateChanges"


async def test_changes_since_before_a_restore_cannot_be_calculated(jmap: Jmap, someone: Someone) -> None:
    await someone.receive()
    _, state = await everything(jmap, "Mailbox")
    async with jmap.store.database.transaction(someone.who.tenant_id) as connection:
        await start_epoch(connection, someone.who.tenant_id, someone.who.account_id)
    assert (await jmap.refusal("Mailbox/changes", {"sinceState": state}))["type"] == "cannotCalculateChanges"
    _, later = await everything(jmap, "Mailbox")
    assert (await jmap.call("Mailbox/changes", {"sinceState": later}))["newState"] == later
