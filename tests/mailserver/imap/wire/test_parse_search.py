"""Every search key of RFC 3501 §6.4.4 and RFC 7162 §3.1.5, and how they combine."""

from datetime import date

import pytest

from mailserver.imap.wire.commands import Search, SearchReturns
from mailserver.imap.wire.cursor import ParseLimits
from mailserver.imap.wire.parse import parse_command
from mailserver.imap.wire.search_keys import (
    AddressContains,
    AddressField,
    All,
    And,
    BodyContains,
    DateComparison,
    HasFlag,
    HasKeyword,
    HeaderContains,
    InSequence,
    InternalDate,
    InUids,
    Larger,
    ModseqAtLeast,
    Not,
    Or,
    Recent,
    SearchKey,
    SentDate,
    Smaller,
    SubjectContains,
    TextContains,
)
from mailserver.imap.wire.sequence import LARGEST, SequenceSet, UidSet
from mailserver.imap.wire.syntax_errors import CommandSyntaxError, UnsupportedCharset
from storage.types import Modseq, SystemFlag

DAY = date(1994, 2, 1)
SEEN = HasFlag(SystemFlag.SEEN)


def search(text: bytes, *literals: bytes) -> Search:
    command = parse_command(b"a1 SEARCH " + text, literals)
    assert isinstance(command, Search)
    return command


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b"ALL", All()),
        (b"ANSWERED", HasFlag(SystemFlag.ANSWERED)),
        (b"BCC x", AddressContains(AddressField.BCC, "x")),
        (b"BEFORE 1-Feb-1994", InternalDate(DateComparison.BEFORE, DAY)),
        (b'BODY "two words"', BodyContains("two words")),
        (b"CC x", AddressContains(AddressField.CC, "x")),
        (b"DELETED", HasFlag(SystemFlag.DELETED)),
        (b"DRAFT", HasFlag(SystemFlag.DRAFT)),
        (b"FLAGGED", HasFlag(SystemFlag.FLAGGED)),
        (b"FROM Smith", AddressContains(AddressField.FROM, "Smith")),
        (b'HEADER Message-ID ""', HeaderContains("message-id", "")),
        (b"KEYWORD $Forwarded", HasKeyword("$Forwarded")),
        (b"LARGER 4294967296", Larger(4294967296)),
        (b"NEW", And((Recent(), Not(SEEN)))),
        (b"NOT SEEN", Not(SEEN)),
        (b"OLD", Not(Recent())),
        (b'ON "01-feb-1994"', InternalDate(DateComparison.ON, DAY)),
        (b"OR SEEN DRAFT", Or((SEEN, HasFlag(SystemFlag.DRAFT)))),
        (b"RECENT", Recent()),
        (b"SEEN", SEEN),
        (b"SENTBEFORE 1-Feb-1994", SentDate(DateComparison.BEFORE, DAY)),
        (b"SENTON 1-Feb-1994", SentDate(DateComparison.ON, DAY)),
        (b"SENTSINCE 1-Feb-1994", SentDate(DateComparison.SINCE, DAY)),
        (b"SINCE 1-Feb-1994", InternalDate(DateComparison.SINCE, DAY)),
        (b"SMALLER 0", Smaller(0)),
        (b"SUBJECT hi", SubjectContains("hi")),
        (b"TEXT hi", TextContains("hi")),
        (b"TO x", AddressContains(AddressField.TO, "x")),
        (b"UID 1,5:*", InUids(UidSet(((1, 1), (5, LARGEST))))),
        (b"UNANSWERED", Not(HasFlag(SystemFlag.ANSWERED))),
        (b"UNDELETED", Not(HasFlag(SystemFlag.DELETED))),
        (b"UNDRAFT", Not(HasFlag(SystemFlag.DRAFT))),
        (b"UNFLAGGED", Not(HasFlag(SystemFlag.FLAGGED))),
        (b"UNKEYWORD $Junk", Not(HasKeyword("$Junk"))),
        (b"UNSEEN", Not(SEEN)),
        (b"2:4,*", InSequence(SequenceSet(((2, 4), (LARGEST, LARGEST))))),
        (b"MODSEQ 620162338", ModseqAtLeast(Modseq(620162338))),
        (b'MODSEQ "/flags/\\\\draft" all 0', ModseqAtLeast(Modseq(0))),
        (b"(SEEN)", SEEN),
        (b"((SEEN DRAFT))", And((SEEN, HasFlag(SystemFlag.DRAFT)))),
        (b"*", InSequence(SequenceSet(((LARGEST, LARGEST),)))),
    ],
)
def test_a_search_key_is_read(text: bytes, key: SearchKey) -> None:
    assert search(text).key == key


