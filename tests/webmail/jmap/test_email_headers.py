"""Header fields in each of the parsed forms (RFC 8621 §4.1.2, §4.1.3)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.jmap.email_headers import FORMS, header_value, headers, parse_fields, select_fields
from webmail.jmap.header_properties import (
    CONVENIENCE,
    Form,
    NotAHeaderProperty,
    is_allowed,
    parse_header_property,
)

HEADER = b"""\
Received: by a\r
Received: by b\r
From: =?utf-8?Q?Gr=C3=A5ce?= <grace@elsewhere.test>\r
To: "  James Smythe" <james@example.com>, Friends:\r
  jane@example.com, =?UTF-8?Q?John_Sm=C3=AEth?=\r
  <john@example.com>;\r
SUBJECT:  Lunch\r
 at noon?\r
X-Empty:\r
no colon here\r
Date: Tue, 10 Jul 2018 11:03:11 +1000 (AEST)\r
Message-ID: <a@b>\r
References: <x@y> (and)\r
 <z@y>\r
List-Post: <mailto:list@example.com> (Postings are moderated), <https://example.com/\r
 post>\r
\r
Subject: of the body\r
"""


def value_of(name: str, header: bytes = HEADER) -> Any:
    wanted = CONVENIENCE.get(name) or parse_header_property(name)
    return header_value(parse_fields(header), wanted)


def test_the_example_of_the_rfc_in_both_address_forms() -> None:
    james = {"name": "James Smythe", "email": "james@example.com"}
    jane = {"name": None, "email": "jane@example.com"}
    john = {"name": "John Smîth", "email": "john@example.com"}
    assert value_of("to") == [james, jane, john]
    assert value_of("header:To:asGroupedAddresses") == [
        {"name": None, "addresses": [james]},
        {"name": "Friends", "addresses": [jane, john]},
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subject", "Lunch at noon?"),
        ("header:subject", "  Lunch\r\n at noon?"),
        ("header:Subject:asRaw", "  Lunch\r\n at noon?"),
        ("header:Received", " by b"),
        ("header:Received:all", [" by a", " by b"]),
        ("header:Nothing", None),
        ("header:Nothing:all", []),
        ("header:Nothing:asURLs:all", []),
        ("header:X-Empty", ""),
        ("header:X-Empty:asText", ""),
        ("header:X-Empty:asDate", None),
        ("header:X-Empty:asAddresses", []),
        ("from", [{"name": "Gråce", "email": "grace@elsewhere.test"}]),
        ("sentAt", "2018-07-10T11:03:11+10:00"),
        ("messageId", ["a@b"]),
        ("references", ["x@y", "z@y"]),
        ("inReplyTo", None),
        ("header:List-Post:asURLs", ["mailto:list@example.com", "https://example.com/post"]),
    ],
)
def test_forms(name: str, value: Any) -> None:
    assert value_of(name) == value


@pytest.mark.parametrize(
    ("date", "value"),
    [
        ("Mon, 02 Nov 2026 10:00:00 +0000", "2026-11-02T10:00:00Z"),
        ("Mon, 02 Nov 2026 10:00:00 -0000", "2026-11-02T10:00:00Z"),
        ("2 Nov 26 10:00 EST", "2026-11-02T10:00:00-05:00"),
        ("Mon, 02 Nov 2026 10:00:00 -0330", "2026-11-02T10:00:00-03:30"),
        ("Mon, 02 Nov 2026 10:00:00 GMT", "2026-11-02T10:00:00Z"),
        ("yesterday", None),
        ("Mon, 31 Feb 2026 10:00:00 +0000", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
    ],
)
def test_dates_keep_their_zone(date: str, value: str | None) -> None:
    assert value_of("sentAt", f"Date: {date}\r\n\r\n".encode()) == value


@pytest.mark.parametrize(
    ("to", "shown"),
    [
        ("bob", [{"name": None, "email": "bob"}]),
        ('"bob smith"@example.com', [{"name": None, "email": '"bob smith"@example.com'}]),
        ("ann@example.com (Ann Lee)", [{"name": "Ann Lee", "email": "ann@example.com"}]),
        ("undisclosed-recipients:;", []),
        ('"a \\"b\\" c" <d@e>', [{"name": 'a "b" c', "email": "d@e"}]),
        ("用户@例子.公司", [{"name": None, "email": "用户@例子.公司"}]),
        ("", []),
    ],
)
def test_addresses_are_read_as_well_as_can_be(to: str, shown: list[dict[str, str | None]]) -> None:
    assert value_of("to", f"To: {to}\r\n\r\n".encode()) == shown


def test_a_group_that_is_empty_and_one_after_single_addresses() -> None:
    header = b"Cc: a@b, Team:; c@d\r\n\r\n"
    assert value_of("header:cc:asGroupedAddresses", header) == [
        {"name": None, "addresses": [{"name": None, "email": "a@b"}]},
        {"name": "Team", "addresses": []},
        {"name": None, "addresses": [{"name": None, "email": "c@d"}]},
    ]


@pytest.mark.parametrize(
    "name",
    [
        "header:",
        "header::asText",
        "header:From:asDate",
        "header:From:asText",
        "header:Subject:asAddresses",
        "header:Received:asText",
        "header:Date:asURLs",
        "header:Subject:astext",
        "header:Subject:all:asText",
        "header:Subject:asText:all:all",
        "header:Subject:asNothing",
        "header:Sub ject",
        "header:Sübject",
    ],
)
def test_malformed_names_and_forbidden_forms_are_refused(name: str) -> None:
    with pytest.raises(NotAHeaderProperty):
        parse_header_property(name)


def test_fields_that_no_rfc_defines_may_be_had_in_any_form() -> None:
    for form in Form:
        assert is_allowed("X-Anything", form)
        assert is_allowed("List-Id", form)


def test_all_headers_in_order_with_their_capitals() -> None:
    shown = headers(parse_fields(HEADER))
    assert [field["name"] for field in shown][:6] == ["Received", "Received", "From", "To", "SUBJECT", "X-Empty"]
    assert shown[4]["value"] == "  Lunch\r\n at noon?"


def test_octets_that_are_not_utf8_are_replaced_in_raw_and_judged_as_text() -> None:
    header = b"Content-Type: text/plain; charset=gb18030\r\nSubject: " + "你好世界".encode("gb18030") + b"\x00\r\n\r\n"
    assert value_of("subject", header) == "你好世界"
    assert "\ufffd" in value_of("header:Subject", header)
    assert header_value(select_fields(header, ["subject"]), CONVENIENCE["subject"]) == "你好世界"


def test_a_header_of_a_hundred_thousand_folds_still_opens() -> None:
    header = b"Subject: x" + b"\r\n y" * 100_000 + b"\r\nTo: a@b" + b",\r\n c@d" * 100_000 + b"\r\n\r\n"
    assert len(value_of("subject", header)) == 200_001
    assert len(value_of("to", header)) <= 2_000


@given(st.binary(max_size=200), st.sampled_from(list(Form)))
def test_no_octets_raise_in_any_form(value: bytes, form: Form) -> None:
    FORMS[form](value, None)


@given(st.binary(max_size=300))
def test_no_header_raises(header: bytes) -> None:
    shown = headers(parse_fields(header))
    assert all(field["name"] for field in shown)
