"""Command lines and what they mean."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.pop3.wire.commands import Auth, List, Pass, Retr, Top, Uidl, User
from mailserver.pop3.wire.framing import LineFramer, LineTooLong
from mailserver.pop3.wire.parse import CommandInvalid, parse


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"list", List(None)),
        (b"LIST 2", List(2)),
        (b"uidl ", Uidl(None)),
        (b"RETR 10", Retr(10)),
        (b"TOP 1 0", Top(1, 0)),
        (b"USER ada@example.com", User("ada@example.com")),
        ("USER 爱达@例子.test".encode(), User("爱达@例子.test")),
        (b"PASS two words ", Pass("two words ")),
        (b"auth", Auth(None)),
        (b"AUTH plain AGE=", Auth("PLAIN", b"AGE=")),
    ],
)
def test_a_line_is_read(line: bytes, command: object) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"RETR",
        b"RETR 0",
        b"RETR -1",
        b"RETR 99999999999",
        b"TOP 1",
        b"TOP x 1",
        b"QUIT now",
        b"USER",
        b"USER \xff",
    ],
)
def test_a_line_that_is_no_command_is_refused(line: bytes) -> None:
    with pytest.raises(CommandInvalid):
        parse(line)


@given(st.binary(max_size=100))
def test_any_octets_are_a_command_or_refused(line: bytes) -> None:
    with contextlib.suppress(CommandInvalid):
        parse(line)


@given(st.lists(st.binary(max_size=20).filter(lambda each: b"\n" not in each and b"\r" not in each)), st.data())
def test_how_the_network_splits_octets_never_matters(lines: list[bytes], data: st.DataObject) -> None:
    octets = b"".join(line + b"\r\n" for line in lines)
    framer = LineFramer(20)
    found = []
    while octets:
        size = data.draw(st.integers(1, len(octets)))
        framer.receive(octets[:size])
        octets = octets[size:]
        while (line := framer.next_line()) is not None:
            found.append(line)
    assert found == lines


def test_a_line_without_end_is_not_kept() -> None:
    framer = LineFramer(10)
    for _ in range(100):
        framer.receive(b"x" * 1000)
        assert framer.next_line() is None
        assert framer.buffered_octets <= 1000
    framer.receive(b"\r\nNOOP\r\n")
    assert framer.next_line() == LineTooLong()
    assert framer.next_line() == b"NOOP"
