"""Emails that a client makes: the rules of RFC 8621 §4.6, and that what is written reads the same."""

import string
import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.mime.structure import scan
from webmail.jmap.answer_room import AnswerRoom
from webmail.jmap.email_bodies import body_lists, body_tree
from webmail.jmap.email_composing import Stamp, compose
from webmail.jmap.email_creation import parse_creation
from webmail.jmap.email_wanted import DEFAULT_OF_PARTS, PROPERTIES, PartWanted, ValuesWanted, Wanted
from webmail.jmap.email_whole import parsed_email
from webmail.jmap.errors import JsonObject, SetError
from webmail.jmap.header_properties import CONVENIENCE, parse_header_property
from webmail.jmap.ids import PartPath

STAMP = Stamp("made@waypost.test", datetime(2026, 11, 2, 12, 0, tzinfo=UTC), "token")


def written(email: JsonObject, blobs: dict[str, bytes] | None = None) -> bytes:
    return compose(parse_creation(email), blobs or {}, STAMP)


def blob_id(path: PartPath) -> str:
    return "-".join(map(str, path))


def read(octets: bytes, *more: str, **values: Any) -> JsonObject:
    """Every property, with all values."""
    headers = (*CONVENIENCE.values(), *map(parse_header_property, more))
    wanted = Wanted(
        PROPERTIES,
        headers,
        PartWanted(frozenset(DEFAULT_OF_PARTS), ()),
        ValuesWanted(True, True, True, values.get("most_octets", 0)),
    )
    found = parsed_email(octets, wanted, blob_id, AnswerRoom())
    assert found is not None
    return found


def refused(email: JsonObject) -> list[str]:
    with pytest.raises(SetError) as refusal:
        parse_creation(email)
    assert refusal.value.kind == "invalidProperties"
    return list(refusal.value.properties)


def test_the_first_draft_of_the_rfc() -> None:
    octets = written(
        {
            "mailboxIds": {"F1": True},
            "keywords": {"$seen": True, "$draft": True},
            "from": [{"name": "Joe Bloggs", "email": "joe@example.com"}],
            "subject": "World domination",
            "receivedAt": "2018-07-10T01:03:11Z",
            "sentAt": "2018-07-10T11:03:11+10:00",
            "bodyStructure": {"type": "text/plain", "partId": "bd48", "header:Content-Language": "en"},
            "bodyValues": {"bd48": {"value": "I have the most brilliant plan.", "isTruncated": False}},
        }
    )
    assert octets == (
        b"Message-ID: <made@waypost.test>\r\n"
        b"From: Joe Bloggs <joe@example.com>\r\n"
        b"Subject: World domination\r\n"
        b"Date: Tue, 10 Jul 2018 11:03:11 +1000\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Language:en\r\n"
        b"\r\n"
        b"I have the most brilliant plan."
    )


def test_the_second_draft_of_the_rfc_has_two_alternatives() -> None:
    found = read(
        written(
            {
                "from": [{"name": "Joe Bloggs", "email": "joe@example.com"}],
                "to": [{"name": "John", "email": "john@example.com"}],
                "subject": "World domination",
                "sentAt": "2018-07-10T11:05:08+10:00",
                "bodyStructure": {
                    "type": "multipart/alternative",
                    "subParts": [
                        {"partId": "a49d", "type": "text/html", "header:Content-Language": "en"},
                        {"partId": "bd48", "type": "text/plain", "header:Content-Language": "en"},
                    ],
                },
                "bodyValues": {
                    "bd48": {"value": "I have the most brilliant plan.", "isTruncated": False},
                    "a49d": {"value": "<b>brilliant</b>", "isTruncated": False},
                },
            }
        )
    )
    assert found["to"] == [{"name": "John", "email": "john@example.com"}]
    assert found["sentAt"] == "2018-07-10T11:05:08+10:00"
    assert [part["type"] for part in found["textBody"]] == ["text/plain"]
    assert [part["type"] for part in found["htmlBody"]] == ["text/html"]
    assert found["htmlBody"][0]["language"] == ["en"]
    assert found["bodyValues"]["2"]["value"] == "I have the most brilliant plan."


def test_an_email_of_nothing_is_an_empty_text() -> None:
    found = read(written({}))
    assert found["messageId"] == ["made@waypost.test"]
    assert found["sentAt"] == "2026-11-02T12:00:00Z"
    assert found["bodyValues"] == {"1": {"value": "", "isEncodingProblem": False, "isTruncated": False}}


