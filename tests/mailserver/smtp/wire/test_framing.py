"""Octets become lines and messages, however the network cuts them."""

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mailserver.smtp.wire.framing import (
    BareLineFeed,
    ChunkEnd,
    CommandLine,
    Endless,
    Event,
    Framer,
    LineTooLong,
    MessageEnd,
    MessageOctets,
)
from mailserver.smtp.wire.message_text import Fault, MessageLimits

LIMITS = MessageLimits(message_octets=1_000, line_octets=100, swallow_octets=5_000)


def events(pieces: Iterable[bytes], *, limits: MessageLimits = LIMITS, in_message: bool = False) -> list[Event]:
    """All events of these pieces; DATA begins a message, and the octets of a message are joined."""
    framer = Framer(50, limits)
    if in_message:
        framer.begin_message()
    found: list[Event] = []
    for piece in pieces:
        framer.receive(piece)
        while (event := framer.next_event()) is not None:
            if event == CommandLine(b"DATA"):
                framer.begin_message()
            if isinstance(event, CommandLine) and event.octets.startswith(b"BDAT "):
                is_last = event.octets.endswith(b" LAST")
                framer.begin_chunk(int(event.octets.split()[1]), is_first=False, is_last=is_last)
            if isinstance(event, MessageOctets) and found and isinstance(found[-1], MessageOctets):
                found[-1] = MessageOctets(found[-1].octets + event.octets)
            else:
                found.append(event)
            if isinstance(event, Endless):
                return found
    return found


def cut(octets: bytes, cuts: Iterable[int]) -> list[bytes]:
    borders = [0, *sorted({at % (len(octets) + 1) for at in cuts}), len(octets)]
    return [octets[start:end] for start, end in pairwise(borders)]


def stuffed(message: bytes) -> bytes:
    return (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


# Pieces that are likely to go wrong at a border
TROUBLE = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"..", b"a", b"DATA\r\n", b"\r\n.\r\n", b"x" * 60, b"\0"]),
    max_size=30,
).map(b"".join)
CUTS = st.lists(st.integers(min_value=0, max_value=10_000), max_size=12)
LINES = st.lists(st.binary(max_size=20).map(lambda line: line.translate(None, b"\r\n\0")), max_size=15)


@given(TROUBLE, CUTS)
def test_how_the_network_cuts_octets_never_matters(octets: bytes, cuts: list[int]) -> None:
    assert _without_octets_of_refused(events(cut(octets, cuts))) == _without_octets_of_refused(events([octets]))


@given(TROUBLE, CUTS)
def test_how_the_network_cuts_a_message_never_matters(octets: bytes, cuts: list[int]) -> None:
    whole = events([octets], in_message=True)
    assert _without_octets_of_refused(events(cut(octets, cuts), in_message=True)) == _without_octets_of_refused(whole)


@given(LINES, CUTS)
def test_a_message_comes_out_as_it_went_in(lines: list[bytes], cuts: list[int]) -> None:
    message = b"".join(line + b"\r\n" for line in lines)
    expected: list[Event] = [MessageOctets(message)] if message else []
    assert events(cut(stuffed(message), cuts), in_message=True) == [*expected, MessageEnd(None)]


@given(LINES, CUTS, CUTS)
def test_chunks_come_out_as_they_went_in_wherever_they_are_cut(
    lines: list[bytes], chunk_cuts: list[int], cuts: list[int]
) -> None:
    message = b"".join(line + b"\r\n" for line in lines)
    chunks = cut(message, chunk_cuts)
    commands = [b"BDAT %d%s\r\n" % (len(chunk), b" LAST" * (n == len(chunks))) for n, chunk in enumerate(chunks, 1)]
    sent = b"".join(command + chunk for command, chunk in zip(commands, chunks, strict=True)) + b"NOOP\r\n"
    found = events(cut(sent, cuts))
    assert b"".join(event.octets for event in found if isinstance(event, MessageOctets)) == message
    assert [event for event in found if isinstance(event, ChunkEnd)] == [ChunkEnd(None)] * (len(chunks) - 1)
    assert found[-2:] == [MessageEnd(None), CommandLine(b"NOOP")]


