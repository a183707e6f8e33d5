"""Malformed commands are refused with the tag and a reason that tells the client what is wrong."""

import re

import pytest

from mailserver.imap.wire.cursor import ParseLimits
from mailserver.imap.wire.parse import parse_command
from mailserver.imap.wire.syntax_errors import CommandSyntaxError, UnknownCommand


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"a1", "expected a space and a command"),
        (b"a1 ", "expected a command"),
        (b"a1  NOOP", "expected a command"),
        (b"a1 UID", "expected a space and a command"),
        (b"a1 NOOP x", "more than the command takes"),
        (b"a1 LOGIN smith", "expected a space and a password"),
        (b"a1 LOGIN smith ", "expected a password"),
        (b'a1 LOGIN "smith', "does not end"),
        (b'a1 LOGIN "DOMAIN\\user" x', "stray backslash"),
        (b"a1 LOGIN {5} x", "expected a user name"),
        (b'a1 LOGIN "\xff" x', "the user name is not UTF-8"),
        (b"a1 AUTHENTICATE", "expected a space and a mechanism"),
        (b"a1 AUTHENTICATE PLAIN !!!", "not base64"),
        (b"a1 ENABLE", "expected a space and a capability"),
        (b"a1 ID name", "expected '\\(' before the fields"),
        (b'a1 ID ("name")', "expected a space and the value"),
        (b"a1 SELECT", "expected a space and a mailbox name"),
        (b"a1 SELECT a b", "more than the command takes"),
        (b"a1 SELECT x (QRESYNC)", "expected a space and what is known"),
        (b"a1 SELECT x (QRESYNC (0 2))", "the uidvalidity, a number from 1"),
        (b"a1 SELECT x (QRESYNC (1 0))", "a mod-sequence, a number from 1"),
        (b"a1 SELECT x (QRESYNC (1 2 3:*))", r"has no `\*`"),
        (b"a1 SELECT x (QRESYNC (1 2 3 (1:3 7:8)))", "not as many message numbers as uids"),
        (b"a1 SELECT x (QRESYNC (1 2 3 (3,1 7,8)))", "ascending order"),
        (b"a1 SELECT x (QRESYNC (1 2) QRESYNC (1 2))", "each once"),
        (b"a1 SELECT x (QRESYNC (1 2 3 4))", r"expected '\)'"),
        (b"a1 SELECT x (FASTER)", "the parameters are CONDSTORE and QRESYNC"),
        (b"a1 SELECT &Jjo", "has no end"),
        (b'a1 SELECT "\xe5\x8f"', "not UTF-8"),
        (b"a1 RENAME one", "expected a space and a mailbox name"),
        (b"a1 LIST INBOX", "expected a space and a mailbox pattern"),
        (b'a1 LIST "" (a b', "another pattern"),
        (b'a1 LIST "" ()', "expected a mailbox pattern"),
        (b'a1 LIST (NEW) "" a', "no selection option NEW"),
        (b'a1 LIST (RECURSIVEMATCH) "" a', "goes with SUBSCRIBED"),
        (b'a1 LIST (RECURSIVEMATCH REMOTE) "" a', "goes with SUBSCRIBED"),
        (b'a1 LIST "" a RETURN (MYRIGHTS)', "no return option MYRIGHTS"),
        (b'a1 LIST "" a RETURN (STATUS ())', "expected a status item"),
        (b'a1 LIST "" a GIVE (CHILDREN)', "RETURN is all"),
        (b'a1 LIST "" (' + b" ".join([b"a"] * 21) + b")", "more than 20 patterns"),
        (b"a1 CREATE x (FOR (\\Sent))", "USE is the only parameter"),
        (b"a1 CREATE x (USE (Sent))", "before a use"),
        (b'a1 SETQUOTA "" (STORAGE -1)', "expected a limit"),
        (b"a1 STATUS INBOX", "expected a space and the items"),
        (b"a1 STATUS INBOX ()", "expected a status item"),
        (b"a1 STATUS INBOX (COLOUR)", "no status item COLOUR"),
        (b"a1 STATUS INBOX (MESSAGES", "another item, or `\\)`"),
        (b"a1 APPEND INBOX", "expected a space and the message"),
        (b"a1 APPEND INBOX message", "expected the message as a literal"),
        (b"a1 APPEND INBOX (\\Seen {3}", "expected a flag"),
        (b"a1 APPEND INBOX (\\Seen){3}", "expected a space and the message"),
        (b'a1 APPEND INBOX "32-Jan-2024 00:00:00 +0000" {3}', "expected a date and time"),
        (b'a1 APPEND INBOX "01-Jan-0001 00:00:00 +1400" {3}', "expected a date and time"),
        (b'a1 APPEND INBOX "01-Jan-2024 00:00:00 +9900" {3}', "expected a date and time"),
        (b'a1 APPEND INBOX "01-Mai-2024 00:00:00 +0000" {3}', "expected a date and time"),
        (b"a1 FETCH 1", "expected a space and what to fetch"),
        (b"a1 FETCH x FLAGS", "expected a sequence set"),
        (b"a1 FETCH 0 FLAGS", "numbers from 1"),
        (b"a1 FETCH 1: FLAGS", "numbers from 1"),
        (b"a1 FETCH 1,,2 FLAGS", "numbers from 1"),
        (b"a1 FETCH 1:2:3 FLAGS", "numbers from 1"),
        (b"a1 FETCH 4294967296 FLAGS", "32 bits"),
        (b"a1 FETCH 1 ()", "expected an item to fetch"),
        (b"a1 FETCH 1 (FLAGS", "another item, or `\\)`"),
        (b"a1 FETCH 1 (ALL)", "no item ALL"),
        (b"a1 FETCH 1 BODY[MIME]", "a section is"),
        (b"a1 FETCH 1 BODY[0]", "counted from 1"),
        (b"a1 FETCH 1 BODY[1.]", "a section is"),
        (b"a1 FETCH 1 BODY[1", "expected ']'"),
        (b"a1 FETCH 1 BODY[HEADER.FIELDS]", "expected a space and names of header fields"),
        (b"a1 FETCH 1 BODY[HEADER.FIELDS ()]", "name of a header field"),
        (b"a1 FETCH 1 BODY[]<0>", "between offset and octets"),
        (b"a1 FETCH 1 BODY[]<0.0>", "from 1 to"),
        (b"a1 FETCH 1 RFC822[]", "only BODY, BODY.PEEK, BINARY"),
        (b"a1 UID FETCH 1 FLAGS (VANISHED)", "VANISHED comes with CHANGEDSINCE"),
        (b"a1 FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)", "modifiers of UID FETCH alone"),
        (b"a1 FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)", "each once"),
        (b"a1 FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)", "a mod-sequence, a number from 0"),
        (b"a1 STORE 1 FLAGS", "expected a space and flags"),
        (b"a1 STORE 1 FLAGS ", "expected a flag"),
        (b"a1 STORE 1 FLAG (\\Seen)", "expected FLAGS, \\+FLAGS or -FLAGS"),
        (b"a1 STORE 1 FLAGS (\\Seen \\Nonsense)", "no system flag \\\\Nonsense"),
        (b"a1 STORE 1 FLAGS (\\*)", "expected a flag"),
        (b"a1 STORE 1 (UNCHANGEDSINCE -1) FLAGS ()", "a mod-sequence"),
        (b"a1 STORE 1 FLAGS (" + b"k" * 129 + b")", "at most 128 octets"),
        (b"a1 COPY 1", "expected a space and a mailbox name"),
        (b"a1 UID EXPUNGE", "expected a space and a sequence set"),
        (b"a1 SEARCH", "expected a space and a search key"),
        (b"a1 SEARCH CHARSET UTF-8", "expected a space and a search key"),
        (b"a1 SEARCH NONSENSE", "no search key NONSENSE"),
        (b"a1 SEARCH FROM", "what FROM is to find"),
        (b"a1 SEARCH OR SEEN", "the other search key of OR"),
        (b"a1 SEARCH (SEEN", "another search key, or `\\)`"),
        (b"a1 SEARCH ()", "expected a search key"),
        (b"a1 SEARCH ON 30-Feb-2024", "expected a date"),
        (b'a1 SEARCH ON "1-Feb-2024', "expected a date"),
        (b"a1 SEARCH HEADER a:b c", "without a colon"),
        (b"a1 SEARCH LARGER -1", "a size in octets"),
        (b"a1 SEARCH KEYWORD \\Seen", "expected a keyword"),
        (b'a1 SEARCH MODSEQ "/flags/x" mine 1', "expected priv, shared or all"),
        (b'a1 SEARCH TEXT "\xff"', "the search text is not UTF-8"),
    ],
)
def test_a_malformed_command_is_refused_with_a_reason(line: bytes, reason: str) -> None:
    with pytest.raises(CommandSyntaxError) as refusal:
        parse_command(line)
    assert re.search(reason, refusal.value.reason)
    assert refusal.value.tag == b"a1"


