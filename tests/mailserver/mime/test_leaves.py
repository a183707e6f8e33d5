import base64
import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.mime.leaves import base64_layout, leaves_over
from mailserver.mime.part import Part
from mailserver.mime.structure import scan


def part_of(body: bytes, encoding: str = "base64") -> Part:
    return Part(encoding=encoding, body_octets=len(body))


def encode(decoded: bytes, line_octets: int, *, ends_in_crlf: bool) -> bytes:
    """What storage does to give the message back."""
    joined = binascii.b2a_base64(decoded, newline=False)
    lines = [joined[start : start + line_octets] for start in range(0, len(joined), line_octets)]
    return b"\r\n".join(lines) + (b"\r\n" if ends_in_crlf else b"")


@given(st.binary(min_size=1, max_size=400), st.sampled_from([4, 8, 60, 64, 72, 76, 1000]), st.booleans())
def test_regular_base64_is_recognised_and_given_back_exactly(decoded: bytes, line_octets: int, ends_in_crlf: bool):
    body = encode(decoded, line_octets, ends_in_crlf=ends_in_crlf)
    layout = base64_layout(body, part_of(body))
    assert layout is not None
    assert layout.decoded == decoded
    assert encode(layout.decoded, layout.line_octets, ends_in_crlf=layout.ends_in_crlf) == body


@given(
    st.lists(
        st.sampled_from([b"QUJD", b"QUI=", b"QQ==", b"QR==", b"\r\n", b"\n", b" ", b"=", b"A", b"*", b"\r"]),
        max_size=12,
    )
)
def test_whatever_is_recognised_is_given_back_exactly(pieces: list[bytes]):
    body = b"".join(pieces)
    layout = base64_layout(body, part_of(body))
    if layout is not None:
        assert encode(layout.decoded, layout.line_octets, ends_in_crlf=layout.ends_in_crlf) == body


@given(
    st.lists(
        st.sampled_from([b"QUJD", b"QUJDQUJD\r\n", b"QUI=", b"QQ==", b"QR==", b"\r\n", b"\n", b" ", b"=", b"A", b"\r"]),
        max_size=40,
    ),
    st.integers(1, 60),
)
def test_how_much_is_looked_at_at_once_never_matters(pieces: list[bytes], block_octets: int):
    body = b"".join(pieces)
    whole, in_blocks = base64_layout(body, part_of(body)), base64_layout(body, part_of(body), block_octets=block_octets)
    assert (whole is None) == (in_blocks is None)
    if whole is not None and in_blocks is not None:
        assert (whole.line_octets, whole.ends_in_crlf) == (in_blocks.line_octets, in_blocks.ends_in_crlf)
        assert whole.decoded == in_blocks.decoded[:]
        assert len(whole.decoded) == len(in_blocks.decoded)


@given(
    st.binary(min_size=1, max_size=600),
    st.sampled_from([4, 8, 60, 76, 1000]),
    st.booleans(),
    st.integers(0, 700),
    st.integers(0, 700),
)
def test_any_slice_is_decoded_where_it_lies(decoded: bytes, line: int, ends_in_crlf: bool, start: int, stop: int):
    body = b"--b\r\n" + encode(decoded, line, ends_in_crlf=ends_in_crlf) + b"\r\n--b--"
    part = Part(encoding="base64", body_offset=5, body_octets=len(body) - 12)
    layout = base64_layout(body, part, block_octets=1)
    assert layout is not None
    assert layout.decoded[start:stop] == decoded[start:stop]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"QUJD\n",
        b"QUJD\r\nQUJDQUJD\r\n",
        b"QUJDQUJD\r\nQUJD\r\nQUJDQUJD\r\n",
        b"QUJD\r\n\r\n",
        b"\r\nQUJD\r\n",
        b"QUJD \r\n",
        b"QR==",  # bits of the padding are set
        b"QQ",
        b"QQ==QQ==",
        b"QUJDQ\r\nUJD",
        b"!!!!",
        b"-----BEGIN",
    ],
)
def test_irregular_base64_is_stored_as_it_is(body: bytes):
    assert base64_layout(body, part_of(body)) is None


def test_only_parts_that_say_base64_are_decoded():
    assert base64_layout(b"QUJD", part_of(b"QUJD", "7bit")) is None


def test_large_leaves_are_found_wherever_they_stand():
    big = base64.encodebytes(b"x" * 1000).replace(b"\n", b"\r\n")
    message = (
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nsmall\r\n"
        b"--a\r\nContent-Type: message/rfc822\r\n\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + big + b"\r\n--b--\r\n--a\r\n\r\n" + b"y" * 900 + b"\r\n--a--\r\n"
    )
    leaves = leaves_over(scan(message), 800)
    assert [leaf.encoding for leaf in leaves] == ["base64", "7bit"]
    assert [message[leaf.body_offset : leaf.body_offset + leaf.body_octets] for leaf in leaves] == [big, b"y" * 900]
    assert base64_layout(message, leaves[0]) is not None
