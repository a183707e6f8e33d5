"""Modified UTF-7 has one form for each name, and nothing else is taken for it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailserver.imap.wire.mailbox_name import (
    MailboxNameUndecodable,
    canonical,
    decode_mailbox_name,
    encode_mailbox_name,
)

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"INBOX", "INBOX"),
        (b"R&-D", "R&D"),
        (b"&-&-", "&&"),
        (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
        (b"&XfJT0ZAB-", "已发送"),
        (b"&2D3cjA-", "💌"),
        (b"&AOk-t&AOk-", "été"),
        (b"&U,BTFw-&-&ZeVnLIqe-", "台北&日本語"),
        (b"a+b,c", "a+b,c"),
        (b"", ""),
    ],
)
def test_names_have_one_form_on_the_wire(octets: bytes, name: str) -> None:
    assert decode_mailbox_name(octets) == name
    assert encode_mailbox_name(name, utf8=not octets.isascii()) == octets


@pytest.mark.parametrize(
    "octets",
    [
        b"&",
        b"R&D",
        b"&Jjo",
        b"&Jjo!",
        b"&U,BTFw-&ZeVnLIqe-",  # two runs where one would do (RFC 3501 §5.1.3)
        b"&AGE-",  # "a" needs no run
        b"&ACY-",  # nor does "&"
        b"&Jj-",  # not a whole number of UTF-16 units
        b"&Jjp-",  # bits after the last unit that are not zero
        b"&Jjo=-",
        b"&Jj/o-",
        b"&2D0-",  # half of a surrogate pair
        b"&3Iw-",
        b"&AAA-",  # NUL
        b"\xe5\x8f",  # half of a character in UTF-8
        "R&D 台北".encode(),  # UTF-8 or modified UTF-7?
        b"tab\tin it",
        b"\x7f",
    ],
)
def test_anything_else_is_refused(octets: bytes) -> None:
    with pytest.raises(MailboxNameUndecodable):
        decode_mailbox_name(octets)


@given(name=NAMES)
@example(name="\r\n")
def test_every_name_comes_back(name: str) -> None:
    octets = encode_mailbox_name(name)
    assert octets.isascii()
    assert octets.decode("ascii").isprintable()
    assert decode_mailbox_name(octets) == name


@given(octets=st.binary(max_size=20) | st.from_regex(rb"\A[a&]*&[A-Za-z0-9+,]{0,9}-[a&]*\Z"))
def test_what_can_be_read_is_written_the_same_way(octets: bytes) -> None:
    try:
        name = decode_mailbox_name(octets)
    except MailboxNameUndecodable:
        return
    assert encode_mailbox_name(name, utf8=not octets.isascii()) == octets


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("inbox", "INBOX"),
        ("iNbOx", "INBOX"),
        ("Inbox/Work", "INBOX/Work"),
        ("inboxes", "inboxes"),
        ("Work/inbox", "Work/inbox"),
        ("ınbox", "ınbox"),
        ("", ""),
    ],
)
def test_inbox_has_one_spelling(name: str, expected: str) -> None:
    assert canonical(name) == expected


@pytest.mark.parametrize("name", ["台北", "R&D", "R&D 台北", "&ZeVnLIqe-", "💌", "INBOX"])
def test_with_utf8_enabled_names_stand_for_themselves(name: str) -> None:
    assert decode_mailbox_name(name.encode(), utf8=True) == name
    assert encode_mailbox_name(name, utf8=True) == name.encode()


def test_a_name_in_utf8_is_understood_before_it_is_enabled() -> None:
    assert decode_mailbox_name("台北".encode()) == "台北"


def test_octets_that_are_not_utf8_name_nothing() -> None:
    with pytest.raises(MailboxNameUndecodable):
        decode_mailbox_name(b"\xc0\xaf", utf8=True)
