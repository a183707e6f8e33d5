"""Whatever a client sends, the parser refuses it by CommandSyntaxError or understands it."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from mailserver.imap.wire.commands import Append
from mailserver.imap.wire.framing import CommandFramer
from mailserver.imap.wire.framing_events import AppendReady, CommandReady, FramingLimits
from mailserver.imap.wire.parse import parse_command
from mailserver.imap.wire.syntax_errors import CommandSyntaxError

WORDS = st.sampled_from(
    rb"""
    APPEND AUTHENTICATE CAPABILITY COPY CREATE ENABLE EXAMINE FETCH ID IDLE LIST LOGIN LSUB MOVE RENAME SEARCH SELECT
    STATUS STORE UID EXPUNGE INBOX &Jjo- &AAAAAA- &2D- * % 1:* 4294967295 0 99999999999999999999 ( ) [ ] < > {3} {3+}
    "" "a\" "a\\" ~{1} BODY[ BODY.PEEK[HEADER.FIELDS (DATE)]<0.1> BODY[1.2.MIME] RFC822 ALL (FLAGS) MODSEQ \Seen
    \Recent \* +FLAGS.SILENT -FLAGS CHARSET UTF-8 KOI8-R OR NOT HEADER ON 1-Feb-1994 31-Feb-1994 "/flags/\\Seen"
    all UNCHANGEDSINCE CHANGEDSINCE CONDSTORE (CONDSTORE) NIL = ==== Zm9v
    """.split()
) | st.sampled_from([b'"01-Jan-0001 00:00:00 +1400"', b"\xff", b"\xe4\xbd\xa0", b"\0", b"\r", b" "])


@given(
    words=st.lists(WORDS | st.binary(max_size=6), max_size=12),
    separator=st.sampled_from([b" ", b""]),
    literals=st.lists(st.binary(max_size=4), max_size=3),
)
def test_arbitrary_words_raise_nothing_but_a_syntax_error(
    words: list[bytes], separator: bytes, literals: list[bytes]
) -> None:
    text = b"a1 " + separator.join(words)
    with suppress(CommandSyntaxError):
        parse_command(text, tuple(literals))
    with suppress(CommandSyntaxError):
        parse_command(text.replace(b"{3}", b"{3}\r\n"), tuple(literals))


@given(octets=st.binary(max_size=300))
def test_arbitrary_octets_raise_nothing_but_a_syntax_error(octets: bytes) -> None:
    with suppress(CommandSyntaxError):
        parse_command(octets)


@given(words=st.lists(WORDS, max_size=12))
def test_what_the_framer_hands_out_can_be_parsed_or_refused(words: list[bytes]) -> None:
    framer = CommandFramer(FramingLimits())
    framer.receive(b"a1 " + b" ".join(words) + b"\r\nabc\r\nabc\r\nabc\r\n")
    while (event := framer.next_event()) is not None:
        if isinstance(event, AppendReady):
            framer.refuse_literal()
        if isinstance(event, AppendReady | CommandReady):
            with suppress(CommandSyntaxError):
                command = parse_command(event.text, event.literals)
                assert isinstance(command, Append) == isinstance(event, AppendReady)
