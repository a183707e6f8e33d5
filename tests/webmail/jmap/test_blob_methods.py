"""Blobs made, read and looked for within requests (RFC 9404); the examples of the RFC are among them."""

import base64
import hashlib
from typing import Any

import pytest

from mailserver.assembly import Parts
from tests.conftest import plain_message
from tests.letters import multipart, part
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.conftest import NewJmap
from webmail.jmap.http.application import jmap_application
from webmail.jmap.http.door import Door
from webmail.jmap.limits import BLOB, CORE, Limits

FOX = "The quick brown fox jumped over the lazy dog."


async def made(jmap: Jmap, *sources: dict[str, Any]) -> str:
    told = await jmap.call("Blob/upload", {"create": {"b": {"data": list(sources)}}})
    assert told["notCreated"] is None, told
    return str(told["created"]["b"]["id"])


async def not_made(jmap: Jmap, creation: Any) -> Any:
    told = await jmap.call("Blob/upload", {"create": {"b": creation}})
    assert told["created"] is None
    return told["notCreated"]["b"]


async def read(jmap: Jmap, blob: str, **arguments: Any) -> Any:
    (found,) = (await jmap.call("Blob/get", {"ids": [blob], **arguments}))["list"]
    assert found.pop("id") == blob
    return found


async def test_a_small_picture_is_made_without_an_upload(jmap: Jmap) -> None:
    dot = (
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQMAAAAl21bKAAAAA1BMVEX/AAAZ4gk3AAAA"
        "AXRSTlN/gFy0ywAAAApJREFUeJxjYgAAAAYAAzY3fKgAAAAASUVORK5CYII="
    )
    told = await jmap.call("Blob/upload", {"create": {"1": {"data": [{"data:asBase64": dot}], "type": "image/png"}}})
    assert told["created"]["1"] == {"id": told["created"]["1"]["id"], "type": "image/png", "size": 95}
    assert await read(jmap, told["created"]["1"]["id"], properties=["data:asBase64"]) == {"data:asBase64": dot}


async def test_a_blob_is_put_together_from_pieces_of_others(jmap: Jmap) -> None:
    sources = [
        {"data:asText": "How"},
        {"blobId": "#b4", "length": 7, "offset": 3},
        {"data:asText": "was t"},
        {"blobId": "#b4", "length": 1, "offset": 1},
        {"data:asBase64": "YXQ/"},
    ]
    responses = await jmap.calls(
        ["Blob/upload", {"create": {"b4": {"data": [{"data:asText": FOX}]}}}],
        ["Blob/upload", {"create": {"cat": {"data": sources}}}],
        ["Blob/get", {"properties": ["data:asText", "size"], "ids": ["#cat"]}],
    )
    cat = responses[1][1]["created"]["cat"]["id"]
    assert responses[2][1]["list"] == [{"id": cat, "data:asText": "How quick was that?", "size": 19}]


async def test_a_range_and_its_digest_are_read(jmap: Jmap) -> None:
    found = await read(
        jmap,
        await made(jmap, {"data:asText": FOX}),
        properties=["data:asText", "digest:sha", "digest:sha-256", "size"],
        offset=4,
        length=9,
    )
    assert found == {
        "data:asText": "quick bro",
        "digest:sha": "QiRAPtfyX8K6tm1iOAtZ87Xj3Ww=",
        "digest:sha-256": base64.b64encode(hashlib.sha256(b"quick bro").digest()).decode(),
        "size": 45,
    }


async def test_what_is_no_text_is_said_to_be_none(jmap: Jmap) -> None:
    """RFC 9404 §4.2: also where a range begins in the middle of a character. The examples leave out the null that the
    text demands."""
    blob = await made(jmap, {"data:asBase64": base64.b64encode("caf\xe9".encode()).decode()})
    assert await read(jmap, blob) == {"data:asText": "café", "size": 5}
    cut = base64.b64encode(b"caf\xc3").decode()
    assert await read(jmap, blob, length=4) == {
        "data:asText": None,
        "data:asBase64": cut,
        "isEncodingProblem": True,
        "size": 5,
    }
    assert await read(jmap, blob, length=4, properties=["data:asText"]) == {
        "data:asText": None,
        "isEncodingProblem": True,
    }
    assert await read(jmap, blob, length=4, properties=["data:asBase64"]) == {"data:asBase64": cut}


async def test_what_json_cannot_hold_is_no_text(jmap: Jmap) -> None:
    """U+FFFF is UTF-8, but not for I-JSON (RFC 7493 §2.1)."""
    octets = base64.b64encode("\uffff".encode()).decode()
    found = await read(jmap, await made(jmap, {"data:asBase64": octets}))
    assert found == {"data:asText": None, "data:asBase64": octets, "isEncodingProblem": True, "size": 3}


