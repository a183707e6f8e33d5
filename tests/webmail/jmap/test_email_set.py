"""Email/set, Email/copy and Email/import (RFC 8621 §4.6 to §4.8, §4.10)."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from mailserver.assembly import Parts
from storage import recoverable
from storage.types import Modseq
from tenants.types import AccountId, TenantId
from tests.conftest import RunningServices, plain_message
from tests.someone import ADD, DELETED, FLAGGED, SEEN, Someone
from tests.webmail.jmap.client import Jmap
from webmail.jmap.http.application import open_door

TEXT = {"t": {"value": "Hello"}}
BODY = {"textBody": [{"partId": "t", "type": "text/plain"}], "bodyValues": TEXT}


def someone(jmap: Jmap) -> Someone:
    return Someone(jmap.store, jmap.person.principal)


async def box_id(jmap: Jmap, name: str) -> str:
    return f"F{(await someone(jmap).box(name)).id}"


async def email(jmap: Jmap, email_id: str, *properties: str, **more: Any) -> Any:
    found = await jmap.call("Email/get", {"ids": [email_id], "properties": list(properties), **more})
    return found["list"][0]


async def change(jmap: Jmap, email_id: str, patch: Any) -> Any:
    return await jmap.call("Email/set", {"update": {email_id: patch}})


async def binned(jmap: Jmap) -> list[str]:
    who = jmap.person.principal
    async with jmap.store.database.transaction(who.tenant_id) as connection:
        found = await recoverable.oldest(connection, who.tenant_id, who.account_id, limit=100)
    return [f"M{message_id}" for message_id, _ in found]


async def test_the_drafts_of_the_rfc(jmap: Jmap) -> None:
    drafts = await box_id(jmap, "Drafts")
    draft = {
        "mailboxIds": {drafts: True},
        "keywords": {"$seen": True, "$draft": True},
        "from": [{"name": "Joe Bloggs", "email": "joe@example.com"}],
        "subject": "World domination",
        "receivedAt": "2018-07-10T01:03:11Z",
        "sentAt": "2018-07-10T11:03:11+10:00",
        "bodyStructure": {"type": "text/plain", "partId": "bd48", "header:Content-Language": "en"},
        "bodyValues": {"bd48": {"value": "I have the most brilliant plan.", "isTruncated": False}},
    }
    state = (await jmap.call("Email/get", {"ids": []}))["state"]
    first = await jmap.call("Email/set", {"create": {"k192": draft}})
    made = first["created"]["k192"]
    assert made.keys() == {"id", "blobId", "threadId", "size"}
    assert first["oldState"] == state
    assert first["newState"] == (await jmap.call("Email/get", {"ids": []}))["state"] != state
    assert [first[name] for name in ("updated", "destroyed", "notCreated", "notUpdated", "notDestroyed")] == [None] * 5
    asked = ("mailboxIds", "keywords", "from", "subject", "receivedAt", "sentAt", "bodyValues", "size")
    shown = await email(jmap, made["id"], *asked, fetchAllBodyValues=True)
    assert shown == {
        **{name: draft[name] for name in asked if name in draft},
        "id": made["id"],
        "size": made["size"],
        "bodyValues": {
            "1": {"value": "I have the most brilliant plan.", "isTruncated": False, "isEncodingProblem": False}
        },
    }
    second = await jmap.call(
        "Email/set",
        {
            "create": {
                "k1546": {
                    **draft,
                    "to": [{"name": "John", "email": "john@example.com"}],
                    "bodyStructure": {
                        "type": "multipart/alternative",
                        "subParts": [{"partId": "a49d", "type": "text/html"}, {"partId": "bd48", "type": "text/plain"}],
                    },
                    "bodyValues": {"bd48": {"value": "plan"}, "a49d": {"value": "<b>plan</b>"}},
                }
            },
            "destroy": [made["id"]],
        },
    )
    assert second["destroyed"] == [made["id"]]
    assert second["oldState"] == first["newState"]
    assert await someone(jmap).uids("Drafts") == [2]
    assert await binned(jmap) == []  # the older version is not kept


async def test_an_email_is_marked_unread_as_in_the_rfc(jmap: Jmap) -> None:
    placed = await jmap.receive()
    ada = someone(jmap)
    await ada.flag("INBOX", [placed.uid], ADD, SEEN, FLAGGED)
    done = await change(jmap, f"M{placed.message_id}", {"keywords/$seen": None})
    assert done["updated"] == {f"M{placed.message_id}": None}
    assert (await email(jmap, f"M{placed.message_id}", "keywords"))["keywords"] == {"$flagged": True}
    assert done["notUpdated"] is None


@pytest.mark.parametrize(
    ("patch", "keywords"),
    [
        ({"keywords": {"$Seen": True, "Work": True}}, {"$seen": True, "work": True}),
        ({"keywords": {}}, {}),
        ({"keywords": None}, {}),
        ({"keywords/$answered": True, "keywords/Home": True}, {"$flagged": True, "home": True, "$answered": True}),
        ({"keywords/HOME": None}, {"$flagged": True}),
        ({"keywords/a~1b": True}, {"$flagged": True, "home": True, "a/b": True}),
        ({"keywords/nobody has this": None}, {"$flagged": True, "home": True}),
        ({}, {"$flagged": True, "home": True}),
    ],
    ids=str,
)
async def test_keywords_are_replaced_or_patched(jmap: Jmap, patch: Any, keywords: Any) -> None:
    placed = await jmap.receive()
    await someone(jmap).flag("INBOX", [placed.uid], ADD, FLAGGED, "Home")
    done = await change(jmap, f"M{placed.message_id}", patch)
    has_capitals = any(word in str(patch) for word in ("Work", "Home", "HOME"))
    assert done["updated"] == {f"M{placed.message_id}": {"keywords": keywords} if has_capitals else None}
    assert (await email(jmap, f"M{placed.message_id}", "keywords"))["keywords"] == keywords


async def test_an_email_moves_and_stands_in_several_mailboxes(jmap: Jmap) -> None:
    placed = await jmap.receive()
    message, inbox, archive, trash = (
        f"M{placed.message_id}",
        await box_id(jmap, "INBOX"),
        await box_id(jmap, "Archive"),
        await box_id(jmap, "Trash"),
    )
    await change(jmap, message, {f"mailboxIds/{archive}": True, "keywords/$seen": True})
    assert (await email(jmap, message, "mailboxIds"))["mailboxIds"] == {inbox: True, archive: True}
    await change(jmap, message, {f"mailboxIds/{inbox}": None})
    assert (await email(jmap, message, "mailboxIds"))["mailboxIds"] == {archive: True}
    await change(jmap, message, {"mailboxIds": {trash: True}})
    assert await email(jmap, message, "mailboxIds", "keywords") == {
        "id": message,
        "mailboxIds": {trash: True},
        "keywords": {"$seen": True},
    }


@pytest.mark.parametrize(
    ("patch", "kind", "properties"),
    [
        ({"keywords/$seen": False}, "invalidProperties", ["keywords/$seen"]),
        ({"keywords": {"$seen": False}}, "invalidProperties", ["keywords"]),
        ({"keywords": ["$seen"]}, "invalidProperties", ["keywords"]),
        ({"keywords/with space": True}, "invalidProperties", ["keywords"]),
        ({"keywords": {"(": True}}, "invalidProperties", ["keywords"]),
        ({"keywords": {"ü": True}}, "invalidProperties", ["keywords"]),
        ({"keywords": {"k" * 256: True}}, "invalidProperties", ["keywords"]),
        ({"keywords": {}, "keywords/$seen": True}, "invalidPatch", None),
        ({"keywords/$seen/x": True}, "invalidPatch", None),
        ({"keywords/a~2": True}, "invalidPatch", None),
        ({"from/0": None}, "invalidPatch", None),
        ({"mailboxIds": {}}, "invalidProperties", ["mailboxIds"]),
        ({"mailboxIds": None}, "invalidProperties", ["mailboxIds"]),
        ({"mailboxIds": {"F99999": True}}, "invalidProperties", ["mailboxIds"]),
        ({"mailboxIds/#nobody": True}, "invalidProperties", ["mailboxIds"]),
        ({"mailboxIds/nonsense": True}, "invalidProperties", ["mailboxIds"]),
        ({"subject": "another"}, "invalidProperties", ["subject"]),
        ({"id": "M5"}, "invalidProperties", ["id"]),
        ({"nonsense": 1}, "invalidProperties", ["nonsense"]),
        ({"header:From:asDate": None}, "invalidProperties", ["header:From:asDate"]),
    ],
    ids=str,
)
async def test_updates_that_are_refused_change_nothing(
    jmap: Jmap, patch: Any, kind: str, properties: list[str] | None
) -> None:
    message = f"M{(await jmap.receive()).message_id}"
    state = (await jmap.call("Email/get", {"ids": []}))["state"]
    done = await change(jmap, message, {**patch, **({} if "keywords" in str(patch) else {"keywords/$flagged": True})})
    assert done["updated"] is None
    assert done["notUpdated"][message]["type"] == kind
    assert done["notUpdated"][message].get("properties") == properties
    assert (await email(jmap, message, "keywords"))["keywords"] == {}
    assert done["oldState"] == done["newState"] == state


async def test_a_whole_email_may_be_sent_back(jmap: Jmap) -> None:
    message = f"M{(await jmap.receive()).message_id}"
    whole = (await jmap.call("Email/get", {"ids": [message], "fetchAllBodyValues": True}))["list"][0]
    done = await change(jmap, message, {**whole, "keywords": {"$seen": True}})
    assert done["updated"] == {message: None}
    assert (await email(jmap, message, "keywords"))["keywords"] == {"$seen": True}


async def test_one_that_is_removed_from_its_last_mailbox_is_refused(jmap: Jmap) -> None:
    message, inbox = f"M{(await jmap.receive()).message_id}", await box_id(jmap, "INBOX")
    done = await change(jmap, message, {f"mailboxIds/{inbox}": None})
    assert done["notUpdated"][message]["properties"] == ["mailboxIds"]


async def test_too_many_keywords(jmap: Jmap) -> None:
    message = f"M{(await jmap.receive()).message_id}"
    many = {f"k{number}": True for number in range(101)}
    assert (await change(jmap, message, {"keywords": many}))["notUpdated"][message]["type"] == "tooManyKeywords"
    creation = {"mailboxIds": {await box_id(jmap, "Drafts"): True}, "keywords": many, **BODY}
    made = await jmap.call("Email/set", {"create": {"a": creation}})
    assert made["notCreated"]["a"]["type"] == "tooManyKeywords"


async def test_ids_of_others_are_not_found(jmap: Jmap, new_jmap: Any) -> None:
    other: Jmap = await new_jmap()
    theirs = f"M{(await other.receive()).message_id}"
    done = await jmap.call("Email/set", {"update": {theirs: {"keywords": {}}, "M5": {}, "x": {}}, "destroy": ["M6"]})
    assert {name: error["type"] for name, error in done["notUpdated"].items()} == dict.fromkeys(
        (theirs, "M5", "x"), "notFound"
    )
    assert done["notDestroyed"] == {"M6": {"type": "notFound"}}
    taken = {"mailboxIds": {await box_id(other, "INBOX"): True}, **BODY}
    made = await jmap.call("Email/set", {"create": {"a": taken}})
    assert made["notCreated"]["a"]["properties"] == ["mailboxIds"]


async def test_destroying_removes_from_every_mailbox_into_the_bin(jmap: Jmap) -> None:
    placed = await jmap.receive()
    message = f"M{placed.message_id}"
    ada = someone(jmap)
    await ada.copy("INBOX", [placed.uid], "Archive")
    done = await jmap.call("Email/set", {"destroy": [message], "update": {message: {"keywords": {}}}})
    assert done["destroyed"] == [message]
    assert done["notUpdated"] == {message: {"type": "willDestroy"}}
    assert await ada.uids("INBOX") == await ada.uids("Archive") == []
    assert await binned(jmap) == [message]
    again = await jmap.call("Email/set", {"destroy": [message]})
    assert again["notDestroyed"] == {message: {"type": "notFound"}}
    assert again["oldState"] == again["newState"] == done["newState"]


async def test_a_message_marked_deleted_is_not_there(jmap: Jmap) -> None:
    placed = await jmap.receive()
    await someone(jmap).flag("INBOX", [placed.uid], ADD, DELETED)
    message = f"M{placed.message_id}"
    done = await jmap.call("Email/set", {"update": {message: {"keywords": {}}}})
    assert done["notUpdated"][message]["type"] == "notFound"


async def test_an_old_state_is_a_mismatch(jmap: Jmap) -> None:
    state = (await jmap.call("Email/get", {"ids": []}))["state"]
    message = f"M{(await jmap.receive()).message_id}"
    patch = {"update": {message: {"keywords/$seen": True}}}
    assert (await jmap.refusal("Email/set", {"ifInState": state, **patch}))["type"] == "stateMismatch"
    now = (await jmap.call("Email/get", {"ids": []}))["state"]
    assert (await jmap.call("Email/set", {"ifInState": now, **patch}))["updated"] == {message: None}


async def test_a_mismatch_after_something_was_made_says_that_a_part_was_done(
    jmap: Jmap, parts: Parts, services: RunningServices
) -> None:
    gone, other = await jmap.receive(), await jmap.receive(plain_message(2))
    drafts = await box_id(jmap, "Drafts")
    state = (await jmap.call("Email/get", {"ids": []}))["state"]
    told: list[Modseq] = []

    def remove_other(tenant_id: TenantId, account_id: AccountId, modseq: Modseq) -> None:
        """As somebody else does who hears of what was made."""
        told.append(modseq)
        if len(told) == 1:
            with psycopg.connect(services.app_url) as connection:
                connection.execute("SELECT set_config('waypost.tenant', %s, false)", (str(tenant_id),))
                removed = (tenant_id, account_id, other.mailbox_id, other.uid)
                connection.execute("SELECT remove_v2(%s, %s, %s, %s, true, false)", removed)

    meddled = replace(parts, store=replace(parts.store, announce=remove_other))
    asked = {"create": {"a": {"mailboxIds": {drafts: True}, **BODY}}, "destroy": [f"M{gone.message_id}"]}
    refusal = await replace(jmap, application=open_door(meddled)).refusal("Email/set", {"ifInState": state, **asked})
    assert refusal["type"] == "serverPartialFail"
    assert len(told) == 1
    assert len(await someone(jmap).uids("Drafts")) == 1
    assert await someone(jmap).uids("INBOX") == [gone.uid]


async def test_what_is_made_can_be_changed_in_the_same_call(jmap: Jmap) -> None:
    creation = {"mailboxIds": {await box_id(jmap, "Drafts"): True}, **BODY}
    done = await jmap.call("Email/set", {"create": {"a": creation}, "update": {"#a": {"keywords/$draft": True}}})
    message = done["created"]["a"]["id"]
    assert done["updated"] == {message: None}
    assert (await email(jmap, message, "keywords"))["keywords"] == {"$draft": True}
    nobody = await jmap.call("Email/set", {"update": {"#nobody": {}}})
    assert nobody["notUpdated"] == {"#nobody": {"type": "notFound"}}


async def test_an_email_is_made_of_uploads_and_parts_of_others(jmap: Jmap) -> None:
    upload = await jmap.upload(bytes(range(256)) * 1000, "application/pdf")
    other = f"BM{(await jmap.receive(plain_message(1))).message_id}"
    creation = {
        "mailboxIds": {await box_id(jmap, "Drafts"): True, await box_id(jmap, "INBOX"): True},
        "subject": "季度报告",
        **BODY,
        "attachments": [
            {"blobId": upload, "type": "application/pdf", "name": "报告.pdf"},
            {"blobId": other, "type": "message/rfc822"},
            {"blobId": f"{other}-1", "type": "text/plain", "name": "quoted.txt"},
        ],
    }
    done = await jmap.call("Email/set", {"create": {"a": creation}})
    message = done["created"]["a"]["id"]
    shown = await email(jmap, message, "attachments", "subject", "hasAttachment", "mailboxIds", "preview")
    assert shown["subject"] == "季度报告"
    assert shown["preview"] == "Hello"
    assert shown["hasAttachment"]
    assert len(shown["mailboxIds"]) == 2
    assert [(each["name"], each["size"]) for each in shown["attachments"]] == [
        ("报告.pdf", 256_000),
        (None, len(plain_message(1))),
        ("quoted.txt", 16),
    ]
    (found,) = (await jmap.call("Blob/get", {"ids": [shown["attachments"][2]["blobId"]]}))["list"]
    assert found["data:asText"] == "Lunch at noon?\r\n"


async def test_blobs_that_are_not_there_are_named(jmap: Jmap) -> None:
    drafts = await box_id(jmap, "Drafts")
    creation = {"mailboxIds": {drafts: True}, "attachments": [{"blobId": "BU5"}, {"blobId": "BM5-1"}, {"blobId": "x"}]}
    error = (await jmap.call("Email/set", {"create": {"a": creation}}))["notCreated"]["a"]
    assert (error["type"], error["notFound"]) == ("blobNotFound", ["BU5", "BM5-1", "x"])


async def test_everything_that_is_wrong_is_named(jmap: Jmap) -> None:
    creation = {"mailboxIds": {}, "subject": 5, "size": 7}
    error = (await jmap.call("Email/set", {"create": {"a": creation}}))["notCreated"]["a"]
    assert error["type"] == "invalidProperties"
    assert error["properties"] == ["mailboxIds", "size", "subject"]
    creation = {"mailboxIds": {await box_id(jmap, "Drafts"): True}, "receivedAt": "2018-07-10T01:03:11+01:00"}
    error = (await jmap.call("Email/set", {"create": {"a": creation}}))["notCreated"]["a"]
    assert error["properties"] == ["receivedAt"]


async def test_what_a_thread_is_and_what_a_message_of_nothing_is(jmap: Jmap) -> None:
    placed = await jmap.receive(plain_message(1))
    creation = {"mailboxIds": {await box_id(jmap, "Drafts"): True}, "inReplyTo": ["1@elsewhere.test"], **BODY}
    done = await jmap.call("Email/set", {"create": {"a": creation}})
    assert done["created"]["a"]["threadId"] == f"T{placed.message_id}"
    shown = await email(jmap, done["created"]["a"]["id"], "messageId", "sentAt", "receivedAt", "keywords")
    assert len(shown["messageId"]) == 1
    assert shown["messageId"][0].endswith(f"@{jmap.person.principal.address.domain}")
    assert shown["sentAt"] and shown["receivedAt"]
    assert shown["keywords"] == {}


async def test_copies_are_between_accounts(jmap: Jmap) -> None:
    create = {"create": {"k": {"id": "M1", "mailboxIds": {"F1": True}}}}
    same = await jmap.refusal("Email/copy", {"fromAccountId": jmap.account_id, **create})
    assert same["type"] == "invalidArguments"
    assert (await jmap.refusal("Email/copy", {"fromAccountId": "A999", **create}))["type"] == "fromAccountNotFound"
    assert (await jmap.refusal("Email/copy", create))["type"] == "invalidArguments"
    other = {"accountId": "A999", "fromAccountId": jmap.account_id, **create}
    assert (await jmap.refusal("Email/copy", other))["type"] == "accountNotFound"


async def test_a_blob_is_imported(jmap: Jmap) -> None:
    received = b"Received: from a by b; Mon, 02 Nov 2026 11:00:00 +0100\r\nReceived: from c; Sun, 01 Nov 2026\r\n"
    octets = received + plain_message(1)
    blob = await jmap.upload(octets, "message/rfc822")
    inbox, archive = await box_id(jmap, "INBOX"), await box_id(jmap, "Archive")
    boxes = {inbox: True, archive: True}
    emails = {
        "a": {"blobId": blob, "mailboxIds": boxes, "keywords": {"$seen": True}},
        "b": {"blobId": blob, "mailboxIds": {inbox: True}, "receivedAt": "2020-01-02T03:04:05Z"},
    }
    done = await jmap.call("Email/import", {"emails": emails})
    assert done["notCreated"] is None
    first, second = done["created"]["a"], done["created"]["b"]
    assert first["id"] != second["id"]
    assert first["threadId"] == second["threadId"]
    assert first["size"] == len(octets)
    asked = ("mailboxIds", "keywords", "receivedAt")
    assert await email(jmap, first["id"], *asked) == {
        "id": first["id"], "mailboxIds": boxes, "keywords": {"$seen": True}, "receivedAt": "2026-11-02T10:00:00Z",
    }  # fmt: skip
    assert (await email(jmap, second["id"], *asked))["receivedAt"] == "2020-01-02T03:04:05Z"
    assert sorted(await someone(jmap).octets("INBOX")) == [octets, octets]
    assert done["oldState"] != done["newState"] == (await jmap.call("Email/get", {"ids": []}))["state"]


async def test_imports_that_are_refused(jmap: Jmap) -> None:
    inbox = {await box_id(jmap, "INBOX"): True}
    message = await jmap.upload(plain_message(1))
    picture = await jmap.upload(b"\x89PNG\r\n\x1a\n\0\0")
    done = await jmap.call(
        "Email/import",
        {
            "emails": {
                "noBlob": {"blobId": "BU5", "mailboxIds": inbox},
                "missing": {"mailboxIds": inbox},
                "noBox": {"blobId": message, "mailboxIds": {"F5": True}},
                "noBoxes": {"blobId": message, "mailboxIds": {}},
                "keywords": {"blobId": message, "mailboxIds": inbox, "keywords": {"a b": True}},
                "unknown": {"blobId": message, "mailboxIds": inbox, "subject": "x"},
                "picture": {"blobId": picture, "mailboxIds": inbox},
                "good": {"blobId": message, "mailboxIds": inbox},
            }
        },
    )
    assert list(done["created"]) == ["good"]
    assert {name: (error["type"], error.get("properties")) for name, error in done["notCreated"].items()} == {
        "noBlob": ("invalidProperties", ["blobId"]),
        "missing": ("invalidProperties", ["blobId"]),
        "noBox": ("invalidProperties", ["mailboxIds"]),
        "noBoxes": ("invalidProperties", ["mailboxIds"]),
        "keywords": ("invalidProperties", ["keywords"]),
        "unknown": ("invalidProperties", ["subject"]),
        "picture": ("invalidEmail", None),
    }
    stale = {"ifInState": "1-1", "emails": {}}
    assert (await jmap.refusal("Email/import", stale))["type"] == "stateMismatch"


async def test_a_file_with_bare_line_feeds_is_imported_with_crlf(jmap: Jmap) -> None:
    unix = b"From ada Mon Nov  2 10:00:00 2026\n" + plain_message(1).replace(b"\r\n", b"\n")
    blob = await jmap.upload(unix)
    done = await jmap.call(
        "Email/import", {"emails": {"a": {"blobId": blob, "mailboxIds": {await box_id(jmap, "INBOX"): True}}}}
    )
    assert done["created"]["a"]["size"] == len(plain_message(1))
    assert await someone(jmap).octets() == [plain_message(1)]


async def test_changes_tell_what_a_set_did(jmap: Jmap) -> None:
    placed, other = await jmap.receive(), await jmap.receive(plain_message(2))
    state = (await jmap.call("Email/get", {"ids": []}))["state"]
    done = await jmap.call(
        "Email/set",
        {
            "create": {"a": {"mailboxIds": {await box_id(jmap, "Drafts"): True}, **BODY}},
            "update": {f"M{placed.message_id}": {"keywords/$seen": True}},
            "destroy": [f"M{other.message_id}"],
        },
    )
    assert done["oldState"] == state
    after = await jmap.call("Email/set", {"create": {}})
    assert after["oldState"] == after["newState"] == done["newState"]
    assert [after[name] for name in ("created", "updated", "destroyed")] == [None] * 3


async def test_too_many_objects(jmap: Jmap) -> None:
    many = {f"M{number}": {} for number in range(1, 502)}
    assert (await jmap.refusal("Email/set", {"update": many}))["type"] == "requestTooLarge"


async def test_an_email_is_in_so_many_mailboxes_at_most(jmap: Jmap) -> None:
    message = f"M{(await jmap.receive()).message_id}"
    made = await jmap.call("Mailbox/set", {"create": {f"k{number}": {"name": f"b{number}"} for number in range(200)}})
    boxes = {each["id"]: True for each in made["created"].values()}
    assert (await change(jmap, message, {"mailboxIds": boxes}))["updated"] == {message: None}
    one_more = {**boxes, await box_id(jmap, "Drafts"): True}
    refused = (await change(jmap, message, {"mailboxIds": one_more}))["notUpdated"][message]
    assert refused["type"] == "tooManyMailboxes"
    done = await jmap.call("Email/set", {"create": {"a": {"mailboxIds": one_more, **BODY}}})
    assert done["notCreated"]["a"]["type"] == "tooManyMailboxes"
