"""Octets become commands however the network splits them, and limits hold before memory is spent."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.imap.wire.commands import Tag
from mailserver.imap.wire.framing import CommandFramer
from mailserver.imap.wire.framing_events import (
    AppendReady,
    CommandReady,
    CommandRefused,
    ConnectionMustEnd,
    ContinuationNeeded,
    Event,
    FramingLimits,
    LineReady,
    LiteralChunk,
    LiteralEnd,
    NextMessage,
    Refusal,
)

SMALL = FramingLimits(line_octets=40, literal_octets=20, literals=2, append_octets=50, skip_octets=400)


def drain(framer: CommandFramer, *, accept: bool = True) -> list[Event]:
    events: list[Event] = []
    while (event := framer.next_event()) is not None:
        events.append(event)
        if isinstance(event, AppendReady | NextMessage):
            if accept:
                framer.accept_literal()
            else:
                framer.refuse_literal()
    return events


def events_of(*chunks: bytes, limits: FramingLimits | None = None, accept: bool = True) -> list[Event]:
    framer = CommandFramer(limits)
    events: list[Event] = []
    for chunk in chunks:
        framer.receive(chunk)
        events += drain(framer, accept=accept)
    return events


def join_chunks(events: Iterable[Event]) -> list[Event]:
    """The events with adjoining LiteralChunks made one: their borders are the network's."""
    joined: list[Event] = []
    for event in events:
        if isinstance(event, LiteralChunk) and joined and isinstance(last := joined[-1], LiteralChunk):
            joined[-1] = LiteralChunk(last.octets + event.octets)
        else:
            joined.append(event)
    return joined


def refused(refusal: Refusal, tag: bytes | None = b"a1") -> CommandRefused:
    return CommandRefused(None if tag is None else Tag(tag), refusal)


NEXT = CommandReady(b"a2 NOOP")


def test_a_line_is_a_command() -> None:
    assert events_of(b"a1 NOOP\r\n") == [CommandReady(b"a1 NOOP")]


def test_pipelined_commands_come_one_by_one() -> None:
    assert events_of(b"a1 NOOP\r\na2 NOOP\r\na3 LO") == [CommandReady(b"a1 NOOP"), NEXT]


def test_a_bare_lf_ends_a_line_and_blank_lines_are_let_pass() -> None:
    assert events_of(b"a1 NOOP\n\r\n\na2 NOOP\r\n") == [CommandReady(b"a1 NOOP"), NEXT]


def test_a_client_that_waits_is_told_to_go_on() -> None:
    assert events_of(b"a1 LOGIN {5}\r\n", b"alice {6}\r\n", b"secret\r\n") == [
        ContinuationNeeded(),
        ContinuationNeeded(),
        CommandReady(b"a1 LOGIN {5}\r\n {6}\r\n", (b"alice", b"secret")),
    ]


def test_a_non_synchronizing_literal_needs_no_word() -> None:
    assert events_of(b"a1 LOGIN {5+}\r\nalice {007+}\nsec\r\net\r\n") == [
        CommandReady(b"a1 LOGIN {5+}\r\n {007+}\r\n", (b"alice", b"sec\r\net"))
    ]


def test_an_empty_literal_is_a_literal() -> None:
    assert events_of(b"a1 LOGIN x {0+}\r\n\r\n") == [CommandReady(b"a1 LOGIN x {0+}\r\n", (b"",))]


@pytest.mark.parametrize("line", [b"a1 X }", b"a1 X {}", b"a1 X {a}", b"a1 X {3}x", b"a1 X {-1}", b"a1 X {3-}"])
def test_braces_that_announce_nothing_are_left_to_the_parser(line: bytes) -> None:
    assert events_of(line + b"\r\n") == [CommandReady(line)]


def test_the_message_of_append_is_streamed() -> None:
    framer = CommandFramer()
    framer.receive(b"a1 APPEND INBOX (\\Seen) {10}\r\n")
    assert framer.next_event() == AppendReady(b"a1 APPEND INBOX (\\Seen) {10}", (), 10)
    framer.accept_literal()
    assert framer.next_event() == ContinuationNeeded()
    assert framer.next_event() is None
    framer.receive(b"From: ")
    assert drain(framer) == [LiteralChunk(b"From: ")]
    framer.receive(b"a\r\n\r")
    assert drain(framer) == [LiteralChunk(b"a\r\n\r")]
    framer.receive(b"\na2 NOOP\r\n")
    assert drain(framer) == [LiteralEnd(), NEXT]


def test_the_mailbox_of_append_may_be_a_literal() -> None:
    assert events_of(b"a1 append {5+}\r\nINBOX {3+}\r\nabc\r\na2 NOOP\r\n") == [
        AppendReady(b"a1 append {5+}\r\n {3+}", (b"INBOX",), 3, is_synchronizing=False),
        LiteralChunk(b"abc"),
        LiteralEnd(),
        NEXT,
    ]