TEXT = {"t": {"value": "text"}, "h": {"value": "<p>html</p>"}}
TEXT_BODY = [{"partId": "t", "type": "text/plain"}]
HTML_BODY = [{"partId": "h", "type": "text/html"}]


def types(part: JsonObject) -> Any:
    return (part["type"], *map(types, part["subParts"])) if "subParts" in part else part["type"]


@pytest.mark.parametrize(
    ("email", "structure"),
    [
        ({"textBody": TEXT_BODY}, "text/plain"),
        ({"htmlBody": HTML_BODY}, "text/html"),
        ({"textBody": TEXT_BODY, "htmlBody": HTML_BODY}, ("multipart/alternative", "text/plain", "text/html")),
        (
            {"textBody": TEXT_BODY, "attachments": [{"blobId": "a", "type": "image/png"}]},
            ("multipart/mixed", "text/plain", "image/png"),
        ),
        (
            {
                "textBody": TEXT_BODY,
                "htmlBody": HTML_BODY,
                "attachments": [
                    {"blobId": "a", "type": "image/png", "cid": "logo", "disposition": "inline"},
                    {"blobId": "a", "type": "application/pdf", "name": "报告.pdf"},
                ],
            },
            (
                "multipart/mixed",
                ("multipart/alternative", "text/plain", ("multipart/related", "text/html", "image/png")),
                "application/pdf",
            ),
        ),
        ({"attachments": [{"blobId": "a", "type": "image/png"}]}, ("multipart/mixed", "image/png")),
    ],
)
def test_bodies_and_attachments_become_the_usual_structure(email: JsonObject, structure: Any) -> None:
    found = read(written({**email, "bodyValues": TEXT}, {"a": b"\x89PNG" * 100}))
    assert types(found["bodyStructure"]) == structure
    assert [part["type"] for part in found["textBody"]] == (
        ["text/plain"] if "textBody" in email else ["text/html"] if "htmlBody" in email else []
    )
    assert len(found["attachments"]) == len(email.get("attachments", []))


def test_an_attachment_comes_out_octet_for_octet_with_its_name() -> None:
    octets = written(
        {
            "textBody": TEXT_BODY,
            "bodyValues": TEXT,
            "attachments": [{"blobId": "a", "type": "application/pdf", "name": "季度 报告 — “final”; v2.pdf" * 3}],
        },
        {"a": bytes(range(256)) * 1000},
    )
    (attachment,) = read(octets)["attachments"]
    assert attachment["name"] == "季度 报告 — “final”; v2.pdf" * 3
    assert attachment["size"] == 256_000
    assert attachment["disposition"] == "attachment"
    assert octets.isascii()


def test_a_message_is_attached_as_it_is() -> None:
    inner = b"Subject: inner\r\n\r\nHello\r\n"
    email = {"attachments": [{"blobId": "m", "type": "message/rfc822"}], "textBody": TEXT_BODY, "bodyValues": TEXT}
    octets = written(email, {"m": inner})
    assert inner in octets
    assert b"base64" not in octets
    assert read(octets)["attachments"][0]["size"] == len(inner)


