"""Email/import, /parse and /copy (RFC 8621 §§4.7 to 4.9)."""

from typing import Any

from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.conformance.account import GRACE, Account, letter, text


async def test_what_is_imported_stands_where_it_was_put(account: Account) -> None:
    octets = letter(GRACE, "Brought along", 3, text("Hello."))
    blob = await account.jmap.upload(octets, "message/rfc822")
    given = {"blobId": blob, "mailboxIds": {account.boxes["B"]: True}}
    emails = {
        "a": {**given, "keywords": {"$seen": True, "$flagged": True}, "receivedAt": "2025-06-15T10:30:00Z"},
        "b": {**given, "blobId": await account.jmap.upload(octets + b"More.\r\n", "message/rfc822")},
    }
    done = await account.jmap.call("Email/import", {"emails": emails})
    assert done["oldState"] != done["newState"]
    first, second = done["created"]["a"], done["created"]["b"]
    assert all(first[name] for name in ("id", "blobId", "threadId"))
    assert first["size"] == len(octets)
    asked = {"ids": [first["id"]], "properties": ["subject", "keywords", "mailboxIds", "receivedAt"]}
    (shown,) = (await account.jmap.call("Email/get", asked))["list"]
    assert shown == {
        "id": first["id"],
        "subject": "Brought along",
        "keywords": {"$seen": True, "$flagged": True},
        "mailboxIds": given["mailboxIds"],
        "receivedAt": "2025-06-15T10:30:00Z",
    }
    await account.destroy(first["id"], second["id"])


async def test_what_is_no_message_is_not_imported(account: Account) -> None:
    blob = await account.jmap.upload(b"this is not an email")
    boxes = {account.boxes["inbox"]: True}
    emails = {"a": {"blobId": blob, "mailboxIds": boxes}, "b": {"blobId": "no-such-blob", "mailboxIds": boxes}}
    done = await account.jmap.call("Email/import", {"emails": emails})
    assert done["created"] is None
    assert done["notCreated"]["a"]["type"] == "invalidEmail"
    assert done["notCreated"]["b"]["type"] == "invalidProperties"


async def parse(jmap: Jmap, blob: str, **more: Any) -> Any:
    return await jmap.call("Email/parse", {"blobIds": [blob], **more})


async def test_an_upload_is_read_as_a_message(jmap: Jmap) -> None:
    blob = await jmap.upload(letter(GRACE, "Only to read", 3, text("Not kept.")), "message/rfc822")
    of_the_store = ("id", "threadId", "mailboxIds", "keywords", "receivedAt")
    asked = [*of_the_store, "blobId", "subject", "from", "bodyValues"]
    told = await parse(jmap, blob, properties=asked, bodyProperties=["partId"], fetchTextBodyValues=True)
    shown = told["parsed"][blob]
    assert (told["notParsable"], told["notFound"]) == (None, None)
    assert [shown[name] for name in of_the_store] == [None] * 5
    assert (shown["blobId"], shown["subject"]) == (blob, "Only to read")
    assert shown["from"] == [{"name": "Grace Hopper", "email": "grace@elsewhere.test"}]
    (value,) = shown["bodyValues"].values()
    assert value["value"].strip() == "Not kept."


async def test_what_is_no_message_or_not_there_is_not_read(jmap: Jmap) -> None:
    blob = await jmap.upload(b"this is not an email at all, just words")
    assert (await parse(jmap, blob))["notParsable"] == [blob]
    assert (await parse(jmap, "no-such-blob"))["notFound"] == ["no-such-blob"]


async def test_within_one_account_nothing_is_copied(account: Account) -> None:
    create = {"x": {"id": "placeholder", "mailboxIds": {account.boxes["inbox"]: True}}}
    asked = {"fromAccountId": account.jmap.account_id, "create": create}
    assert (await account.jmap.refusal("Email/copy", asked))["type"] == "invalidArguments"