def test_an_empty_message_has_no_chunk() -> None:
    assert events_of(b"a1 APPEND x {0+}\r\n\r\na2 NOOP\r\n") == [
        AppendReady(b"a1 APPEND x {0+}", (), 0, is_synchronizing=False),
        LiteralEnd(),
        NEXT,
    ]


def test_a_refused_message_that_was_not_sent_is_not_waited_for() -> None:
    assert events_of(b"a1 APPEND x {9}\r\n", b"a2 NOOP\r\n", accept=False) == [
        AppendReady(b"a1 APPEND x {9}", (), 9),
        NEXT,
    ]


def test_a_refused_message_that_is_sent_anyway_is_dropped() -> None:
    assert events_of(b"a1 APPEND x {10+}\r\nx LOGOUT\r\n\r\na2 NOOP\r\n", accept=False) == [
        AppendReady(b"a1 APPEND x {10+}", (), 10, is_synchronizing=False),
        NEXT,
    ]


def test_a_message_can_be_refused_while_it_arrives() -> None:
    framer = CommandFramer()
    framer.receive(b"a1 APPEND x {10}\r\n")
    framer.next_event()
    framer.accept_literal()
    assert framer.next_event() == ContinuationNeeded()
    framer.receive(b"12345")
    assert framer.next_event() == LiteralChunk(b"12345")
    framer.refuse_literal()
    framer.receive(b"6789\n\r\na2 NOOP\r\n")
    assert drain(framer) == [NEXT]


def test_a_message_can_be_refused_when_only_its_line_end_is_missing() -> None:
    framer = CommandFramer()
    framer.receive(b"a1 APPEND x {3+}\r\nabc")
    framer.next_event()
    framer.accept_literal()
    assert drain(framer) == [LiteralChunk(b"abc")]
    framer.refuse_literal()
    framer.receive(b"\r\na2 NOOP\r\n")
    assert drain(framer) == [NEXT]


def test_messages_follow_one_another_and_each_is_decided_on() -> None:
    assert events_of(b'a1 APPEND x {3+}\r\nabc (\\Seen) "d" ~{4+}\r\ndefg {0+}\r\n\r\na2 NOOP\r\n') == [
        AppendReady(b"a1 APPEND x {3+}", (), 3, is_synchronizing=False),
        LiteralChunk(b"abc"),
        NextMessage(b' (\\Seen) "d" ~{4+}', 4),
        LiteralChunk(b"defg"),
        NextMessage(b" {0+}", 0),
        LiteralEnd(),
        NEXT,
    ]


def test_a_further_message_waits_for_the_word_if_it_is_to() -> None:
    assert events_of(b"a1 APPEND x {3+}\r\nabc {4}\r\ndefg\r\n")[2:] == [
        NextMessage(b" {4}", 4),
        ContinuationNeeded(),
        LiteralChunk(b"defg"),
        LiteralEnd(),
    ]


def test_a_refused_further_message_takes_all_that_follows_with_it() -> None:
    framer = CommandFramer()
    framer.receive(b"a1 APPEND x {3+}\r\nabc {10+}\r\nx LOGOUT\r\n {11+}\r\nx2 LOGOUT\r\n\r\na2 NOOP\r\n")
    framer.next_event()
    framer.accept_literal()
    assert framer.next_event() == LiteralChunk(b"abc")
    assert framer.next_event() == NextMessage(b" {10+}", 10)
    framer.refuse_literal()
    assert drain(framer) == [NEXT]


def test_messages_are_bounded_together() -> None:
    limits = FramingLimits(append_octets=10, append_messages=3)
    one = b"a1 APPEND x {4+}\r\nabcd"
    assert events_of(one + b" {7+}\r\n1234567\r\na2 NOOP\r\n", limits=limits)[2:] == [
        refused(Refusal.MESSAGES_TOO_BIG),
        NEXT,
    ]
    assert events_of(one + b" {11+}\r\n12345678901\r\na2 NOOP\r\n", limits=limits)[2:] == [
        refused(Refusal.MESSAGE_TOO_BIG),
        NEXT,
    ]
    many = one + b" {1+}\r\nx" * 3 + b"\r\na2 NOOP\r\n"
    assert events_of(many, limits=limits)[-2:] == [refused(Refusal.MESSAGES_TOO_BIG), NEXT]


@pytest.mark.parametrize("head", [b"a1 REPLACE 4 x ", b"a1 UID REPLACE 4 x ", b"a1 uid replace 4 {1+}\r\nx "])
def test_the_message_of_replace_is_streamed_too(head: bytes) -> None:
    assert events_of(head + b"{3+}\r\nabc\r\n")[1:] == [LiteralChunk(b"abc"), LiteralEnd()]