@pytest.mark.parametrize(
    ("email", "wrong"),
    [
        ({"headers": []}, ["headers"]),
        ({"id": "M1"}, ["id"]),
        ({"hasAttachment": False}, ["hasAttachment"]),
        ({"nonsense": 1}, ["nonsense"]),
        ({"from": [], "header:From:asAddresses": []}, ["header:From:asAddresses", "from"]),
        ({"header:X-A": " a", "header:x-a:asText": "b"}, ["header:x-a:asText", "header:X-A"]),
        ({"header:From:asDate": "2018-07-10T11:05:08Z"}, ["header:From:asDate"]),
        ({"header:Content-Type": " text/plain"}, ["header:Content-Type"]),
        ({"header:X-A": " a\r\nBcc: everybody@example.com"}, ["header:X-A"]),
        ({"header:X-A": " a\nb"}, ["header:X-A"]),
        ({"header:X-A": " a\0"}, ["header:X-A"]),
        ({"subject": 5}, ["subject"]),
        ({"to": {"email": "a@b"}}, ["to"]),
        ({"to": [{"email": "a@b\r\nBcc: c@d"}]}, ["to"]),
        ({"to": [{"name": "A"}]}, ["to"]),
        ({"messageId": ["<a@b>"]}, ["messageId"]),
        ({"sentAt": "yesterday"}, ["sentAt"]),
        ({"sentAt": "2018-02-30T11:05:08Z"}, ["sentAt"]),
        ({"bodyStructure": {"partId": "t"}, "textBody": TEXT_BODY, "bodyValues": TEXT}, ["textBody"]),
        (
            {"subject": "a", "bodyStructure": {"partId": "t", "header:Subject:asText": "b"}, "bodyValues": TEXT},
            ["bodyStructure/header:Subject:asText"],
        ),
        ({"textBody": [*TEXT_BODY, *TEXT_BODY], "bodyValues": TEXT}, ["textBody"]),
        ({"textBody": [], "bodyValues": TEXT}, ["textBody"]),
        ({"textBody": HTML_BODY, "bodyValues": TEXT}, ["textBody/0/type"]),
        ({"htmlBody": TEXT_BODY, "bodyValues": TEXT}, ["htmlBody/0/type"]),
        ({"textBody": [{"partId": "nobody", "type": "text/plain"}]}, ["textBody/0/partId"]),
        ({"textBody": [{"type": "text/plain"}]}, ["textBody/0/partId"]),
        (
            {"textBody": [{"partId": "t", "blobId": "b", "type": "text/plain"}], "bodyValues": TEXT},
            ["textBody/0/partId"],
        ),
        ({"textBody": [{**TEXT_BODY[0], "charset": "utf-8"}], "bodyValues": TEXT}, ["textBody/0/charset"]),
        ({"textBody": [{**TEXT_BODY[0], "size": 4}], "bodyValues": TEXT}, ["textBody/0/size"]),
        ({"textBody": [{**TEXT_BODY[0], "headers": []}], "bodyValues": TEXT}, ["textBody/0/headers"]),
        (
            {"textBody": [{**TEXT_BODY[0], "header:Content-Transfer-Encoding": "8bit"}], "bodyValues": TEXT},
            ["textBody/0/header:Content-Transfer-Encoding"],
        ),
        (
            {"textBody": [{**TEXT_BODY[0], "header:Content-Type": "text/plain"}], "bodyValues": TEXT},
            ["textBody/0/header:Content-Type", "textBody/0/type"],
        ),
        (
            {"textBody": [{**TEXT_BODY[0], "cid": "a", "header:Content-ID": "<b>"}], "bodyValues": TEXT},
            ["textBody/0/header:Content-ID", "textBody/0/cid"],
        ),
        ({"bodyValues": {"t": {"value": "a", "isTruncated": True}}}, ["bodyValues/t/isTruncated"]),
        ({"bodyValues": {"t": {"value": "a", "isEncodingProblem": True}}}, ["bodyValues/t/isEncodingProblem"]),
        ({"bodyValues": {"t": {}}}, ["bodyValues/t"]),
        ({"bodyStructure": {"type": "multipart/mixed"}}, ["bodyStructure/subParts"]),
        (
            {"bodyStructure": {"type": "text/plain", "partId": "t", "subParts": []}, "bodyValues": TEXT},
            ["bodyStructure/subParts"],
        ),
        ({"attachments": [{"blobId": "a", "type": "a b"}]}, ["attachments/0/type"]),
        ({"attachments": [{"blobId": "a", "disposition": "in line"}]}, ["attachments/0/disposition"]),
        ({"attachments": [{"blobId": "a", "cid": "<a>"}]}, ["attachments/0/cid"]),
        ({"attachments": [{"blobId": "a", "language": "en"}]}, ["attachments/0/language"]),
        ({"attachments": [{"blobId": "a", "location": "a b"}]}, ["attachments/0/location"]),
        ({"attachments": "a"}, ["attachments"]),
        ({"attachments": [5]}, ["attachments/0"]),
    ],
    ids=str,
)
def test_what_the_rfc_forbids_is_refused_by_name(email: JsonObject, wrong: list[str]) -> None:
    assert refused(email) == wrong


