"""Mailbox/get, /query, /changes, /queryChanges and /set, as a client that knows nothing of this server uses them."""

from typing import Any

from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.conformance.account import Account


async def create(jmap: Jmap, **boxes: Any) -> Any:
    return await jmap.call("Mailbox/set", {"create": boxes})


async def made(jmap: Jmap, name: str, parent: str | None = None) -> str:
    return str((await create(jmap, x={"name": name, "parentId": parent}))["created"]["x"]["id"])


async def gone(jmap: Jmap, *boxes: str) -> None:
    done = await jmap.call("Mailbox/set", {"destroy": list(boxes), "onDestroyRemoveEmails": True})
    assert done["notDestroyed"] is None


async def test_a_count_is_that_of_a_query(account: Account) -> None:
    for name, box in account.boxes.items():
        (shown,) = (await account.jmap.call("Mailbox/get", {"ids": [box]}))["list"]
        told = await account.jmap.call("Email/query", {"filter": {"inMailbox": box}, "calculateTotal": True})
        assert shown["totalEmails"] == told["total"] == len(told["ids"]), name


async def test_children_name_their_parent_and_unknown_ids_are_told(account: Account) -> None:
    asked = {"ids": [account.boxes["A1"], "no-such-mailbox"], "properties": ["parentId"]}
    told = await account.jmap.call("Mailbox/get", asked)
    assert told["list"] == [{"id": account.boxes["A1"], "parentId": account.boxes["A"]}]
    assert told["notFound"] == ["no-such-mailbox"]


async def test_every_filter_finds_what_it_names(account: Account) -> None:
    own = {account.boxes[name] for name in ("A", "B", "A1", "A2")}
    everything = set(account.boxes.values())
    for filter_, expected in (
        ({}, everything),
        (None, everything),
        ({"parentId": None}, everything - {account.boxes["A1"], account.boxes["A2"]}),
        ({"parentId": account.boxes["A"]}, {account.boxes["A1"], account.boxes["A2"]}),
        ({"role": "inbox"}, {account.boxes["inbox"]}),
        ({"hasAnyRole": True}, everything - own),
        ({"hasAnyRole": False}, own),
    ):
        told = await account.jmap.call("Mailbox/query", {"filter": filter_, "calculateTotal": True})
        assert set(told["ids"]) == expected, filter_
        assert (told["total"], told["position"]) == (len(expected), 0)
    assert account.boxes["A"] in (await account.jmap.call("Mailbox/query", {"filter": {"name": "A"}}))["ids"]


async def test_names_sort_as_people_sort_them(jmap: Jmap) -> None:
    asked = {"sort": [{"property": "name", "isAscending": True}]}
    ids = (await jmap.call("Mailbox/query", asked))["ids"]
    shown = (await jmap.call("Mailbox/get", {"ids": ids, "properties": ["name"]}))["list"]
    names = {each["id"]: each["name"].casefold() for each in shown}
    assert [names[each] for each in ids] == sorted(names.values())
    assert (await jmap.call("Mailbox/query", {**asked, "position": 1, "limit": 2}))["ids"] == ids[1:3]


async def test_nothing_changed_since_the_state_of_now(jmap: Jmap) -> None:
    state = (await jmap.call("Mailbox/get", {"ids": []}))["state"]
    told = await jmap.call("Mailbox/changes", {"sinceState": state})
    assert (told["oldState"], told["newState"], told["hasMoreChanges"]) == (state, state, False)
    assert [told[each] for each in ("created", "updated", "destroyed")] == [[], [], []]
    lists: tuple[dict[str, Any], ...] = ({}, {"filter": {}}, {"filter": None}, {"sort": [{"property": "name"}]})
    for asked in lists:
        before = (await jmap.call("Mailbox/query", asked))["queryState"]
        changes = await jmap.call("Mailbox/queryChanges", {**asked, "sinceQueryState": before})
        assert (changes["oldQueryState"], changes["removed"], changes["added"]) == (before, [], [])


async def test_a_mailbox_that_is_made_renamed_moved_and_destroyed_is_told_of(account: Account) -> None:
    jmap = account.jmap
    asked = {"filter": {}, "sort": [{"property": "name"}]}
    query = (await jmap.call("Mailbox/query", asked))["queryState"]
    state = (await jmap.call("Mailbox/get", {"ids": []}))["state"]
    box = await made(jmap, "Before", account.boxes["A"])
    told = await jmap.call("Mailbox/changes", {"sinceState": state})
    assert told["created"] == [box]
    changes = await jmap.call("Mailbox/queryChanges", {**asked, "sinceQueryState": query})
    assert box in [each["id"] for each in changes["added"]]
    patch = {"name": "After", "parentId": account.boxes["B"], "sortOrder": 99}
    await jmap.call("Mailbox/set", {"update": {box: patch}})
    again = await jmap.call("Mailbox/changes", {"sinceState": told["newState"]})
    assert again["updated"] == [box]
    (shown,) = (await jmap.call("Mailbox/get", {"ids": [box], "properties": list(patch)}))["list"]
    assert shown == {"id": box, **patch}
    await gone(jmap, box)
    assert (await jmap.call("Mailbox/changes", {"sinceState": again["newState"]}))["destroyed"] == [box]


async def test_a_name_that_is_taken_is_told_with_whose_it_is(jmap: Jmap) -> None:
    first = await made(jmap, "Taken")
    refused = (await create(jmap, x={"name": "Taken", "parentId": None}))["notCreated"]["x"]
    assert (refused["type"], refused["existingId"]) == ("alreadyExists", first)
    other = await made(jmap, "Free")
    done = await jmap.call("Mailbox/set", {"update": {other: {"name": "Taken"}}})
    assert (done["notUpdated"][other]["type"], done["notUpdated"][other]["existingId"]) == ("alreadyExists", first)
    below = await made(jmap, "Taken", first)
    await gone(jmap, below, first, other)


async def test_of_two_with_one_name_in_one_call_the_second_is_told_of_the_first(jmap: Jmap) -> None:
    done = await create(jmap, x={"name": "Same"}, y={"name": "Same"})
    box = done["created"]["x"]["id"]
    assert done["notCreated"]["y"]["existingId"] == box
    await gone(jmap, box)


async def test_a_mailbox_with_children_stays_whatever_is_said_of_its_emails(account: Account) -> None:
    jmap = account.jmap
    parent = await made(jmap, "Parent")
    child = await made(jmap, "Child", parent)
    account.boxes["parent"] = parent
    email = await account.draft("parent")
    del account.boxes["parent"]
    for removes in (False, True):
        done = await jmap.call("Mailbox/set", {"destroy": [parent], "onDestroyRemoveEmails": removes})
        assert (done["destroyed"], done["notDestroyed"][parent]["type"]) == (None, "mailboxHasChild")
    assert len((await jmap.call("Mailbox/get", {"ids": [parent, child]}))["list"]) == 2
    assert (await jmap.call("Email/get", {"ids": [email], "properties": ["id"]}))["notFound"] == []
    await gone(jmap, child)
    await gone(jmap, parent)
    assert (await jmap.call("Email/get", {"ids": [email], "properties": ["id"]}))["notFound"] == [email]


async def test_what_is_not_there_cannot_be_destroyed(jmap: Jmap) -> None:
    done = await jmap.call("Mailbox/set", {"destroy": ["no-such-mailbox"]})
    assert done["notDestroyed"]["no-such-mailbox"]["type"] == "notFound"
