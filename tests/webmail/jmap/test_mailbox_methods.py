"""Mailbox/get and Mailbox/query (RFC 8621 §2), and Thread/get (§3.1)."""

from typing import Any

import pytest

from mailserver.services import mailboxes
from storage import mailboxes as stored_mailboxes
from tests.conftest import plain_message
from tests.someone import ADD, SEEN, Someone
from tests.webmail.jmap.client import Jmap


@pytest.fixture
def someone(jmap: Jmap) -> Someone:
    return Someone(jmap.store, jmap.person.principal)


async def boxes(jmap: Jmap) -> dict[str, Any]:
    """By name."""
    told = await jmap.call("Mailbox/get", {"ids": None})
    return {each["name"]: each for each in told["list"]}


async def named(jmap: Jmap, **asked: Any) -> list[str]:
    """The names of what a query finds, in its order."""
    told = await jmap.call("Mailbox/query", {"calculateTotal": True, **asked})
    names = {each["id"]: each["name"] for each in (await jmap.call("Mailbox/get", {"ids": None}))["list"]}
    if not asked.keys() & {"limit", "position", "anchor"}:
        assert told["total"] == len(told["ids"])
    return [names[each] for each in told["ids"]]


async def make(jmap: Jmap, someone: Someone, *names: str) -> None:
    for name in names:
        await mailboxes.create(jmap.store, someone.who, name)


async def test_a_mailbox_has_every_property(jmap: Jmap, someone: Someone) -> None:
    placed = await someone.receive()
    assert (await boxes(jmap))["Inbox"] == {
        "id": f"F{placed.mailbox_id}",
        "name": "Inbox",
        "parentId": None,
        "role": "inbox",
        "sortOrder": 10,
        "totalEmails": 1,
        "unreadEmails": 1,
        "totalThreads": 1,
        "unreadThreads": 1,
        "myRights": {
            "mayReadItems": True,
            "mayAddItems": True,
            "mayRemoveItems": True,
            "maySetSeen": True,
            "maySetKeywords": True,
            "mayCreateChild": True,
            "mayRename": False,
            "mayDelete": False,
            "maySubmit": True,
        },
        "isSubscribed": True,
    }


async def test_roles_are_the_special_uses(jmap: Jmap) -> None:
    roles = {name: each["role"] for name, each in (await boxes(jmap)).items()}
    assert roles == {
        "Inbox": "inbox",
        "Drafts": "drafts",
        "Sent": "sent",
        "Junk": "junk",
        "Trash": "trash",
        "Archive": "archive",
    }


async def test_only_what_is_asked_for_is_answered(jmap: Jmap) -> None:
    inbox = (await boxes(jmap))["Inbox"]["id"]
    told = await jmap.call("Mailbox/get", {"ids": [inbox, "F1", "nonsense", inbox], "properties": ["role"]})
    assert told["list"] == [{"id": inbox, "role": "inbox"}]
    assert told["notFound"] == ["F1", "nonsense"]
    refused = await jmap.refusal("Mailbox/get", {"ids": None, "properties": ["colour"]})
    assert refused["type"] == "invalidArguments"


async def test_levels_of_names_are_parents(jmap: Jmap, someone: Someone) -> None:
    await make(jmap, someone, "Work/2026/Spring", "INBOX/Bills")
    found = await boxes(jmap)
    assert found["Spring"]["parentId"] == found["2026"]["id"]
    assert found["2026"]["parentId"] == found["Work"]["id"]
    assert found["Work"]["parentId"] is None
    assert found["Bills"]["parentId"] == found["Inbox"]["id"]


async def test_below_a_missing_level_a_mailbox_keeps_that_in_its_name(jmap: Jmap, someone: Someone) -> None:
    await make(jmap, someone, "Work")
    async with jmap.store.database.transaction(someone.who.tenant_id) as connection:
        whose = (someone.who.tenant_id, someone.who.account_id)
        modseq = await stored_mailboxes.take_modseq(connection, *whose)
        assert modseq is not None
        await stored_mailboxes.insert(connection, *whose, "Work/2026/Spring", modseq)
        await stored_mailboxes.insert(connection, *whose, "Play/Chess", modseq, seq=1)
    found = await boxes(jmap)
    assert found["2026/Spring"]["parentId"] == found["Work"]["id"]
    assert found["Play/Chess"]["parentId"] is None


