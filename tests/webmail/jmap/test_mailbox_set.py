"""Mailbox/set (RFC 8621 §2.5)."""

from typing import Any

import pytest

from mailserver.services import mailboxes
from storage import recoverable
from tests.conftest import plain_message
from tests.someone import ADD, DELETED, Someone
from tests.webmail.jmap.client import Jmap


def someone(jmap: Jmap) -> Someone:
    return Someone(jmap.store, jmap.person.principal)


async def box_id(jmap: Jmap, name: str) -> str:
    return f"F{(await someone(jmap).box(name)).id}"


async def create(jmap: Jmap, **boxes: Any) -> Any:
    return await jmap.call("Mailbox/set", {"create": boxes})


async def update(jmap: Jmap, **patches: Any) -> Any:
    return await jmap.call("Mailbox/set", {"update": patches})


async def made(jmap: Jmap, name: str, **more: Any) -> str:
    return str((await create(jmap, a={"name": name, **more}))["created"]["a"]["id"])


async def mailbox(jmap: Jmap, mailbox_id: str) -> Any:
    return (await jmap.call("Mailbox/get", {"ids": [mailbox_id]}))["list"][0]


FIRST = {"INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"}


async def others(jmap: Jmap) -> list[str]:
    return sorted(set(await someone(jmap).names()) - FIRST)


async def test_a_mailbox_is_made_with_the_defaults_told(jmap: Jmap) -> None:
    state = (await jmap.call("Mailbox/get", {"ids": []}))["state"]
    done = await create(jmap, a={"name": "项目"})
    shown = done["created"]["a"]
    assert shown["isSubscribed"] is True
    assert (shown["parentId"], shown["role"], shown["totalEmails"]) == (None, None, 0)
    assert "name" not in shown
    assert (await mailbox(jmap, shown["id"]))["name"] == "项目"
    assert done["oldState"] == state
    assert done["newState"] == (await jmap.call("Mailbox/get", {"ids": []}))["state"] != state
    changes = await jmap.call("Mailbox/changes", {"sinceState": state})
    assert changes["created"] == [shown["id"]]


async def test_children_of_what_is_made_in_the_same_call(jmap: Jmap) -> None:
    done = await create(
        jmap,
        c={"name": "C", "parentId": "#b"},
        b={"name": "B", "parentId": "#a", "isSubscribed": False},
        a={"name": "A", "sortOrder": 7},
    )
    assert done["notCreated"] is None
    assert await others(jmap) == ["A", "A/B", "A/B/C"]
    ids = {name: each["id"] for name, each in done["created"].items()}
    assert (await mailbox(jmap, ids["c"]))["parentId"] == ids["b"]
    assert (await mailbox(jmap, ids["b"]))["isSubscribed"] is False
    assert (await mailbox(jmap, ids["a"]))["sortOrder"] == 7


async def test_a_mailbox_made_in_an_earlier_call_of_the_request(jmap: Jmap) -> None:
    (_, first, _), (_, second, _) = await jmap.calls(
        ["Mailbox/set", {"create": {"a": {"name": "A"}}}],
        ["Mailbox/set", {"create": {"b": {"name": "B", "parentId": "#a"}}, "update": {"#a": {"name": "Z"}}}],
    )
    assert second["updated"] == {first["created"]["a"]["id"]: None}
    assert await others(jmap) == ["Z", "Z/B"]


@pytest.mark.parametrize(
    ("given", "properties"),
    [
        ({}, ["name"]),
        ({"name": ""}, ["name"]),
        ({"name": "a/b"}, ["name"]),
        ({"name": "a\n"}, ["name"]),
        ({"name": 5}, ["name"]),
        ({"name": "inbox"}, ["name"]),
        ({"name": "x" * 1001}, ["name"]),
        ({"name": "x", "parentId": "F999999"}, ["parentId"]),
        ({"name": "x", "parentId": "#nobody"}, ["parentId"]),
        ({"name": "x", "parentId": 5}, ["parentId"]),
        ({"name": "x", "parentId": "#a"}, ["parentId"]),  # itself
        ({"name": "x", "role": "inbox"}, ["role"]),
        ({"name": "x", "role": "trash"}, ["role"]),
        ({"name": "x", "role": "Trash"}, ["role"]),
        ({"name": "x", "sortOrder": -1}, ["sortOrder"]),
        ({"name": "x", "sortOrder": 2**31}, ["sortOrder"]),
        ({"name": "x", "sortOrder": True}, ["sortOrder"]),
        ({"name": "x", "isSubscribed": 1}, ["isSubscribed"]),
        ({"name": "x", "id": "F5", "totalEmails": 0}, ["id", "totalEmails"]),
        ({"name": "x", "nonsense": 1}, ["nonsense"]),
        ({"name": 5, "role": 5}, ["name", "role"]),
    ],
    ids=str,
)
async def test_what_cannot_be_made(jmap: Jmap, given: Any, properties: list[str]) -> None:
    state = (await jmap.call("Mailbox/get", {"ids": []}))["state"]
    done = await create(jmap, a=given)
    assert done["created"] is None
    assert done["notCreated"]["a"]["type"] == "invalidProperties"
    assert done["notCreated"]["a"]["properties"] == properties
    assert done["oldState"] == done["newState"] == state