@pytest.mark.parametrize("line", [b"", b" NOOP", b"+ NOOP", b"a+b NOOP", b"* OK", b'"a" NOOP', b"\xff NOOP"])
def test_without_a_tag_there_is_none_to_answer(line: bytes) -> None:
    with pytest.raises(CommandSyntaxError) as refusal:
        parse_command(line)
    assert refusal.value.tag is None


@pytest.mark.parametrize(("line", "name"), [(b"a1 xyzzy", "XYZZY"), (b"a1 UID NOOP", "UID NOOP")])
def test_an_unknown_command_is_named(line: bytes, name: str) -> None:
    with pytest.raises(UnknownCommand) as refusal:
        parse_command(line)
    assert refusal.value.name == name


def test_a_nul_in_a_literal_is_refused() -> None:
    with pytest.raises(CommandSyntaxError, match="NUL"):
        parse_command(b"a1 SELECT {3}\r\n", (b"a\0b",))


def test_too_many_fetch_items_are_refused() -> None:
    items = b" ".join(b"BODY[%d]" % number for number in range(1, 8))
    with pytest.raises(CommandSyntaxError, match="more than 5 items"):
        parse_command(b"a1 FETCH 1 (" + items + b")", (), ParseLimits(fetch_items=5))


def test_too_many_keywords_are_refused() -> None:
    with pytest.raises(CommandSyntaxError, match="more than 2 keywords"):
        parse_command(b"a1 STORE 1 FLAGS (a b c)", (), ParseLimits(flags=2))


def test_a_section_too_deep_is_refused() -> None:
    with pytest.raises(CommandSyntaxError, match="at most 64 parts deep"):
        parse_command(b"a1 FETCH 1 BODY[" + b".".join([b"1"] * 65) + b"]")
