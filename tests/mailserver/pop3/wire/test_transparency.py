"""Dots, ends and tops of messages, however the store cuts them into pieces."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from mailserver.pop3.wire.transparency import DotStuffer, TopCutter

TEXT = st.text(alphabet="a.\r\n", max_size=60).map(str.encode)


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(octets), *(place % (len(octets) + 1) for place in places)})
    return [octets[a:b] for a, b in itertools.pairwise(edges)]


def sent(pieces: list[bytes]) -> bytes:
    stuffer = DotStuffer()
    return b"".join([stuffer.feed(piece) for piece in pieces]) + stuffer.finish()


def received(octets: bytes) -> bytes:
    """As a client that takes CRLF for the only line end reads the answer, and nothing behind it."""
    lines = []
    for line in octets.split(b"\r\n"):
        if line == b".":
            break
        lines.append(line.removeprefix(b"."))
    return b"".join(line + b"\r\n" for line in lines)


@given(TEXT, st.lists(st.integers(0, 99), max_size=5))
def test_where_the_pieces_are_cut_never_matters(octets: bytes, places: list[int]) -> None:
    assert sent(cut(octets, places)) == sent([octets])


@given(st.lists(st.text(alphabet="a.", max_size=5), max_size=8))
def test_a_message_of_whole_lines_comes_out_as_it_went_in(lines: list[str]) -> None:
    octets = "".join(f"{line}\r\n" for line in lines).encode()
    assert received(sent([octets])) == octets


@given(TEXT)
def test_no_message_ends_its_own_answer(octets: bytes) -> None:
    said = sent([octets])
    assert said.endswith(b"\r\n.\r\n") or said == b".\r\n"
    assert b"\n.\r\n" not in said[:-3].removesuffix(b"\r\n")
    assert b"\n.\n" not in said


@given(TEXT, st.integers(0, 9), st.lists(st.integers(0, 99), max_size=5))
def test_a_top_is_the_header_and_so_many_lines(body: bytes, lines: int, places: list[int]) -> None:
    header = b"Subject: a\r\n\r\n"
    cutter = TopCutter(header_octets=len(header), lines=lines)
    found = b"".join([cutter.feed(piece) for piece in cut(header + body, places)])
    assert found == header + b"".join(_lines(body)[:lines])


def _lines(body: bytes) -> list[bytes]:
    return [line + b"\n" for line in body.split(b"\n")[:-1]] + ([body.split(b"\n")[-1]] if body else [])