async def test_a_mailbox_is_renamed_and_moved_with_all_below_it(jmap: Jmap) -> None:
    a = await made(jmap, "A")
    b = await made(jmap, "B", parentId=a)
    c = await made(jmap, "C", parentId=b)
    top = await made(jmap, "Top")
    placed = await someone(jmap).append("A/B/C", plain_message(1))
    done = await update(jmap, **{b: {"name": "Б", "parentId": top}})
    assert done["updated"] == {b: None}
    assert await others(jmap) == ["A", "Top", "Top/Б", "Top/Б/C"]
    assert (await mailbox(jmap, c))["totalEmails"] == 1
    assert [row.message_id for row in await someone(jmap).rows("Top/Б/C")] == [placed.message_id]
    assert (await mailbox(jmap, b))["isSubscribed"] is True
    await update(jmap, **{b: {"parentId": None}})
    assert await others(jmap) == ["A", "Top", "Б", "Б/C"]


async def test_two_mailboxes_exchange_names_and_roles(jmap: Jmap) -> None:
    a, b = await made(jmap, "A"), await made(jmap, "B")
    await made(jmap, "below", parentId=a)
    done = await update(jmap, **{a: {"name": "B"}, b: {"name": "A"}})
    assert done["notUpdated"] is None
    assert await others(jmap) == ["A", "B", "B/below"]
    assert (await mailbox(jmap, a))["name"] == "B"
    trash = await box_id(jmap, "Trash")
    done = await update(jmap, **{a: {"role": "trash"}, trash: {"role": None}})
    assert done["notUpdated"] is None
    assert set(done["updated"]) == {a, trash}
    assert done["updated"][a] == {"sortOrder": 60}
    assert (await mailbox(jmap, a))["role"] == "trash"
    assert (await mailbox(jmap, trash))["role"] is None


async def test_a_name_that_is_given_up_can_be_taken_in_the_same_call(jmap: Jmap) -> None:
    old = await made(jmap, "Now")
    done = await jmap.call("Mailbox/set", {"create": {"n": {"name": "Now"}}, "update": {old: {"name": "Then"}}})
    assert done["notCreated"] is None
    assert await others(jmap) == ["Now", "Then"]


async def test_updates_that_are_refused(jmap: Jmap) -> None:
    a = await made(jmap, "A")
    b = await made(jmap, "B", parentId=a)
    inbox = await box_id(jmap, "INBOX")
    for target, patch, kind, properties in (
        (a, {"parentId": a}, "invalidProperties", ["parentId"]),
        (a, {"parentId": b}, "invalidProperties", ["parentId"]),
        (a, {"name": "Trash"}, "alreadyExists", ["name"]),
        (a, {"name": None}, "invalidProperties", ["name"]),
        (a, {"role": "sent", "isSubscribed": False}, "invalidProperties", ["role"]),
        (a, {"totalEmails": 5}, "invalidProperties", ["totalEmails"]),
        (a, {"myRights/mayDelete": False}, "invalidProperties", ["myRights"]),
        (a, {"name/0": "x"}, "invalidPatch", None),
        (inbox, {"name": "Eingang"}, "forbidden", None),
        (inbox, {"parentId": a}, "forbidden", None),
        (inbox, {"role": None}, "forbidden", None),
        ("F999999", {"name": "x"}, "notFound", None),
        ("nonsense", {"name": "x"}, "notFound", None),
    ):
        before = await jmap.call("Mailbox/get", {"ids": None})
        done = await update(jmap, **{target: patch})
        assert (done["notUpdated"][target]["type"], done["notUpdated"][target].get("properties")) == (kind, properties)
        assert await jmap.call("Mailbox/get", {"ids": None}) == before


async def test_a_whole_mailbox_may_be_sent_back(jmap: Jmap) -> None:
    for box in (await made(jmap, "A"), await box_id(jmap, "INBOX"), await box_id(jmap, "Trash")):
        whole = await mailbox(jmap, box)
        done = await update(jmap, **{box: {**whole, "isSubscribed": not whole["isSubscribed"], "sortOrder": 3}})
        assert done["updated"] == {box: None}
        after = await mailbox(jmap, box)
        assert after == {**whole, "isSubscribed": not whole["isSubscribed"], "sortOrder": 3}


