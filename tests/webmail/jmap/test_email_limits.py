"""Emails at the ends of what is allowed: large, of thousands of parts, over quota (RFC 8621 §4.6, RFC 8620 §5.3)."""

import time
from dataclasses import replace
from typing import Any

import pytest

from mailserver.assembly import Parts
from tests.conftest import plain_message
from tests.webmail.jmap.client import Jmap
from webmail.jmap import answer_room, email_set_methods
from webmail.jmap.errors import JsonObject
from webmail.jmap.limits import MAIL, Limits
from webmail.jmap.method import Context


@pytest.fixture
def small(jmap: Jmap, parts: Parts) -> Context:
    """A server that takes messages of 20,000 octets."""
    config = replace(parts.config, message_limit_octets=20_000)
    return Context(replace(parts, config=config), jmap.person.principal, Limits(), frozenset({MAIL}))


async def drafts(jmap: Jmap) -> Any:
    found = await jmap.call("Mailbox/get", {"ids": None})
    return {next(each["id"] for each in found["list"] if each["role"] == "drafts"): True}


async def refused(context: Context, jmap: Jmap, **email: Any) -> JsonObject:
    creation = {"mailboxIds": await drafts(jmap), **email}
    done = await email_set_methods.set_(context, {"accountId": context.account_id, "create": {"a": creation}})
    error: JsonObject = done["notCreated"]["a"]
    return error


async def test_attachments_that_are_too_large_together(jmap: Jmap, small: Context) -> None:
    blobs = [await jmap.upload(bytes([number]) * 9_000) for number in range(2)]
    attachments = [{"blobId": blob, "type": "application/pdf"} for blob in blobs]
    assert (await refused(small, jmap, attachments=attachments))["type"] == "tooLarge"


async def test_a_text_that_is_too_large(jmap: Jmap, small: Context) -> None:
    body = {"textBody": [{"partId": "t", "type": "text/plain"}], "bodyValues": {"t": {"value": "x\n" * 15_000}}}
    assert (await refused(small, jmap, **body))["type"] == "tooLarge"


async def test_one_text_or_one_blob_in_so_many_parts_that_they_are_too_large(jmap: Jmap, small: Context) -> None:
    """Before they are composed, which would take the memory of the process."""
    text = [{"partId": "t", "type": "text/plain"}] * 900
    structure = {"type": "multipart/mixed", "subParts": text}
    error = await refused(small, jmap, bodyStructure=structure, bodyValues={"t": {"value": "x" * 1_000}})
    assert error["type"] == "tooLarge"
    assert "texts" in error["description"]
    blob = await jmap.upload(b"x" * 12_000)
    error = await refused(small, jmap, attachments=[{"blobId": blob, "type": "application/pdf"}] * 900)
    assert error["type"] == "tooLarge"
    assert "attachments" in error["description"]


async def test_an_import_that_is_too_large(jmap: Jmap, small: Context) -> None:
    blob = await jmap.upload(plain_message(1, body="x\r\n" * 10_000))
    emails = {"a": {"blobId": blob, "mailboxIds": await drafts(jmap)}}
    done = await email_set_methods.import_(small, {"accountId": small.account_id, "emails": emails})
    assert done["notCreated"]["a"]["type"] == "tooLarge"


async def test_a_blob_that_goes_while_it_is_read_spoils_only_the_email_that_needs_it(jmap: Jmap) -> None:
    blobs = [await jmap.upload(plain_message(number)) for number in range(2)]
    who = jmap.person.principal
    async with jmap.store.database.transaction(who.tenant_id) as connection:
        await connection.execute("DELETE FROM upload_content WHERE upload_id = %s", [int(blobs[1][2:])])
    where = await drafts(jmap)
    emails = {str(number): {"blobId": blob, "mailboxIds": where} for number, blob in enumerate(blobs)}
    done = await jmap.call("Email/import", {"emails": emails})
    assert (list(done["created"]), done["notCreated"]["1"]["type"]) == (["0"], "blobNotFound")
    creations = {
        str(number): {"mailboxIds": where, "attachments": [{"blobId": blob}]} for number, blob in enumerate(blobs)
    }
    done = await jmap.call("Email/set", {"create": creations})
    assert (list(done["created"]), done["notCreated"]["1"]["type"]) == (["0"], "blobNotFound")


