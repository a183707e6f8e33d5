"""Messages with NULs, made fit for a literal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.mime.nul import NulNotEncodable, without_nul
from mailserver.mime.structure import scan
from mailserver.mime.transfer_encoding import decoded

PICTURE = bytes(range(256)) * 3


def leaves(octets: bytes) -> list[bytes]:
    return [
        decoded(octets[part.body_offset : part.body_offset + part.body_octets], part.encoding, is_text=False)
        for part in scan(octets).walk()
        if not part.children
    ]


def mixed(*parts: bytes, encoding: bytes = b"binary") -> bytes:
    head = b"From: a@b.test\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: " + encoding
    head += b"\r\nContent-Type: multipart/mixed;\r\n boundary=frontier\r\n\r\nPreamble\r\n"
    return head + b"".join(b"--frontier\r\n" + part + b"\r\n" for part in parts) + b"--frontier--\r\n"


def test_parts_with_a_nul_come_in_base64_and_the_others_as_they_are() -> None:
    text = b"Content-Type: text/plain\r\n\r\nHello"
    picture = (
        b"Content-Type: image/x-made\r\nContent-Transfer-Encoding:\r\n binary\r\nContent-ID: <1>\r\n\r\n" + PICTURE
    )
    message = mixed(text, picture)
    shown = without_nul(message)
    assert b"\0" not in shown
    assert leaves(shown) == leaves(message) == [b"Hello", PICTURE]
    assert text in shown
    assert b"Content-Type: image/x-made\r\nContent-ID: <1>\r\nContent-Transfer-Encoding: base64\r\n\r\n" in shown
    assert [part.encoding for part in scan(shown).walk()] == ["8bit", "7bit", "base64"]


def test_a_message_that_is_one_part_becomes_a_mime_message() -> None:
    shown = without_nul(b"Subject: x\r\n\r\na\0b\r\n")
    assert shown == (b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nYQBiDQo=\r\n")


def test_parts_of_messages_within_are_reached() -> None:
    inner = b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\0y"
    assert leaves(without_nul(mixed(inner))) == [b"x\0y"]


@pytest.mark.parametrize(
    "message",
    [
        b"Subject: a\0b\r\n\r\nx",
        mixed(b"Content-Type: text/plain\r\n\r\nx").replace(b"Preamble", b"Pre\0mble"),
        b"Content-Transfer-Encoding: base64\r\n\r\nYQ\0==\r\n",
        b"Content-Transfer-Encoding: x-other\r\n\r\n\0\r\n",
    ],
    ids=["header", "preamble", "base64", "unknown"],
)
def test_a_nul_that_no_encoding_covers_is_refused(message: bytes) -> None:
    with pytest.raises(NulNotEncodable):
        without_nul(message)


@given(st.lists(st.binary(max_size=200).filter(lambda octets: b"--frontier" not in octets), min_size=1, max_size=4))
def test_whatever_the_parts_hold_comes_back(bodies: list[bytes]) -> None:
    message = mixed(*(b"Content-Type: application/x\r\nContent-Transfer-Encoding: binary\r\n\r\n" + b for b in bodies))
    shown = without_nul(message)
    assert b"\0" not in shown
    assert leaves(shown) == leaves(message)
