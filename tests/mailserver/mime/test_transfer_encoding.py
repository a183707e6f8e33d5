"""Transfer encodings undone in pieces are what they are undone at once."""

import base64
import quopri
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.mime.transfer_encoding import UnknownEncoding, decoded, decoding


def in_pieces(octets: bytes, cuts: list[int], encoding: str, *, is_text: bool) -> bytes:
    decoder = decoding(encoding, is_text=is_text)
    places = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    fed = [decoder.feed(octets[first:last]) for first, last in pairwise(places)]
    return b"".join(fed) + decoder.end()


CUTS = st.lists(st.integers(0, 10_000), max_size=8)


@given(st.binary(max_size=2000), st.integers(1, 100), CUTS)
def test_base64_comes_back_however_it_is_cut(octets: bytes, width: int, cuts: list[int]) -> None:
    encoded = base64.b64encode(octets)
    lines = b"\r\n".join(encoded[at : at + width] for at in range(0, len(encoded), width))
    assert in_pieces(lines, cuts, "base64", is_text=False) == octets


@given(st.binary(max_size=2000), CUTS)
def test_quoted_printable_comes_back_however_it_is_cut(octets: bytes, cuts: list[int]) -> None:
    encoded = quopri.encodestring(octets).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    whole = decoded(encoded, "quoted-printable", is_text=False)
    assert in_pieces(encoded, cuts, "quoted-printable", is_text=False) == whole


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n"])).map(b"".join), CUTS)
def test_text_has_crlf_for_every_line_end(octets: bytes, cuts: list[int]) -> None:
    expected = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert in_pieces(octets, cuts, "8bit", is_text=True) == expected
    assert in_pieces(octets, cuts, "binary", is_text=False) == octets


@pytest.mark.parametrize(
    ("encoded", "octets"),
    [
        (b"aGk=", b"hi"),
        (b"aGk", b"hi"),
        (b"a G\0k*=", b"hi"),
        (b"aGk=\r\n-- \r\nAn advert", b"hi"),
        (b"aGlh", b"hia"),
        (b"aGlhb", b"hia"),
        (b"", b""),
    ],
)
def test_broken_base64_gives_what_it_can(encoded: bytes, octets: bytes) -> None:
    assert decoded(encoded, "base64", is_text=False) == octets


@pytest.mark.parametrize("encoding", ["x-uuencode", "x-rot13", "quoted/printable"])
def test_what_nobody_knows_is_refused(encoding: str) -> None:
    with pytest.raises(UnknownEncoding):
        decoding(encoding, is_text=False)