async def test_what_there_is_no_room_for(jmap: Jmap, parts: Parts) -> None:
    who = replace(jmap.person.principal, quota_octets=1_000)
    context = Context(parts, who, Limits(), frozenset({MAIL}))
    body = {"textBody": [{"partId": "t", "type": "text/plain"}], "bodyValues": {"t": {"value": "x\n" * 1_000}}}
    assert (await refused(context, jmap, **body))["type"] == "overQuota"
    blob = await jmap.upload(plain_message(1, body="x\r\n" * 1_000))
    emails = {"a": {"blobId": blob, "mailboxIds": await drafts(jmap)}}
    done = await email_set_methods.import_(context, {"accountId": context.account_id, "emails": emails})
    assert done["notCreated"]["a"]["type"] == "overQuota"
    assert (await jmap.call("Email/get", {"ids": None}))["list"] == []


async def test_an_email_of_many_megabytes_is_made_and_read(jmap: Jmap) -> None:
    content = bytes(range(256)) * 20_000
    blob = await jmap.upload(content, "application/zip")
    creation = {"mailboxIds": await drafts(jmap), "attachments": [{"blobId": blob, "type": "application/zip"}]}
    done = await jmap.call("Email/set", {"create": {"a": creation}})
    asked = {"ids": [done["created"]["a"]["id"]], "properties": ["attachments", "size"]}
    (email,) = (await jmap.call("Email/get", asked))["list"]
    assert email["attachments"][0]["size"] == len(content)
    assert email["size"] > len(content) * 4 // 3


async def test_a_message_of_three_thousand_parts_opens(jmap: Jmap) -> None:
    head = b"--b\r\nContent-Type: text/plain; name=a%d\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    parts = b"".join(head % number + b"QUJD" * 40 + b"\r\n" for number in range(3000))
    octets = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n"
    placed = await jmap.receive(octets)
    started = time.perf_counter()
    properties = ["bodyStructure", "bodyValues"]
    asked = {"ids": [f"M{placed.message_id}"], "properties": properties, "fetchAllBodyValues": True}
    (email,) = (await jmap.call("Email/get", asked))["list"]
    assert [each["size"] for each in email["bodyStructure"]["subParts"]] == [120] * 3000
    assert email["bodyValues"]["2999"]["value"] == "ABC" * 40
    assert time.perf_counter() - started < 20


async def test_more_text_than_one_answer_holds(jmap: Jmap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_room, "MOST_CHARACTERS", 10_000)
    ids = [f"M{(await jmap.receive(plain_message(number, body='x' * 6_000))).message_id}" for number in range(2)]
    asked = {"ids": ids, "fetchTextBodyValues": True}
    assert (await jmap.refusal("Email/get", asked))["type"] == "requestTooLarge"
    parse = {"blobIds": [f"B{each}" for each in ids], "fetchTextBodyValues": True}
    assert (await jmap.refusal("Email/parse", parse))["type"] == "requestTooLarge"
    assert len((await jmap.call("Email/get", {**asked, "maxBodyValueBytes": 100}))["list"]) == 2


