"""Email/get and Email/parse (RFC 8621 §4.2, §4.9)."""

import base64
from typing import Any

import pytest

from tests.conftest import plain_message
from tests.letters import TEXT, attachment, letters, lines_of, multipart, part
from tests.someone import ADD, DELETED, FLAGGED, SEEN, Someone
from tests.webmail.jmap.client import Jmap


def someone(jmap: Jmap) -> Someone:
    return Someone(jmap.store, jmap.person.principal)


async def only(jmap: Jmap, octets: bytes, **asked: Any) -> Any:
    """What is said of a message that comes."""
    placed = await jmap.receive(octets)
    found = await jmap.call("Email/get", {"ids": [f"M{placed.message_id}"], **asked})
    assert found["notFound"] == []
    return found["list"][0]


async def test_everything_a_list_shows(jmap: Jmap) -> None:
    octets = plain_message(1)
    placed = await jmap.receive(octets)
    ada = someone(jmap)
    await ada.flag("INBOX", [placed.uid], ADD, SEEN, FLAGGED, "Work")
    copied = await ada.copy("INBOX", [placed.uid], "Archive")
    assert copied.target_uids
    archive = await ada.box("Archive")
    listed = [
        "id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt", "from", "to", "subject", "sentAt",
        "hasAttachment", "preview", "messageId", "cc",
    ]  # fmt: skip
    found = await jmap.call("Email/get", {"ids": [f"M{placed.message_id}"], "properties": listed})
    assert found["list"] == [
        {
            "id": f"M{placed.message_id}",
            "blobId": f"BM{placed.message_id}",
            "threadId": f"T{placed.message_id}",
            "mailboxIds": {f"F{placed.mailbox_id}": True, f"F{archive.id}": True},
            "keywords": {"$seen": True, "$flagged": True, "work": True},
            "size": len(octets),
            "receivedAt": "2026-11-02T12:00:00Z",
            "from": [{"name": "Grace", "email": "grace@elsewhere.test"}],
            "to": [{"name": "Ada", "email": "ada@company.test"}],
            "subject": "Message 1",
            "sentAt": "2026-11-02T10:00:00Z",
            "hasAttachment": False,
            "preview": "Lunch at noon?",
            "messageId": ["1@elsewhere.test"],
            "cc": None,
        }
    ]


async def test_the_default_properties_are_those_of_the_rfc(jmap: Jmap) -> None:
    found = await only(jmap, plain_message(1))
    assert found.keys() == {
        "id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt", "messageId", "inReplyTo",
        "references", "sender", "from", "to", "cc", "bcc", "replyTo", "subject", "sentAt", "hasAttachment", "preview",
        "bodyValues", "textBody", "htmlBody", "attachments",
    }  # fmt: skip
    assert found["bodyValues"] == {}
    assert found["textBody"] == [
        {
            "partId": "1", "blobId": f"{found['blobId']}-1", "size": 16, "name": None, "type": "text/plain",
            "charset": "us-ascii", "disposition": None, "cid": None, "language": None, "location": None,
        }
    ]  # fmt: skip


async def test_the_example_of_the_rfc(jmap: Jmap) -> None:
    html = "<html><body><p>Hello " + "x" * 400 + '<a href="https://example.com/">a</a></body></html>'
    octets = multipart(
        part(html.encode(), "Content-Type: text/html; charset=utf-8"),
        part(b"-- Sent by your friendly mailing list ...", "Content-Type: text/plain"),
    )
    octets = b"From: Joe Bloggs <joe@example.com>\r\nList-POST: <mailto:partytime@lists.example.com>\r\n" + octets
    placed = await jmap.receive(octets)
    gone = "M123456"
    asked = {
        "ids": [gone, f"M{placed.message_id}"],
        "properties": [
            "threadId", "mailboxIds", "from", "subject", "receivedAt", "header:List-POST:asURLs", "htmlBody",
            "bodyValues",
        ],
        "bodyProperties": ["partId", "blobId", "size", "type"],
        "fetchHTMLBodyValues": True,
        "maxBodyValueBytes": 256,
    }  # fmt: skip
    found = await jmap.call("Email/get", asked)
    assert found["notFound"] == [gone]
    (email,) = found["list"]
    assert email["from"] == [{"name": "Joe Bloggs", "email": "joe@example.com"}]
    assert email["header:List-POST:asURLs"] == ["mailto:partytime@lists.example.com"]
    assert [(each["partId"], each["type"]) for each in email["htmlBody"]] == [("1", "text/html"), ("2", "text/plain")]
    assert email["htmlBody"][0]["size"] == len(html)
    assert email["bodyValues"]["1"] == {"value": html[:256], "isEncodingProblem": False, "isTruncated": True}
    assert email["bodyValues"]["2"]["value"] == "-- Sent by your friendly mailing list ..."
    assert not email["bodyValues"]["2"]["isTruncated"]