async def test_a_name_that_holds_no_mail_cannot_be_given_any(jmap: Jmap, someone: Someone) -> None:
    await make(jmap, someone, "Work/Old")
    await mailboxes.delete(jmap.store, someone.who, "Work")
    rights = (await boxes(jmap))["Work"]["myRights"]
    assert not rights["mayAddItems"]
    assert not rights["mayReadItems"]
    assert rights["mayCreateChild"]
    assert rights["mayDelete"]


async def test_a_person_can_choose_where_a_mailbox_stands(jmap: Jmap) -> None:
    before = await boxes(jmap)
    trash = before["Trash"]["id"]
    state = (await jmap.call("Mailbox/get", {"ids": []}))["state"]
    await jmap.call("Mailbox/set", {"update": {trash: {"sortOrder": 0}}})
    assert (await boxes(jmap))["Trash"]["sortOrder"] == 0
    told = await jmap.call("Mailbox/changes", {"sinceState": state})
    assert (told["updated"], told["updatedProperties"]) == ([trash], None)
    assert (await named(jmap))[0] == "Trash"


async def test_filters_choose_mailboxes(jmap: Jmap, someone: Someone) -> None:
    await make(jmap, someone, "Work/Old", "Play")
    await mailboxes.subscribe(jmap.store, someone.who, "Play")
    work = (await boxes(jmap))["Work"]["id"]
    assert await named(jmap, filter={"parentId": work}) == ["Old"]
    assert "Old" not in await named(jmap, filter={"parentId": None})
    assert await named(jmap, filter={"name": "LA"}) == ["Play"]
    assert await named(jmap, filter={"role": "trash"}) == ["Trash"]
    assert sorted(await named(jmap, filter={"role": None})) == ["Old", "Play", "Work"]
    assert sorted(await named(jmap, filter={"hasAnyRole": False})) == ["Old", "Play", "Work"]
    assert sorted(await named(jmap, filter={"isSubscribed": False})) == ["Old", "Work"]
    assert await named(jmap, filter={"hasAnyRole": False, "isSubscribed": True}) == ["Play"]
    either = {"operator": "OR", "conditions": [{"role": "inbox"}, {"name": "play"}]}
    assert await named(jmap, filter=either) == ["Inbox", "Play"]
    neither = {"operator": "NOT", "conditions": [either, {"hasAnyRole": True}]}
    assert sorted(await named(jmap, filter=neither)) == ["Old", "Work"]
    assert len(await named(jmap, filter={})) == 9


async def test_sorting_as_a_tree_puts_children_behind_their_parents(jmap: Jmap, someone: Someone) -> None:
    await make(jmap, someone, "Work/b", "Work/a", "Another/z", "Work/b/c")
    asked = {"sort": [{"property": "name"}], "filter": {"hasAnyRole": False}}
    assert await named(jmap, **asked) == ["a", "Another", "b", "c", "Work", "z"]
    assert await named(jmap, **asked, sortAsTree=True) == ["Another", "z", "Work", "a", "b", "c"]
    descending = {**asked, "sort": [{"property": "name", "isAscending": False}]}
    assert await named(jmap, **descending, sortAsTree=True) == ["Work", "b", "c", "a", "Another", "z"]


async def test_filtering_as_a_tree_leaves_out_what_stands_below_others(jmap: Jmap, someone: Someone) -> None:
    await make(jmap, someone, "Work/deep/deeper", "deep")
    found = await named(jmap, filter={"name": "deep"}, sort=[{"property": "name"}])
    assert found == ["deep", "deep", "deeper"]
    assert await named(jmap, filter={"name": "deep"}, filterAsTree=True) == ["deep"]