@given(TROUBLE, CUTS, CUTS)
def test_what_is_wrong_with_a_chunked_message_does_not_depend_on_its_cuts(
    octets: bytes, chunk_cuts: list[int], cuts: list[int]
) -> None:
    def fault(chunks: list[bytes], pieces: list[int]) -> bool:
        commands = [b"BDAT %d%s\r\n" % (len(c), b" LAST" * (n == len(chunks))) for n, c in enumerate(chunks, 1)]
        sent = b"".join(command + chunk for command, chunk in zip(commands, chunks, strict=True))
        (end,) = [event for event in events(cut(sent, pieces)) if isinstance(event, MessageEnd)]
        return end.fault is not None

    assert fault(cut(octets, chunk_cuts), cuts) == fault([octets], [])


def test_what_follows_a_message_is_commands() -> None:
    octets = b"DATA\r\n.\r\nNOOP\r\nQUIT\r\n"
    assert events([octets]) == [CommandLine(b"DATA"), MessageEnd(None), CommandLine(b"NOOP"), CommandLine(b"QUIT")]


def test_only_cr_lf_dot_cr_lf_ends_a_message() -> None:
    for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\n\r.\n\r"):
        framed = events([b"hello\r\n" + end + b"x\r\n.\r\n"], in_message=True)
        assert framed[-1] == MessageEnd(Fault.BARE_LINE_END), end


def test_a_line_is_refused_one_octet_past_its_limit() -> None:
    assert events([b"x" * 48 + b"\r\n"]) == [CommandLine(b"x" * 48)]
    assert events([b"x" * 49 + b"\r\nNOOP\r\n"]) == [LineTooLong(), CommandLine(b"NOOP")]


def test_a_long_line_takes_no_memory_before_it_ends() -> None:
    framer = Framer(50, LIMITS)
    for _ in range(100):
        framer.receive(b"x" * 40)
        assert framer.next_event() is None
        assert framer.waiting_octets <= 50
    framer.receive(b"\r\n")
    assert framer.next_event() == LineTooLong()


def test_a_line_or_a_message_without_end_is_noticed() -> None:
    assert events([b"x" * 6_000])[-1] == Endless()
    assert Endless() in events([b"x" * 1_001, b"x" * 5_000], in_message=True)


def test_limits_of_a_message_hold_to_the_octet() -> None:
    line = b"x" * 98 + b"\r\n"
    assert events([line * 10 + b".\r\n"], in_message=True)[-1] == MessageEnd(None)
    assert events([line * 10 + b"\r\n.\r\n"], in_message=True)[-1] == MessageEnd(Fault.TOO_BIG)
    assert events([b"x" + line + b".\r\n"], in_message=True)[-1] == MessageEnd(Fault.LINE_TOO_LONG)
    assert events([line, b"x" + line + b".\r\n"], in_message=True)[-1] == MessageEnd(Fault.LINE_TOO_LONG)


def test_dots_that_were_added_do_not_count() -> None:
    limits = MessageLimits(message_octets=30, line_octets=3, swallow_octets=100)
    assert events([b"..\r\n" * 10 + b".\r\n"], limits=limits, in_message=True) == [
        MessageOctets(b".\r\n" * 10),
        MessageEnd(None),
    ]


@given(st.binary(max_size=300), CUTS)
def test_no_octets_break_the_framer(octets: bytes, cuts: list[int]) -> None:
    for event in events(cut(octets, cuts)):
        assert isinstance(event, CommandLine | LineTooLong | BareLineFeed | MessageOctets | MessageEnd | Endless)


def test_octets_sent_before_tls_are_forgotten() -> None:
    framer = Framer(50, LIMITS)
    framer.receive(b"STARTTLS\r\nNOOP\r\nQU")
    assert framer.next_event() == CommandLine(b"STARTTLS")
    framer.discard()
    framer.receive(b"IT\r\n")
    assert framer.next_event() == CommandLine(b"IT")


def _without_octets_of_refused(found: list[Event]) -> list[Event]:
    """A refused message gave out some octets before the fault; how many depends on the pieces; nobody keeps them."""
    kept: list[Event] = []
    for event in found:
        if isinstance(event, MessageEnd) and event.fault and kept and isinstance(kept[-1], MessageOctets):
            kept.pop()
        kept.append(event)
    if kept and isinstance(kept[-1], MessageOctets):
        kept.pop()  # the message goes on; what is held back depends on nothing but the octets, a fault may come
    return kept