async def test_a_header_in_more_forms_than_one_answer_holds(jmap: Jmap, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names in capitals or not are as many properties; of each Email, and of each part."""
    monkeypatch.setattr(answer_room, "MOST_CHARACTERS", 1_000_000)
    placed = await jmap.receive(b"X-Long: " + b"x" * 20_000 + b"\r\n\r\nbody\r\n")
    names = [f"header:{first}-l{rest}" for first in "xX" for rest in ("ong", "oNg", "onG", "Ong", "oNG", "ONg", "ONG")]
    forms = [f"{name}:as{form}:all" for name in names for form in ("Raw", "Text", "Addresses", "GroupedAddresses")]
    asked = {"ids": [f"M{placed.message_id}"], "properties": forms}
    assert (await jmap.refusal("Email/get", asked))["type"] == "requestTooLarge"
    of_parts = {**asked, "properties": ["bodyStructure", "textBody"], "bodyProperties": forms}
    assert (await jmap.refusal("Email/get", of_parts))["type"] == "requestTooLarge"
    (email,) = (await jmap.call("Email/get", {**asked, "properties": forms[:4]}))["list"]
    assert email[forms[0]] == [" " + "x" * 20_000]


async def test_what_calls_answer_together_has_to_fit_into_one_answer(
    jmap: Jmap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_room, "MOST_CHARACTERS", 10_000)
    placed = await jmap.receive(plain_message(1, body="x" * 6_000))
    asked = {"ids": [f"M{placed.message_id}"], "properties": ["bodyValues"], "fetchTextBodyValues": True}
    told = await jmap.calls(["Email/get", asked], ["Email/get", asked], ["Email/get", {**asked, "ids": []}])
    assert [name for name, _, _ in told] == ["Email/get", "error", "Email/get"]


async def test_a_property_for_a_field_whose_name_is_longer_than_any_line(jmap: Jmap) -> None:
    """It would be repeated for each Email."""
    asked = {"ids": [], "properties": ["header:" + "x" * 999]}
    assert (await jmap.refusal("Email/get", asked))["type"] == "invalidArguments"


async def test_a_header_of_a_hundred_thousand_folds_opens(jmap: Jmap) -> None:
    octets = b"Subject: x" + b"\r\n y" * 100_000 + b"\r\nTo: a@b" + b",\r\n c@d" * 100_000 + b"\r\n\r\nbody\r\n"
    placed = await jmap.receive(octets)
    asked = {"ids": [f"M{placed.message_id}"], "fetchAllBodyValues": True}
    (email,) = (await jmap.call("Email/get", asked))["list"]
    assert email["subject"].startswith("x y y y")
    assert email["bodyValues"]["1"]["value"] == "body\n"


async def test_what_a_first_screen_asks_for(jmap: Jmap) -> None:
    """RFC 8621 §4.10."""
    for number in range(5):
        await jmap.receive(plain_message(number, in_reply_to=f"<{number - 3}@elsewhere.test>"))
    boxes = (await jmap.call("Mailbox/get", {"ids": None}))["list"]
    inbox = next(each["id"] for each in boxes if each["role"] == "inbox")

    def result_of(call: str, name: str, path: str) -> JsonObject:
        return {"resultOf": call, "name": name, "path": path}

    listed = [
        "threadId", "mailboxIds", "keywords", "hasAttachment", "from", "subject", "receivedAt", "size", "preview",
    ]  # fmt: skip
    query, first, threads, emails = await jmap.calls(
        [
            "Email/query",
            {
                "filter": {"inMailbox": inbox},
                "sort": [{"isAscending": False, "property": "receivedAt"}],
                "collapseThreads": True,
                "position": 0,
                "limit": 30,
                "calculateTotal": True,
            },
        ],
        ["Email/get", {"#ids": result_of("0", "Email/query", "/ids"), "properties": ["threadId"]}],
        ["Thread/get", {"#ids": result_of("1", "Email/get", "/list/*/threadId")}],
        ["Email/get", {"#ids": result_of("2", "Thread/get", "/list/*/emailIds"), "properties": listed}],
    )
    assert query[1]["total"] == len(first[1]["list"]) == len(threads[1]["list"]) == 3
    assert len(emails[1]["list"]) == 5
    for email in emails[1]["list"]:
        assert email.keys() == {"id", *listed}
        assert email["mailboxIds"] == {inbox: True}