async def test_mailboxes_are_sorted_by_order_and_name_if_nothing_else_is_said(jmap: Jmap, someone: Someone) -> None:
    await make(jmap, someone, "b", "A", "ä")
    assert await named(jmap) == ["Inbox", "Drafts", "Sent", "Archive", "Junk", "Trash", "A", "ä", "b"]
    by_order = [{"property": "sortOrder", "isAscending": False}, {"property": "name", "collation": "i;ascii-casemap"}]
    assert (await named(jmap, sort=by_order))[:3] == ["A", "b", "ä"]


async def test_a_part_of_the_mailboxes_is_answered(jmap: Jmap) -> None:
    ids = (await jmap.call("Mailbox/query", {}))["ids"]
    assert (await jmap.call("Mailbox/query", {"position": -2}))["ids"] == ids[-2:]
    asked = {"anchor": ids[2], "anchorOffset": -1, "limit": 2}
    assert (await jmap.call("Mailbox/query", asked))["ids"] == ids[1:3]
    assert (await jmap.refusal("Mailbox/query", {"anchor": "F1"}))["type"] == "anchorNotFound"


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ({"filter": {"colour": "red"}}, "unsupportedFilter"),
        ({"filter": {"name": 1}}, "invalidArguments"),
        ({"filter": {"hasAnyRole": "yes"}}, "invalidArguments"),
        ({"sort": [{"property": "totalEmails"}]}, "unsupportedSort"),
        ({"sort": [{"property": "name", "collation": "x"}]}, "unsupportedSort"),
        ({"sort": [{"property": "name", "more": 1}]}, "invalidArguments"),
        ({"sortAsTree": None}, "invalidArguments"),
    ],
)
async def test_what_is_not_as_the_rfc_says_is_refused(jmap: Jmap, asked: dict[str, Any], kind: str) -> None:
    assert (await jmap.refusal("Mailbox/query", asked))["type"] == kind


async def test_a_thread_has_its_emails_oldest_first(jmap: Jmap, someone: Someone) -> None:
    first = await someone.receive(plain_message(1))
    second = await someone.receive(plain_message(2, in_reply_to="<1@elsewhere.test>"))
    other = await someone.receive(plain_message(3))
    threads = [f"T{first.message_id}", f"T{other.message_id}"]
    told = await jmap.call("Thread/get", {"ids": [*threads, f"T{second.message_id}", "T1", "x"]})
    assert told["list"] == [
        {"id": threads[0], "emailIds": [f"M{first.message_id}", f"M{second.message_id}"]},
        {"id": threads[1], "emailIds": [f"M{other.message_id}"]},
    ]
    assert told["notFound"] == [f"T{second.message_id}", "T1", "x"]


async def test_neighbours_do_not_see_each_others_mailboxes_or_threads(jmap: Jmap, new_jmap: Any) -> None:
    other = await new_jmap()
    placed = await Someone(other.store, other.person.principal).receive()
    assert (await jmap.call("Mailbox/get", {"ids": [f"F{placed.mailbox_id}"]}))["list"] == []
    assert (await jmap.call("Thread/get", {"ids": [f"T{placed.message_id}"]}))["list"] == []
    assert (await jmap.call("Email/query", {"filter": {"inMailbox": f"F{placed.mailbox_id}"}}))["ids"] == []
    assert (await jmap.refusal("Mailbox/get", {"accountId": other.account_id, "ids": None}))[
        "type"
    ] == "accountNotFound"


async def test_reading_a_message_lowers_the_counts(jmap: Jmap, someone: Someone) -> None:
    placed = await someone.receive()
    assert (await boxes(jmap))["Inbox"]["unreadEmails"] == 1
    await someone.flag("INBOX", [placed.uid], ADD, SEEN)
    inbox = (await boxes(jmap))["Inbox"]
    assert (inbox["totalEmails"], inbox["unreadEmails"], inbox["unreadThreads"]) == (1, 0, 0)
