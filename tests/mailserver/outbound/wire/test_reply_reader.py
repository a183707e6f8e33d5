"""Replies are read whole, however the network cuts them, and whatever a host sends costs little."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.outbound.outcomes import Reason as Why
from mailserver.outbound.outcomes import Reply, of_fact, reply_of_lines
from mailserver.outbound.wire.extensions import Extensions, read_extensions
from mailserver.outbound.wire.reply_reader import BACKLOG_LIMIT, NotSmtp, RawReply, ReplyReader


def read(*pieces: bytes, line: int = 600, reply: int = 5_000) -> list[RawReply | str]:
    """The replies, and at the end why there are no more, if that is so."""
    reader = ReplyReader(line, reply)
    found: list[RawReply | str] = []
    for piece in pieces:
        reader.receive(piece)
    try:
        while (each := reader.next_reply()) is not None:
            found.append(each)
    except NotSmtp as fault:
        found.append(fault.reason)
    return found


def test_replies_of_one_and_of_several_lines() -> None:
    assert read(b"220 hello\r\n250-a\r\n250-b\r\n250 c\r\n354\r\n250 \r\n") == [
        RawReply(220, (b"hello",)),
        RawReply(250, (b"a", b"b", b"c")),
        RawReply(354, (b"",)),
        RawReply(250, (b"",)),
    ]


def test_lines_that_end_in_lf_alone_are_read_too() -> None:
    assert read(b"250-a\n250 b\n") == [RawReply(250, (b"a", b"b"))]


@pytest.mark.parametrize(
    "octets",
    [
        b"hello\r\n",
        b"199 x\r\n",
        b"600 x\r\n",
        b"25 x\r\n",
        b"2500 x\r\n",
        b"\r\n",
        b"250-a\r\n251 b\r\n",
        b"\x16\x03\n",
    ],
)
def test_what_is_no_reply_ends_the_reading(octets: bytes) -> None:
    [fault] = read(octets + b"250 ok\r\n")
    assert isinstance(fault, str)


def test_replies_before_the_nonsense_are_given_out() -> None:
    assert read(b"250 ok\r\nnonsense\r\n")[0] == RawReply(250, (b"ok",))


def test_a_line_and_a_reply_have_a_limit_before_they_end() -> None:
    assert read(b"250 " + b"x" * 700) == ["a line without end"]
    assert read(b"250 " + b"x" * 700 + b"\r\n") == ["a line that is too long"]
    assert read(*[b"250-" + b"x" * 96 + b"\r\n"] * 60) == ["a reply without end"]
    assert len(read(*[b"250-" + b"x" * 90 + b"\r\n"] * 40, b"250 end\r\n")) == 1


def test_replies_nobody_asked_for_are_not_piled_up() -> None:
    found = read(b"250 ok\r\n" * (BACKLOG_LIMIT + 50))
    assert found[-1] == "replies to nothing"
    assert len(found) == BACKLOG_LIMIT + 1


OCTETS = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [b"250 ok\r\n", b"250-more\r\n", b"\r\n", b"\r", b"\n", b"250", b"-", b"421 bye\n", b"354 \r\n"]
        ),
    ),
    max_size=30,
).map(b"".join)


@given(OCTETS, st.data())
def test_how_the_network_cuts_replies_never_matters(octets: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=6)))
    pieces = [octets[start:end] for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
    assert read(*pieces, line=64, reply=200) == read(octets, line=64, reply=200)


@given(st.lists(st.tuples(st.integers(200, 599), st.lists(st.binary(max_size=30), min_size=1, max_size=4)), max_size=5))
def test_what_is_written_is_what_is_read(replies: list[tuple[int, list[bytes]]]) -> None:
    clean = [(code, [text.replace(b"\n", b"").replace(b"\r", b"") for text in texts]) for code, texts in replies]
    octets = b""
    for code, texts in clean:
        octets += b"".join(b"%d-%s\r\n" % (code, text) for text in texts[:-1]) + b"%d %s\r\n" % (code, texts[-1])
    assert read(octets) == [RawReply(code, tuple(texts)) for code, texts in clean]


@given(st.integers(200, 599), st.lists(st.binary(max_size=200), max_size=20))
def test_whatever_a_host_says_is_fit_for_a_log_and_a_table(code: int, lines: list[bytes]) -> None:
    reply = reply_of_lines(code, lines, "mx.test")
    assert all(line.isprintable() for line in reply.text.split("\n"))
    assert len(reply.text) <= 2_000
    first, second, third = reply.enhanced.split(".")
    assert first == str(code)[0] or code // 100 == 3
    assert second.isdigit()
    assert third.isdigit()


@pytest.mark.parametrize(
    ("code", "lines", "expected"),
    [
        (550, [b"5.1.1 Nobody"], Reply(550, "5.1.1", "Nobody", "mx")),
        (550, [b"5.1.1 Nobody", b"5.1.1 here"], Reply(550, "5.1.1", "Nobody\nhere", "mx")),
        (550, [b"Nobody"], Reply(550, "5.0.0", "Nobody", "mx")),
        (550, [b"4.1.1 Confused"], Reply(550, "5.0.0", "4.1.1 Confused", "mx")),
        (550, [b"5.1.1"], Reply(550, "5.1.1", "", "mx")),
        (550, [b"5.1.1000 x"], Reply(550, "5.0.0", "5.1.1000 x", "mx")),
        (451, [b"\xff\x00bell\x07"], Reply(451, "4.0.0", "??bell?", "mx")),
    ],
)
def test_enhanced_codes_count_if_they_fit_the_code(code: int, lines: list[bytes], expected: Reply) -> None:
    found = reply_of_lines(code, lines, "mx")
    assert (found.code, found.enhanced, found.host) == (expected.code, expected.enhanced, expected.host)
    assert found.text.replace("\ufffd", "?") == expected.text


def test_every_fact_has_an_enhanced_code_and_a_sentence() -> None:
    for reason in Why:
        outcome = of_fact(reason, "detail", host="mx")
        assert outcome.reply.is_ours
        assert outcome.reply.enhanced[0] in "45"
        assert outcome.reply.text.endswith("detail")


def test_extensions_are_read() -> None:
    lines = (b"mx.test greets", b"PIPELINING", b"size 1000", b"8bitmime", b"AUTH PLAIN login", b"AUTH=XOAUTH2", b"DSN")
    assert read_extensions((*lines, b"SMTPUTF8", b"STARTTLS", b"LIMITS RCPTMAX=50 MAILMAX=x")) == Extensions(
        pipelining=True,
        eight_bit_mime=True,
        smtputf8=True,
        dsn=True,
        starttls=True,
        size=True,
        size_limit=1000,
        mechanisms=frozenset({"PLAIN", "LOGIN", "XOAUTH2"}),
        recipients_limit=50,
    )


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=200))
def test_whatever_a_host_offers_can_be_read(lines: list[bytes]) -> None:
    found = read_extensions(tuple(lines))
    assert found.size_limit is None or found.size_limit > 0


def test_the_greeting_line_offers_nothing() -> None:
    assert not read_extensions((b"PIPELINING", b"DSN")).pipelining
