"""People read back from the ENVELOPE are those of the header."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.mime.addresses import parse_addresses
from mailserver.mime.description import describe
from mailserver.mime.envelope_people import (
    people_of_envelope,
    people_of_fields,
    sort_display,
    sort_mailbox,
    written,
)
from mailserver.mime.fields import parse_fields


def header(**fields: str) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode() + b"\r\n"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("Ann <ann@a.test>", "Ann <ann@a.test>"),
        ("ann@a.test", "<ann@a.test>"),
        ('"Doe, John" <j@x.test>, bob@b.test', "Doe, John <j@x.test>, <bob@b.test>"),
        ('"a \\"b\\" \\\\ c" <q@x.test>', 'a "b" \\ c <q@x.test>'),
        ("=?UTF-8?B?546L5bCP5piO?= <w@x.test>", "王小明 <w@x.test>"),
        ("王小明 <w@x.test>", "王小明 <w@x.test>"),
        ("friends: a@x.test, B <b@x.test>;", "friends:, <a@x.test>, B <b@x.test>"),
        ("undisclosed-recipients:;", "undisclosed-recipients:"),
        ("root", "root"),
        ("M <m@xn--bcher-kva.example>", "M <m@xn--bcher-kva.example> <m@bücher.example>"),
        ("M <m@bücher.example>", "M <m@xn--bcher-kva.example> <m@bücher.example>"),
        ("parens (in a) <p@x.test>", "parens <p@x.test>"),
    ],
)
def test_addresses_are_written_for_people_and_programs(field: str, text: str) -> None:
    found = people_of_envelope(describe(header(To=field)).envelope.decode())
    assert found is not None
    assert written(found.to) == text
    assert found.senders == found.cc == found.bcc == []


def test_every_list_is_in_its_place() -> None:
    octets = header(From="f@x.test", Sender="s@x.test", To="t@x.test", Cc="c@x.test", Bcc="b@x.test")
    found = people_of_envelope(describe(octets).envelope.decode())
    assert found is not None
    assert [written(each) for each in (found.senders, found.to, found.cc, found.bcc)] == [
        "<f@x.test>", "<t@x.test>", "<c@x.test>", "<b@x.test>",
    ]  # fmt: skip


def test_an_envelope_with_literals_is_left_to_the_header() -> None:
    long = describe(header(Subject="x" * 2000, From="Ann <ann@a.test>"))
    assert people_of_envelope(long.envelope.decode()) is None


@pytest.mark.parametrize(
    ("field", "mailbox", "shown"),
    [
        ("Zoe <adam@a.test>", "adam", "Zoe"),
        ("mia@a.test", "mia", "mia@a.test"),
        ("list: a@x.test;", "list", "list"),
        ("root", "root", "root"),
        ("", "", ""),
    ],
)
def test_what_is_compared_of_the_first_address(field: str, mailbox: str, shown: str) -> None:
    addresses = parse_addresses(field)
    assert (sort_mailbox(addresses), sort_display(addresses)) == (mailbox, shown)


simple = st.text(alphabet='ab "\\(),<>@.:;王é', max_size=20)


@given(simple, simple)
def test_the_envelope_tells_of_the_same_people_as_the_header(name: str, rest: str) -> None:
    octets = header(From=f"{name} <x@y.test>", To=rest)
    found = people_of_envelope(describe(octets).envelope.decode())
    expected = people_of_fields(parse_fields(octets))
    assert found is not None
    assert [each.mailbox for each in found.senders if each.host] == [
        each.mailbox for each in expected.senders if each.host
    ]
    assert len(found.to) == len(expected.to)