async def test_a_list_is_answered_from_rows_alone(jmap: Jmap) -> None:
    """Nothing is decrypted: the blobs may be out of reach."""
    placed = await jmap.receive(plain_message(1))
    store, who = jmap.store, jmap.person.principal
    async with store.database.transaction(who.tenant_id) as connection:
        await connection.execute("DELETE FROM blob_content WHERE tenant_id = %s", [who.tenant_id])
    ids = [f"M{placed.message_id}"]
    found = await jmap.call("Email/get", {"ids": ids, "properties": ["subject", "preview", "headers", "keywords"]})
    assert found["list"][0]["preview"] == "Lunch at noon?"
    whole = {"ids": ids, "properties": ["bodyValues"], "fetchAllBodyValues": True}
    assert (await jmap.refusal("Email/get", whole))["type"] == "serverFail"


async def test_messages_marked_deleted_are_not_found(jmap: Jmap) -> None:
    placed = await jmap.receive()
    ada = someone(jmap)
    await ada.flag("INBOX", [placed.uid], ADD, DELETED)
    found = await jmap.call("Email/get", {"ids": [f"M{placed.message_id}"]})
    assert (found["list"], found["notFound"]) == ([], [f"M{placed.message_id}"])


async def test_ids_of_others_and_of_nothing_are_not_found(jmap: Jmap, new_jmap: Any) -> None:
    other: Jmap = await new_jmap()
    placed = await other.receive()
    asked = [f"M{placed.message_id}", "M0", "F1", "M99999999999999999999", "nonsense"]
    found = await jmap.call("Email/get", {"ids": [*asked, asked[0]]})
    assert (found["list"], found["notFound"]) == ([], asked)


@pytest.mark.parametrize(
    "wrong",
    [
        {"properties": ["header:From:asDate"]},
        {"properties": ["nonsense"]},
        {"properties": ["partId"]},
        {"properties": ["header:From:asRaw:one"]},
        {"bodyProperties": ["subject"]},
        {"bodyProperties": ["header:Subject:asDate"]},
        {"properties": [f"header:X-{number}" for number in range(201)]},
        {"fetchTextBodyValues": 1},
        {"maxBodyValueBytes": -1},
        {"nonsense": True},
        {"ids": "M1"},
    ],
    ids=lambda wrong: str(wrong)[:50],
)
async def test_what_cannot_be_asked(jmap: Jmap, wrong: dict[str, Any]) -> None:
    assert (await jmap.refusal("Email/get", {"ids": [], **wrong}))["type"] == "invalidArguments"


async def test_header_properties_keep_the_capitals_of_the_request(jmap: Jmap) -> None:
    found = await only(jmap, plain_message(1), properties=["header:sUbJect:asText", "header:X-None:all"])
    assert found["header:sUbJect:asText"] == "Message 1"
    assert found["header:X-None:all"] == []


LARGE = bytes(range(256)) * 8000


@pytest.mark.parametrize("length", [76, 60, 75])  # kept decoded, kept decoded, kept as it is
async def test_a_long_message_is_not_read_to_be_described(jmap: Jmap, length: int) -> None:
    octets = multipart(TEXT, attachment(lines_of(LARGE, length, ends=True)), part(b"a\r\n" * 100_000, "X-A: b"))
    found = await only(jmap, octets, fetchAllBodyValues=True, maxBodyValueBytes=10)
    assert [each["size"] for each in found["attachments"]] == [len(LARGE)]
    assert found["attachments"][0]["blobId"] == f"{found['blobId']}-2"
    assert found["bodyValues"]["1"]["value"] == "See attach"
    assert found["bodyValues"]["3"]["value"] == "a\na\na\na\na\n"
    assert found["textBody"][1]["size"] == 300_000