@pytest.mark.parametrize(
    ("asked", "text", "is_truncated"),
    [
        ({"offset": 5}, "", None),
        ({"offset": 6}, "", True),
        ({"offset": 3, "length": 10}, "lo", True),
        ({"offset": 3, "length": 2}, "lo", None),
        ({"length": 0}, "", None),
        ({"offset": None, "length": None}, "hello", None),
    ],
)
async def test_a_range_beyond_the_end_is_cut_and_says_so(
    jmap: Jmap, asked: dict[str, Any], text: str, is_truncated: bool | None
) -> None:
    found = await read(jmap, await made(jmap, {"data:asText": "hello"}), **asked)
    assert (found["data:asText"], found.get("isTruncated")) == (text, is_truncated)


async def test_nothing_is_a_blob_too(jmap: Jmap) -> None:
    assert await read(jmap, await made(jmap)) == {"data:asText": "", "size": 0}


async def test_sixty_four_sources_are_taken_and_more_are_not(jmap: Jmap) -> None:
    await made(jmap, *[{"data:asText": "x"}] * 64)
    assert (await not_made(jmap, {"data": [{"data:asText": "x"}] * 65}))["type"] == "tooLarge"


@pytest.mark.parametrize(
    "creation",
    [
        {},
        {"data": "text"},
        {"data": ["text"]},
        {"data": [{}]},
        {"data": [{"data:asBase64": "!!not base64!!"}]},
        {"data": [{"data:asBase64": "YQ"}]},
        {"data": [{"data:asText": "x", "data:asBase64": "eA=="}]},
        {"data": [{"data:asText": 1}]},
        {"data": [{"data:asText": "x", "offset": 1}]},
        {"data": [], "type": 1},
        {"data": [], "size": 0},
    ],
)
async def test_a_creation_that_makes_no_sense_is_refused_alone(jmap: Jmap, creation: Any) -> None:
    told = await jmap.call("Blob/upload", {"create": {"bad": creation, "good": {"data": []}}})
    assert list(told["created"]) == ["good"]
    assert told["notCreated"]["bad"]["type"] == "invalidProperties"


@pytest.mark.parametrize("wanted", [{"offset": 4, "length": 2}, {"offset": 6}, {"offset": -1}, {"length": "1"}])
async def test_a_range_that_is_not_there_makes_no_blob(jmap: Jmap, wanted: dict[str, Any]) -> None:
    blob = await made(jmap, {"data:asText": "hello"})
    assert (await not_made(jmap, {"data": [{"blobId": blob, **wanted}]}))["type"] == "invalidProperties"


async def test_a_blob_has_its_limit(jmap: Jmap) -> None:
    blob = await jmap.upload(bytes(9_000_000))
    whole = {"blobId": blob}
    assert (await not_made(jmap, {"data": [whole, whole]}))["type"] == "tooLarge"
    assert (await jmap.refusal("Blob/get", {"ids": [blob, await jmap.upload(bytes(9_000_001))]}))[
        "type"
    ] == "requestTooLarge"


def with_limits(jmap: Jmap, parts: Parts, limits: Limits) -> Jmap:
    return Jmap(jmap_application(Door(parts, limits=limits)), jmap.person, jmap.store)


async def test_a_blob_has_no_more_than_an_upload_may(jmap: Jmap, parts: Parts) -> None:
    """RFC 9404 §4.1."""
    small = with_limits(jmap, parts, Limits(max_size_upload=1_048_576))
    session = (await small.http("GET", "/jmap/session")).json()
    told = session["accounts"][jmap.account_id]["accountCapabilities"][BLOB]
    assert told["maxSizeBlobSet"] == 1_048_576
    source = {"blobId": await jmap.upload(bytes(600_000))}
    assert (await not_made(small, {"data": [source, source]}))["type"] == "tooLarge"


async def test_so_many_octets_are_digested_at_once(jmap: Jmap, parts: Parts) -> None:
    """RFC 9404 §5: digests cost the server much, and the client nothing."""
    small = with_limits(jmap, parts, Limits(max_size_upload=1_048_576))
    first, second = await jmap.upload(bytes(4_000_000)), await jmap.upload(bytes(4_000_001))
    wanted = {"properties": ["digest:sha-256"]}
    assert len((await small.call("Blob/get", {"ids": [first], **wanted}))["list"]) == 1
    assert (await small.refusal("Blob/get", {"ids": [first, second], **wanted}))["type"] == "requestTooLarge"
    assert len((await small.call("Blob/get", {"ids": [first, second], **wanted, "length": 2_000_000}))["list"]) == 2