def test_text_after_the_message_is_left_to_the_parser() -> None:
    events = events_of(b"a1 APPEND x UTF8 (~{3+}\r\nabc)\r\na2 NOOP\r\n")
    assert events[2:] == [LiteralEnd(b")"), NEXT]


def test_very_much_text_after_the_message_is_refused() -> None:
    events = events_of(b"a1 APPEND x {3+}\r\nabc", b" more" * 20 + b"\r\na2 NOOP\r\n", limits=SMALL)
    assert events[2:] == [refused(Refusal.TEXT_AFTER_MESSAGE), NEXT]


def test_a_line_too_long_is_refused_with_its_tag_and_skipped() -> None:
    assert events_of(b"a1 SEARCH " + b"x" * 50, b"x" * 100 + b"\r\na2 NOOP\r\n", limits=SMALL) == [
        refused(Refusal.LINE_TOO_LONG),
        NEXT,
    ]


def test_a_line_of_just_the_limit_is_a_command() -> None:
    line = b"a1 " + b"x" * 37
    assert events_of(line + b"\r", b"\n", limits=SMALL) == [CommandReady(line)]
    assert events_of(line + b"x\r\n", limits=SMALL) == [refused(Refusal.LINE_TOO_LONG)]


def test_a_line_too_long_without_a_tag_is_refused_without() -> None:
    assert events_of(b"x" * 50 + b" NOOP\r\na2 NOOP\r\n", limits=SMALL) == [
        refused(Refusal.LINE_TOO_LONG, None),
        NEXT,
    ]


def test_a_literal_at_the_end_of_a_skipped_line_is_skipped_too() -> None:
    octets = b"a1 SEARCH " + b"x" * 50 + b" {10+}\r\nx LOGOUT\r\n rest {4+}\r\nabcd\r\na2 NOOP\r\n"
    assert events_of(octets, limits=SMALL) == [refused(Refusal.LINE_TOO_LONG), NEXT]


def test_the_lines_of_one_command_count_together() -> None:
    octets = b"a1 SEARCH TEXT {1+}\r\nx TEXT {1+}\r\nx TEXT yyyyyyyyyyy\r\na2 NOOP\r\n"
    assert events_of(octets, limits=SMALL) == [refused(Refusal.LINE_TOO_LONG), NEXT]


def test_a_literal_too_big_is_not_asked_for() -> None:
    assert events_of(b"a1 LOGIN {21}\r\n", b"a2 NOOP\r\n", limits=SMALL) == [refused(Refusal.LITERAL_TOO_BIG), NEXT]


def test_literals_too_big_together_are_skipped() -> None:
    octets = b"a1 LOGIN {11+}\r\n01234567890 {10+}\r\nx LOGOUT\r\n {3+}\r\nabc\r\na2 NOOP\r\n"
    assert events_of(octets, limits=SMALL) == [refused(Refusal.LITERAL_TOO_BIG), NEXT]


def test_too_many_literals_are_refused() -> None:
    octets = b"a1 X {1+}\r\nx {1+}\r\ny {1+}\r\nz\r\na2 NOOP\r\n"
    assert events_of(octets, limits=SMALL) == [refused(Refusal.TOO_MANY_LITERALS), NEXT]


def test_a_message_too_big_is_refused_before_it_is_sent() -> None:
    assert events_of(b"a1 APPEND x {51}\r\n", b"a2 NOOP\r\n", limits=SMALL) == [refused(Refusal.MESSAGE_TOO_BIG), NEXT]


def test_a_message_too_big_that_is_sent_anyway_is_dropped_without_keeping_it() -> None:
    framer = CommandFramer(SMALL)
    framer.receive(b"a1 APPEND x {300+}\r\n")
    assert drain(framer) == [refused(Refusal.MESSAGE_TOO_BIG)]
    for _ in range(30):
        framer.receive(b"x LOGOUT\r\n")
        assert drain(framer) == []
        assert framer.buffered_octets == 0
    framer.receive(b"\r\na2 NOOP\r\n")
    assert drain(framer) == [NEXT]


@pytest.mark.parametrize(
    "octets",
    [
        b"a1 APPEND x {401+}\r\n",
        b"a1 APPEND x {" + b"9" * 19 + b"+}\r\n",
        b"a1 APPEND x {" + b"9" * 20 + b"+}\r\n",
        b"a1 LOGIN {401+}\r\n",
        b"a1 SEARCH " + b"x" * 500,
        b"a1 SEARCH " + b"x" * 50 + b" {390+}\r\n",
        b"a1 LOGIN {30+}\r\n" + b"x" * 30 + b" {300+}\r\n" + b"x" * 300 + b" {60+}\r\n",
    ],
)
def test_a_client_that_sends_absurdly_much_is_to_be_cut_off(octets: bytes) -> None:
    limits = FramingLimits(line_octets=60, literal_octets=20, literals=2, append_octets=50, skip_octets=400)
    events = events_of(octets, b"a2 NOOP\r\n", limits=limits)
    assert len(events) == 2
    assert isinstance(events[0], CommandRefused)
    assert events[1] == ConnectionMustEnd()


