"""A client that keeps lists of Emails by what the server says of them has the lists (RFC 8620 §5.6, RFC 8621 §4.5)."""

import os
import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from mailserver.services import mailboxes
from tests.account_deeds import Deeds
from tests.conftest import NOON, plain_message
from tests.someone import ADD, DELETED, FLAGGED, SEEN, Someone
from tests.webmail.jmap.client import Jmap

SEEDS = range(200 if os.environ.get("WAYPOST_SOAK") == "1" else 3)


@pytest.fixture
def someone(jmap: Jmap) -> Someone:
    return Someone(jmap.store, jmap.person.principal)


def by_arrival(*, ascending: bool = False) -> list[dict[str, Any]]:
    return [{"property": "receivedAt", "isAscending": ascending}]


@dataclass
class CachedList:
    """As RFC 8620 §5.6 says a client keeps one. `known` is how many ids from the beginning it has (None: all)."""

    jmap: Jmap
    arguments: dict[str, Any]
    known: int | None = None
    ids: list[str] = field(default_factory=list)
    state: str = ""

    async def fill(self) -> None:
        told = await self.jmap.call("Email/query", {**self.arguments, "limit": self.known})
        assert told["canCalculateChanges"] is True
        self.ids, self.state = told["ids"], told["queryState"]

    async def catch_up(self) -> None:
        asked = {**self.arguments, "sinceQueryState": self.state, "calculateTotal": True}
        if self.known is not None and self.ids:
            asked["upToId"] = self.ids[-1]
        ((name, told, _),) = await self.jmap.calls(["Email/queryChanges", asked])
        if name == "error":
            assert told["type"] == "cannotCalculateChanges"
            assert self.arguments["collapseThreads"] is True
            await self.fill()
            return
        for each in told["removed"]:
            if each in self.ids:
                self.ids.remove(each)
        indexes = [each["index"] for each in told["added"]]
        assert indexes == sorted(indexes)
        for each in told["added"]:
            assert each["id"] not in self.ids
            if each["index"] > len(self.ids):  # behind a gap, of which the client knows nothing
                assert self.known is not None
                break
            self.ids.insert(each["index"], each["id"])
        self.state = told["newQueryState"]
        if self.known is None:
            assert told["total"] == len(self.ids)


@pytest.mark.parametrize("seed", SEEDS)
async def test_lists_that_are_kept_are_those_that_are_asked_for_anew(jmap: Jmap, someone: Someone, seed: int) -> None:
    deeds, dice = Deeds(someone, 2000 + seed), random.Random(seed)
    inbox, archive = (await someone.box("INBOX")).id, (await someone.box("Archive")).id
    await deeds.some(15)
    lists = [
        CachedList(
            jmap, {"filter": filter_, "sort": by_arrival(ascending=ascending), "collapseThreads": collapsed}, known
        )
        for filter_ in (None, {"inMailbox": f"F{inbox}"}, {"inMailbox": f"F{archive}"})
        for ascending in (False, True)
        for collapsed in (False, True)
        for known in (None, 5)
    ]
    for each in lists:
        await each.fill()
    for _ in range(10):
        await deeds.some(dice.randrange(1, 6))
        for each in lists:
            await each.catch_up()
            fresh = await jmap.call("Email/query", each.arguments)
            assert each.state == fresh["queryState"]
            shown = len(each.ids) if each.known is None else min(len(each.ids), 5)
            if each.known is None:
                assert each.ids == fresh["ids"]
            else:
                assert each.ids[:shown] == fresh["ids"][:shown]
                each.ids = each.ids[:5]


async def test_a_new_message_comes_in_at_its_place(jmap: Jmap, someone: Someone) -> None:
    first = await someone.receive(plain_message(1))
    last = await someone.receive(plain_message(2), received_at=NOON + timedelta(hours=2))
    before = await jmap.call("Email/query", {"sort": by_arrival()})
    assert before["ids"] == [f"M{last.message_id}", f"M{first.message_id}"]
    between = await someone.receive(plain_message(3), received_at=NOON + timedelta(hours=1))
    told = await jmap.call("Email/queryChanges", {"sort": by_arrival(), "sinceQueryState": before["queryState"]})
    assert (told["removed"], told["added"]) == ([], [{"id": f"M{between.message_id}", "index": 1}])
    assert "total" not in told


async def test_what_comes_behind_the_last_that_a_client_has_is_left_out(jmap: Jmap, someone: Someone) -> None:
    last = await someone.receive(plain_message(1), received_at=NOON)
    before = await jmap.call("Email/query", {"sort": by_arrival()})
    await someone.receive(plain_message(2), received_at=NOON - timedelta(hours=1))
    asked = {"sort": by_arrival(), "sinceQueryState": before["queryState"], "upToId": f"M{last.message_id}"}
    told = await jmap.call("Email/queryChanges", asked)
    assert (told["removed"], told["added"]) == ([], [])