def test_what_is_null_may_stand_there() -> None:
    part = {**TEXT_BODY[0], "blobId": None, "charset": None, "size": None, "name": None, "subParts": None}
    email = {"textBody": [part], "bodyValues": TEXT, "cc": None, "htmlBody": None, "header:X-A": None}
    assert read(written(email))["bodyValues"]["1"]["value"] == "text"


def test_a_client_may_write_the_content_type_itself() -> None:
    octets = written(
        {
            "bodyStructure": {"partId": "c", "header:Content-Type": " text/calendar; method=REQUEST"},
            "bodyValues": {"c": {"value": "BEGIN:VCALENDAR 你好"}},
        }
    )
    assert b"Content-Type: text/calendar; method=REQUEST;\r\n charset=utf-8\r\n" in octets
    assert read(octets)["bodyValues"]["1"]["value"] == "BEGIN:VCALENDAR 你好"


def test_every_header_form_reads_as_it_was_given() -> None:
    given = {
        "header:X-Raw": "  two\r\n folded",
        "header:X-Text:asText": "Grüße an alle",
        "header:X-Ids:asMessageIds": ["a@b", "c@d"],
        "header:X-Date:asDate": "2018-07-10T11:03:11+10:00",
        "header:List-Post:asURLs": ["mailto:a@b?subject=c,d", "https://example.com/(x)"],
        "header:Resent-To:asAddresses:all": [
            [{"name": "Ann, B.", "email": "ann@example.com"}],
            [{"name": None, "email": "b@example.com"}, {"name": "李雷", "email": "li@example.com"}],
        ],
        "header:X-Groups:asGroupedAddresses": [
            {"name": None, "addresses": [{"name": None, "email": "a@b"}]},
            {"name": "Team", "addresses": [{"name": "C", "email": "c@d"}, {"name": None, "email": "e@f"}]},
            {"name": "Nobody", "addresses": []},
        ],
    }
    assert {name: value for name, value in read(written(given), *given).items() if name in given} == given


LINE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Zs"], include_characters=" "), max_size=120)
ATOM = st.text(string.ascii_letters + string.digits + "-_+'.", min_size=1, max_size=20).filter(
    lambda text: not text.startswith(".") and not text.endswith(".") and ".." not in text
)
LOCAL = ATOM | st.text(string.ascii_letters + ' ,<>"\\@', min_size=1, max_size=10).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
)


@st.composite
def addresses(draw: st.DrawFn) -> list[JsonObject]:
    count = draw(st.integers(1, 4))
    hosts = st.from_regex(r"[a-z]{1,8}\.example", fullmatch=True)
    return [
        {"name": draw(st.none() | LINE.map(_plain).filter(bool)), "email": f"{draw(ATOM)}@{draw(hosts)}"}
        for _ in range(count)
    ]


def _plain(name: str) -> str:
    """As names are read: white space folded, composed."""
    return unicodedata.normalize("NFC", " ".join(unicodedata.normalize("NFC", name).split()))


@given(
    subject=LINE,
    people=addresses(),
    name=LINE,
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=2000),
    html=st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=300),
    blob=st.binary(max_size=5000),
)
def test_what_is_made_and_read_again_is_the_same(
    subject: str, people: list[JsonObject], name: str, text: str, html: str | None, blob: bytes
) -> None:
    email: JsonObject = {
        "subject": subject,
        "from": people,
        "cc": people,
        "textBody": [{"partId": "t", "type": "text/plain"}],
        "attachments": [{"blobId": "b", "type": "application/x-thing", "name": name}],
        "bodyValues": {"t": {"value": text}},
    }
    if html is not None:
        email["htmlBody"] = [{"partId": "h", "type": "text/html"}]
        email["bodyValues"]["h"] = {"value": html}
    octets = written(email, {"b": blob})
    assert octets.isascii()
    assert all(len(line) <= 998 for line in octets.split(b"\r\n"))
    found = read(octets)
    assert found["subject"] == unicodedata.normalize("NFC", subject.strip())
    assert found["from"] == people
    assert found["cc"] == people
    shown = found["textBody"][0]
    assert found["bodyValues"][shown["partId"]] == {"value": text, "isEncodingProblem": False, "isTruncated": False}
    assert found["attachments"][-1]["size"] == len(blob)
    if html is not None:
        assert found["bodyValues"][found["htmlBody"][0]["partId"]]["value"] == html
    root = scan(octets)
    assert len(body_lists(body_tree(root)).attachments) == 1