async def test_so_many_octets_are_parsed_as_messages_at_once(jmap: Jmap, parts: Parts) -> None:
    small = with_limits(jmap, parts, Limits(max_size_upload=1_048_576))
    first, second = [await jmap.upload(plain_message(number) + bytes(2_200_000)) for number in range(2)]
    asked = {"properties": ["subject"]}
    assert list((await small.call("Email/parse", {"blobIds": [first], **asked}))["parsed"]) == [first]
    assert (await small.refusal("Email/parse", {"blobIds": [first, second], **asked}))["type"] == "requestTooLarge"


async def test_parts_of_messages_are_looked_up(jmap: Jmap) -> None:
    inner = multipart(part(b"one", "Content-Type: text/plain"), subject="inner")
    encoded = base64.encodebytes(inner).replace(b"\n", b"\r\n")
    letter = multipart(part(encoded, "Content-Type: message/rfc822", "Content-Transfer-Encoding: base64"), subject="x")
    email = f"M{(await jmap.receive(letter)).message_id}"
    there, absent = [f"B{email}-1", f"B{email}-1_1"], [f"B{email}-2", f"B{email}-1_7"]
    told = await jmap.call("Blob/lookup", {"typeNames": ["Email"], "ids": [*there, *absent]})
    assert [each["id"] for each in told["list"] if each["matchedIds"]["Email"] == [email]] == there
    got = await jmap.call("Blob/get", {"ids": [*there, *absent], "properties": ["size"]})
    assert [each["id"] for each in got["list"]] == there


async def test_a_creation_id_is_an_id(jmap: Jmap) -> None:
    assert (await jmap.refusal("Blob/upload", {"create": {"#b": {"data": []}}}))["type"] == "invalidArguments"


async def test_a_message_is_looked_up(jmap: Jmap) -> None:
    placed = await jmap.receive()
    blob = f"BM{placed.message_id}"
    told = await jmap.call(
        "Blob/lookup",
        {"typeNames": ["Mailbox", "Thread", "Email"], "ids": [blob, f"{blob}-1", f"{blob}-2", "not-a-blob"]},
    )
    thread = told["list"][0]["matchedIds"]["Thread"]
    assert [each[0] for each in thread] == ["T"]
    found = {"Mailbox": [f"F{placed.mailbox_id}"], "Thread": thread, "Email": [blob[1:]]}
    nothing: dict[str, Any] = {"Mailbox": [], "Thread": [], "Email": []}
    assert told["list"] == [
        {"id": blob, "matchedIds": found},
        {"id": f"{blob}-1", "matchedIds": found},
        {"id": f"{blob}-2", "matchedIds": nothing},
        {"id": "not-a-blob", "matchedIds": nothing},
    ]


async def test_a_foreign_blob_is_found_nowhere(jmap: Jmap, new_jmap: NewJmap) -> None:
    other = await new_jmap()
    foreign = f"BM{(await other.receive()).message_id}"
    told = await jmap.call("Blob/lookup", {"typeNames": ["Email"], "ids": [foreign]})
    assert told["list"] == [{"id": foreign, "matchedIds": {"Email": []}}]
    assert (await jmap.call("Blob/get", {"ids": [foreign]}))["notFound"] == [foreign]
    assert (await not_made(jmap, {"data": [{"blobId": foreign}]}))["type"] == "blobNotFound"


async def test_a_type_is_looked_up_only_with_its_capability(jmap: Jmap) -> None:
    refusal = await jmap.refusal("Blob/lookup", {"typeNames": ["Calendar"], "ids": []})
    assert refusal["type"] == "unknownDataType"
    without = await jmap.post(
        {
            "using": [CORE, BLOB],
            "methodCalls": [["Blob/lookup", {"accountId": jmap.account_id, "typeNames": ["Email"], "ids": []}, "0"]],
        }
    )
    assert without.json()["methodResponses"][0][1]["type"] == "unknownDataType"


async def test_there_is_nowhere_to_copy_a_blob_to(jmap: Jmap) -> None:
    blob = await jmap.upload(b"x")
    same = await jmap.refusal("Blob/copy", {"fromAccountId": jmap.account_id, "blobIds": [blob]})
    assert same["type"] == "invalidArguments"
    assert (await jmap.refusal("Blob/copy", {"fromAccountId": "A1", "blobIds": [blob]}))[
        "type"
    ] == "fromAccountNotFound"