async def test_subscriptions_are_those_of_imap(jmap: Jmap) -> None:
    a = await made(jmap, "A", isSubscribed=False)
    who = jmap.person.principal
    await mailboxes.subscribe(jmap.store, who, "A")
    assert (await mailbox(jmap, a))["isSubscribed"] is True
    await update(jmap, **{a: {"isSubscribed": False}})
    assert [box.is_subscribed for box in await mailboxes.list_mailboxes(jmap.store, who) if box.name == "A"] == [False]


async def test_a_mailbox_with_mail_goes_only_where_that_is_wanted(jmap: Jmap) -> None:
    a = await made(jmap, "A")
    ada = someone(jmap)
    alone = await ada.append("A", plain_message(1))
    both = await ada.receive(plain_message(2))
    await ada.copy("INBOX", [both.uid], "A")
    refused = await jmap.call("Mailbox/set", {"destroy": [a]})
    assert refused["notDestroyed"] == {a: {"type": "mailboxHasEmail"}}
    done = await jmap.call("Mailbox/set", {"destroy": [a], "onDestroyRemoveEmails": True})
    assert done["destroyed"] == [a]
    assert done["newState"] == (await jmap.call("Mailbox/get", {"ids": []}))["state"]
    assert await others(jmap) == []
    ids = [f"M{alone.message_id}", f"M{both.message_id}"]
    found = await jmap.call("Email/get", {"ids": ids, "properties": ["mailboxIds"]})
    assert found["notFound"] == [ids[0]]
    assert found["list"][0]["mailboxIds"] == {await box_id(jmap, "INBOX"): True}
    who = jmap.person.principal
    async with jmap.store.database.transaction(who.tenant_id) as connection:
        binned = await recoverable.oldest(connection, who.tenant_id, who.account_id, limit=10)
    assert [message for message, _ in binned] == [alone.message_id]


async def test_messages_that_are_marked_deleted_keep_no_mailbox(jmap: Jmap) -> None:
    a = await made(jmap, "A")
    placed = await someone(jmap).append("A", plain_message(1))
    await someone(jmap).flag("A", [placed.uid], ADD, DELETED)
    assert (await jmap.call("Mailbox/set", {"destroy": [a]}))["destroyed"] == [a]


async def test_a_parent_goes_with_or_after_its_children(jmap: Jmap) -> None:
    a = await made(jmap, "A")
    b = await made(jmap, "B", parentId=a)
    refused = await jmap.call("Mailbox/set", {"destroy": [a]})
    assert refused["notDestroyed"] == {a: {"type": "mailboxHasChild"}}
    assert set((await jmap.call("Mailbox/set", {"destroy": [a, b]}))["destroyed"]) == {a, b}
    again = await jmap.call("Mailbox/set", {"destroy": [a, "F5", "x"]})
    assert {name: error["type"] for name, error in again["notDestroyed"].items()} == dict.fromkeys(
        (a, "F5", "x"), "notFound"
    )


async def test_inbox_stays(jmap: Jmap) -> None:
    inbox = await box_id(jmap, "INBOX")
    done = await jmap.call("Mailbox/set", {"destroy": [inbox], "onDestroyRemoveEmails": True})
    assert done["notDestroyed"][inbox]["type"] == "forbidden"


async def test_the_example_of_the_rfc(jmap: Jmap) -> None:
    important = await made(jmap, "Important mail")
    inbox = await box_id(jmap, "INBOX")
    state = (await jmap.call("Mailbox/get", {"ids": []}))["state"]
    asked = {"ifInState": state, "update": {important: {"name": "Maybe important mail"}}, "destroy": [inbox]}
    done = await jmap.call("Mailbox/set", asked)
    assert done["updated"] == {important: None}
    assert done["notDestroyed"][inbox]["type"] == "forbidden"
    assert done["oldState"] == state != done["newState"]
    assert (await jmap.refusal("Mailbox/set", asked))["type"] == "stateMismatch"


async def test_mailboxes_of_others_are_not_there(jmap: Jmap, new_jmap: Any) -> None:
    other: Jmap = await new_jmap()
    theirs = await made(other, "Theirs")
    done = await jmap.call("Mailbox/set", {"update": {theirs: {"name": "x"}}, "destroy": [theirs]})
    assert done["notDestroyed"] == {theirs: {"type": "notFound"}}
    made_below = await create(jmap, a={"name": "x", "parentId": theirs})
    assert made_below["notCreated"]["a"]["properties"] == ["parentId"]
    assert await others(other) == ["Theirs"]


async def test_names_are_composed_and_that_is_told(jmap: Jmap) -> None:
    done = await create(jmap, a={"name": "Cafe\u0301"})
    assert done["created"]["a"]["name"] == "Café"
    renamed = await update(jmap, **{done["created"]["a"]["id"]: {"name": "The\u0301"}})
    assert renamed["updated"] == {done["created"]["a"]["id"]: {"name": "Thé"}}