def test_keys_in_a_row_must_all_hold() -> None:
    command = search(b'FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"')
    assert command.key == And(
        (
            HasFlag(SystemFlag.FLAGGED),
            InternalDate(DateComparison.SINCE, DAY),
            Not(AddressContains(AddressField.FROM, "Smith")),
        )
    )
    assert command.returns is SearchReturns.SEQUENCE_NUMBERS
    assert not command.asks_modseq


def test_uid_search_returns_uids() -> None:
    command = parse_command(b"a1 UID SEARCH ALL ")
    assert isinstance(command, Search)
    assert command.returns is SearchReturns.UIDS


def test_a_modseq_key_anywhere_is_noticed() -> None:
    assert search(b"OR SEEN (NOT MODSEQ 5)").asks_modseq


def test_a_chain_of_or_is_one_key() -> None:
    words = b"".join(b"OR SUBJECT %d " % number for number in range(999)) + b"SUBJECT 999"
    key = search(words).key
    assert isinstance(key, Or)
    assert key.keys == tuple(SubjectContains(str(number)) for number in range(1000))


def test_or_nested_in_its_first_key_stays_nested() -> None:
    assert search(b"OR OR SEEN ALL RECENT").key == Or((Or((SEEN, All())), Recent()))


@pytest.mark.parametrize("charset", [b"UTF-8", b"utf-8", b'"US-ASCII"'])
def test_texts_are_utf_8(charset: bytes) -> None:
    command = search(b"CHARSET " + charset + b" TEXT {6}\r\n", "发票".encode())
    assert command.key == TextContains("发票")


def test_an_8_bit_text_without_a_charset_is_utf_8() -> None:
    assert search('SUBJECT "Grüße"'.encode()).key == SubjectContains("Grüße")


def test_another_charset_is_refused_by_its_name() -> None:
    with pytest.raises(UnsupportedCharset) as refusal:
        search(b"CHARSET GB18030 TEXT x")
    assert refusal.value.charset == "GB18030"
    assert refusal.value.tag == b"a1"


@pytest.mark.parametrize(
    "text",
    [b"(" * 101 + b"ALL" + b")" * 101, b"NOT " * 101 + b"ALL", b"OR " * 101 + b"ALL " * 102],
)
def test_deep_nesting_is_refused(text: bytes) -> None:
    with pytest.raises(CommandSyntaxError, match="nested more than 100 deep"):
        search(text)


def test_a_depth_within_the_limit_is_read() -> None:
    assert search(b"NOT " * 99 + b"ALL").key != All()


def test_too_many_keys_are_refused() -> None:
    limits = ParseLimits(search_keys=10)
    parse_command(b"a1 SEARCH " + b" ".join([b"ALL"] * 10), (), limits)
    with pytest.raises(CommandSyntaxError, match="more than 10 search keys"):
        parse_command(b"a1 SEARCH " + b" ".join([b"ALL"] * 11), (), limits)


def test_too_many_searches_through_bodies_are_refused() -> None:
    parse_command(b"a1 SEARCH " + b"OR BODY x TEXT y " * 24 + b"BODY x", (), ParseLimits())
    with pytest.raises(CommandSyntaxError, match="more than 50 of BODY and TEXT"):
        parse_command(b"a1 SEARCH " + b"BODY x TEXT y " * 26, (), ParseLimits())