async def test_parts_download_as_large_as_they_are_told_to_be(jmap: Jmap) -> None:
    for _, octets in list(letters())[:16]:
        placed = await jmap.receive(octets)
        asked = {"ids": [f"M{placed.message_id}"], "properties": ["bodyStructure"]}
        (email,) = (await jmap.call("Email/get", asked))["list"]
        pending = [email["bodyStructure"]]
        while pending:
            each = pending.pop()
            pending += each.get("subParts") or []
            if each["blobId"] is not None:
                (blob,) = (await jmap.call("Blob/get", {"ids": [each["blobId"]], "properties": ["size"]}))["list"]
                assert blob["size"] == each["size"]


async def test_every_letter_opens(jmap: Jmap) -> None:
    ids = [f"M{(await jmap.receive(octets)).message_id}" for _, octets in letters()]
    found = await jmap.call("Email/get", {"ids": ids, "fetchAllBodyValues": True, "maxBodyValueBytes": 100})
    assert len(found["list"]) == len(ids)


async def test_an_upload_is_parsed(jmap: Jmap) -> None:
    inner = plain_message(7, body="inner text")
    blob = await jmap.upload(inner, "message/rfc822")
    asked = {"blobIds": [blob, "BU999999", "BM5-2"], "fetchTextBodyValues": True}
    found = await jmap.call("Email/parse", asked)
    assert found["notFound"] == ["BU999999", "BM5-2"]
    assert found["notParsable"] is None
    email = found["parsed"][blob]
    assert email.keys() == {
        "messageId", "inReplyTo", "references", "sender", "from", "to", "cc", "bcc", "replyTo", "subject", "sentAt",
        "hasAttachment", "preview", "bodyValues", "textBody", "htmlBody", "attachments",
    }  # fmt: skip
    assert email["subject"] == "Message 7"
    assert email["bodyValues"]["1"]["value"] == "inner text\n"
    assert email["textBody"][0]["blobId"] == f"{blob}-1"


async def test_an_attached_message_is_parsed_and_its_parts_are_blobs(jmap: Jmap) -> None:
    inner = multipart(TEXT, attachment(base64.b64encode(b"deep")))
    outer = multipart(TEXT, part(inner, "Content-Type: message/rfc822"))
    placed = await jmap.receive(outer)
    blob = f"BM{placed.message_id}-2"
    metadata = ["id", "blobId", "threadId", "mailboxIds", "keywords", "receivedAt", "size", "attachments"]
    found = await jmap.call("Email/parse", {"blobIds": [blob], "properties": metadata})
    email = found["parsed"][blob]
    deep = email.pop("attachments")[0]["blobId"]
    assert email == {
        "id": None, "threadId": None, "mailboxIds": None, "keywords": None, "receivedAt": None, "blobId": blob,
        "size": len(inner),
    }  # fmt: skip
    (read,) = (await jmap.call("Blob/get", {"ids": [deep], "properties": ["data:asText"]}))["list"]
    assert read["data:asText"] == "deep"


@pytest.mark.parametrize(
    "fields",
    [
        ("Content-Type: message/rfc822", "Content-Transfer-Encoding: base64"),  # nobody may, some do
        ("Content-Type: application/octet-stream; name=mail.eml", "Content-Transfer-Encoding: base64"),
    ],
)
async def test_a_message_that_is_attached_encoded_is_parsed_all_the_same(jmap: Jmap, fields: tuple[str, ...]) -> None:
    inmost = multipart(TEXT, attachment(base64.b64encode(b"deep")))
    inner = multipart(TEXT, part(base64.encodebytes(inmost).replace(b"\n", b"\r\n"), *fields))
    outer = multipart(TEXT, part(base64.encodebytes(inner).replace(b"\n", b"\r\n"), *fields))
    placed = await jmap.receive(outer)
    blob, size = f"BM{placed.message_id}-2", len(inner)
    for _ in range(2):
        found = await jmap.call("Email/parse", {"blobIds": [blob], "properties": ["attachments", "size"]})
        assert found["parsed"][blob]["size"] == size
        (attached,) = found["parsed"][blob]["attachments"]
        blob, size = attached["blobId"], attached["size"]
    assert size == 4
    (read,) = (await jmap.call("Blob/get", {"ids": [blob], "properties": ["data:asText"]}))["list"]
    assert read["data:asText"] == "deep"


async def test_what_is_no_message_is_not_parsable(jmap: Jmap) -> None:
    blob = await jmap.upload(b"\x89PNG\r\n\x1a\n\0\0", "image/png")
    found = await jmap.call("Email/parse", {"blobIds": [blob]})
    assert (found["parsed"], found["notParsable"], found["notFound"]) == (None, [blob], None)