def test_thousands_of_digits_are_no_trouble() -> None:
    events = events_of(b"a1 LOGIN {" + b"9" * 20_000 + b"}\r\na2 NOOP\r\n")
    assert events == [refused(Refusal.LITERAL_TOO_BIG), NEXT]


def test_a_line_is_read_raw_while_idle() -> None:
    framer = CommandFramer()
    framer.receive(b"a1 IDLE\r\n")
    assert framer.next_event() == CommandReady(b"a1 IDLE")
    framer.expect_line()
    assert framer.next_event() is None
    framer.receive(b"DO")
    assert framer.next_event() is None
    framer.receive(b"NE\r\na2 NOOP\r\n")
    assert drain(framer) == [LineReady(b"DONE"), NEXT]


def test_an_empty_raw_line_is_a_line() -> None:
    framer = CommandFramer()
    framer.expect_line()
    framer.receive(b"\r\n")
    assert framer.next_event() == LineReady(b"")


def test_a_raw_line_too_long_is_refused() -> None:
    framer = CommandFramer(SMALL)
    framer.expect_line()
    framer.receive(b"x" * 60)
    assert framer.next_event() == refused(Refusal.LINE_TOO_LONG, None)
    framer.receive(b"x\r\na2 NOOP\r\n")
    assert drain(framer) == [NEXT]


def test_what_was_sent_ahead_of_starttls_is_dropped() -> None:
    framer = CommandFramer()
    framer.receive(b"a1 STARTTLS\r\na2 LOGIN evil evil\r\nhalf a li")
    assert framer.next_event() == CommandReady(b"a1 STARTTLS")
    assert framer.discard_buffered() == 29
    framer.receive(b"a2 NOOP\r\n")
    assert drain(framer) == [NEXT]


def test_the_session_must_decide_about_a_message() -> None:
    framer = CommandFramer()
    with pytest.raises(RuntimeError):
        framer.accept_literal()
    with pytest.raises(RuntimeError):
        framer.refuse_literal()
    framer.receive(b"a1 APPEND x {9}\r\n")
    framer.next_event()
    with pytest.raises(RuntimeError):
        framer.next_event()


CONVERSATION = st.lists(
    st.sampled_from(
        [
            b"a1 NOOP\r\n",
            b"a1 LOGIN {5}\r\nalice {3}\r\nabc\r\n",
            b"a1 LOGIN {5+}\r\n\r\n\r\n\n {3+}\nabc\n",
            b"a1 APPEND {1+}\r\nx {12+}\r\n0123456\r\n\r\n\r\n",
            b"a1 APPEND x {12}\r\n0123456\r\n{9}\r\n",
            b"a1 APPEND x {60+}\r\n" + b"y LOGOUT\r\n" * 6 + b"\r\n",
            b"a1 APPEND x {3+}\r\nabc {10+}\r\n0123456789\r\n",
            b"a1 SEARCH " + b"y" * 45 + b" {10+}\r\ny LOGOUT\r\n\r\n",
            b"a1 LOGIN {25+}\r\n0123456789012345678901234\r\n",
            b"a1 X {1+}\r\na {1+}\r\nb {1+}\r\nc {3+}\r\nabc\r\n",
            b"\r\n",
            b"\xff\x00 {1+}\r\n",
        ]
    ),
    max_size=6,
).map(b"".join)


@given(
    octets=CONVERSATION | st.binary(max_size=200), cuts=st.lists(st.integers(0, 300), max_size=12), accept=st.booleans()
)
def test_how_the_network_splits_octets_never_matters(octets: bytes, cuts: list[int], accept: bool) -> None:
    borders = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})
    chunks = [octets[begin:end] for begin, end in itertools.pairwise(borders)]
    whole = join_chunks(events_of(octets, limits=SMALL, accept=accept))
    assert join_chunks(events_of(*chunks, limits=SMALL, accept=accept)) == whole
    octet_by_octet = [octets[index : index + 1] for index in range(len(octets))]
    assert join_chunks(events_of(*octet_by_octet, limits=SMALL, accept=accept)) == whole


@given(octets=CONVERSATION | st.binary(max_size=400))
def test_the_framer_never_keeps_more_than_its_limits(octets: bytes) -> None:
    framer = CommandFramer(SMALL)
    for index in range(len(octets)):
        framer.receive(octets[index : index + 1])
        drain(framer)
        assert framer.buffered_octets <= SMALL.line_octets + 2