async def test_a_reply_takes_its_threads_place_in_a_collapsed_list(jmap: Jmap, someone: Someone) -> None:
    first = await someone.receive(plain_message(1))
    asked = {"sort": by_arrival(), "collapseThreads": True}
    before = await jmap.call("Email/query", asked)
    reply = await someone.receive(
        plain_message(2, in_reply_to="<1@elsewhere.test>"), received_at=NOON + timedelta(hours=1)
    )
    told = await jmap.call("Email/queryChanges", {**asked, "sinceQueryState": before["queryState"]})
    assert told["removed"] == [f"M{first.message_id}"]
    assert told["added"] == [{"id": f"M{reply.message_id}", "index": 0}]


async def test_flags_change_no_list_of_a_mailbox(jmap: Jmap, someone: Someone) -> None:
    placed = await someone.receive()
    before = await jmap.call("Email/query", {})
    await someone.flag("INBOX", [placed.uid], ADD, SEEN, FLAGGED)
    told = await jmap.call("Email/queryChanges", {"sinceQueryState": before["queryState"]})
    assert (told["removed"], told["added"]) == ([], [])
    await someone.flag("INBOX", [placed.uid], ADD, DELETED)
    told = await jmap.call("Email/queryChanges", {"sinceQueryState": told["newQueryState"]})
    assert told["removed"] == [f"M{placed.message_id}"]


async def test_more_changes_than_are_wanted_are_too_many(jmap: Jmap, someone: Someone) -> None:
    before = await jmap.call("Email/query", {})
    for number in range(3):
        await someone.receive(plain_message(number))
    asked = {"sinceQueryState": before["queryState"], "maxChanges": 2}
    assert (await jmap.refusal("Email/queryChanges", asked))["type"] == "tooManyChanges"
    assert len((await jmap.call("Email/queryChanges", {**asked, "maxChanges": 3}))["added"]) == 3


@pytest.mark.parametrize(
    "other",
    [
        {"filter": {"hasKeyword": "$seen"}},
        {"filter": {"operator": "NOT", "conditions": [{"inMailbox": "F1"}]}},
        {"sort": [{"property": "size"}]},
        {"sort": [{"property": "receivedAt"}, {"property": "size"}]},
        {"filter": {"text": "lunch"}},
    ],
)
async def test_other_lists_are_asked_for_anew(jmap: Jmap, other: dict[str, Any]) -> None:
    told = await jmap.call("Email/query", other)
    assert told["canCalculateChanges"] is False
    refused = await jmap.refusal("Email/queryChanges", {**other, "sinceQueryState": told["queryState"]})
    assert refused["type"] == "cannotCalculateChanges"


async def test_a_list_of_mailboxes_changes_with_mailboxes_and_not_with_mail(jmap: Jmap, someone: Someone) -> None:
    asked = {"sort": [{"property": "name"}]}
    before = await jmap.call("Mailbox/query", asked)
    await someone.receive()
    told = await jmap.call("Mailbox/queryChanges", {**asked, "sinceQueryState": before["queryState"]})
    assert (told["removed"], told["added"]) == ([], [])
    made = await mailboxes.create(jmap.store, someone.who, "Aardvarks")
    told = await jmap.call("Mailbox/queryChanges", {**asked, "sinceQueryState": told["newQueryState"]})
    kept = [each for each in before["ids"] if each not in told["removed"]]
    for each in told["added"]:
        kept.insert(each["index"], each["id"])
    assert kept == (await jmap.call("Mailbox/query", asked))["ids"]
    assert f"F{made.id}" in kept


async def still_found(jmap: Jmap, asked: dict[str, Any], before: Any) -> list[str]:
    told = await jmap.call("Mailbox/queryChanges", {**asked, "sinceQueryState": before["queryState"]})
    kept = [each for each in before["ids"] if each not in told["removed"]]
    for each in told["added"]:
        kept.insert(each["index"], each["id"])
    return kept


async def test_a_mailbox_below_one_that_is_found_no_more_goes_with_it(jmap: Jmap) -> None:
    above = (await jmap.call("Mailbox/set", {"create": {"a": {"name": "Above"}}}))["created"]["a"]["id"]
    await jmap.call("Mailbox/set", {"create": {"b": {"name": "Below", "parentId": above}}})
    asked = {"filter": {"isSubscribed": True, "hasAnyRole": False}, "filterAsTree": True}
    before = await jmap.call("Mailbox/query", asked)
    assert len(before["ids"]) == 2
    await jmap.call("Mailbox/set", {"update": {above: {"isSubscribed": False}}})
    assert await still_found(jmap, asked, before) == (await jmap.call("Mailbox/query", asked))["ids"] == []


async def test_a_mailbox_that_has_another_parent_since_its_own_was_deleted(jmap: Jmap, someone: Someone) -> None:
    above = (await jmap.call("Mailbox/set", {"create": {"a": {"name": "Above"}}}))["created"]["a"]["id"]
    await jmap.call("Mailbox/set", {"create": {"b": {"name": "Below", "parentId": above}}})
    asked = {"filter": {"operator": "AND", "conditions": [{"parentId": above}]}}
    before = await jmap.call("Mailbox/query", asked)
    assert len(before["ids"]) == 1
    await mailboxes.delete(jmap.store, someone.who, "Above")  # its name stays, for what is below
    assert await still_found(jmap, asked, before) == (await jmap.call("Mailbox/query", asked))["ids"] == []
