"""Every search key of RFC 3501 §6.4.4 and RFC 7162 §3.1.5, and how they combine."""

import time
from datetime import date

import pytest

from mailserver.imap.wire.commands import Search, SearchReturns, Sort, Tag, Thread
from mailserver.imap.wire.cursor import ParseLimits
from mailserver.imap.wire.parse import parse_command
from mailserver.imap.wire.search_keys import (
    AddressContains,
    AddressField,
    All,
    And,
    BodyContains,
    DateComparison,
    HasEmailId,
    HasFlag,
    HasKeyword,
    HasThreadId,
    HeaderContains,
    InSequence,
    InternalDate,
    InUids,
    Larger,
    ModseqAtLeast,
    Not,
    Older,
    Or,
    Recent,
    SaveDate,
    SearchKey,
    SentDate,
    Smaller,
    SubjectContains,
    TextContains,
    Younger,
)
from mailserver.imap.wire.search_options import (
    PartialRange,
    ReturnOption,
    ReturnOptions,
    SortCriterion,
    SortKey,
    ThreadAlgorithm,
)
from mailserver.imap.wire.sequence import LARGEST, SAVED, SequenceSet, UidSet
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
        (b"$", InSequence(SequenceSet((SAVED,)))),
        (b"1,$", InSequence(SequenceSet(((1, 1), SAVED)))),
        (b"UID $", InUids(UidSet((SAVED,)))),
        (b"OLDER 259200", Older(259200)),
        (b"YOUNGER 4294967295", Younger(4294967295)),
        (b"SAVEDBEFORE 1-Feb-1994", SaveDate(DateComparison.BEFORE, DAY)),
        (b"SAVEDON 1-Feb-1994", SaveDate(DateComparison.ON, DAY)),
        (b"SAVEDSINCE 1-Feb-1994", SaveDate(DateComparison.SINCE, DAY)),
        (b"SAVEDATESUPPORTED", All()),
        (b"EMAILID M6d99ac3275bb4e", HasEmailId("M6d99ac3275bb4e")),
        (b"THREADID T_-9", HasThreadId("T_-9")),
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


@pytest.mark.parametrize(
    "text",
    [
        b"$:3", b"1:$", b"$$", b"UID 1,", b"OLDER 0", b"OLDER -1", b"YOUNGER x", b"OLDER 4294967296", b"EMAILID",
        b'EMAILID "M1"', b"EMAILID M.1", b"SAVEDON yesterday",
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused(text: bytes) -> None:
    with pytest.raises(CommandSyntaxError):
        search(text)


def test_an_object_id_is_255_characters_long_at_most() -> None:
    assert search(b"EMAILID " + b"M" * 255).key == HasEmailId("M" * 255)
    with pytest.raises(CommandSyntaxError):
        search(b"EMAILID " + b"M" * 256)


MIN, MAX, ALL, COUNT, SAVE = ReturnOption


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (b"RETURN (MIN COUNT) ALL", ReturnOptions(frozenset({MIN, COUNT}))),
        (b"return (min max save) ALL", ReturnOptions(frozenset({MIN, MAX, SAVE}))),
        (b"RETURN () ALL", ReturnOptions(frozenset({ALL}))),
        (b"RETURN (SAVE) ALL", ReturnOptions(frozenset({SAVE}))),
        (b"RETURN (MIN MIN) ALL", ReturnOptions(frozenset({MIN}))),
        (b"RETURN (PARTIAL 1:500) ALL", ReturnOptions(frozenset(), PartialRange(1, 500))),
        (b"RETURN (COUNT PARTIAL -1:-100) ALL", ReturnOptions(frozenset({COUNT}), PartialRange(-1, -100))),
        (b"RETURN (PARTIAL 500:400 MIN) CHARSET UTF-8 ALL", ReturnOptions(frozenset({MIN}), PartialRange(500, 400))),
        (b"ALL", None),
    ],
)
def test_return_options_are_read(text: bytes, options: ReturnOptions | None) -> None:
    assert search(text).options == options


@pytest.mark.parametrize(
    "text",
    [
        b"RETURN (MIN", b"RETURN (MIN)", b"RETURN MIN ALL", b"RETURN (FROB) ALL", b"RETURN (MIN,MAX) ALL",
        b"RETURN ( MIN) ALL", b"RETURN (MIN ) ALL", b"RETURN (CONTEXT) ALL", b"RETURN (PARTIAL) ALL",
        b"RETURN (PARTIAL 1) ALL", b"RETURN (PARTIAL 0:1) ALL", b"RETURN (PARTIAL 1:-1) ALL",
        b"RETURN (PARTIAL -1:1) ALL", b"RETURN (PARTIAL 1:*) ALL", b"RETURN (PARTIAL 1:2 ALL) ALL",
        b"RETURN (PARTIAL 1:2 PARTIAL 1:2) ALL", b"RETURN (MIN) RETURN (MAX) ALL", b"CHARSET UTF-8 RETURN (MIN) ALL",
    ],
)  # fmt: skip
def test_wrong_return_options_are_refused(text: bytes) -> None:
    with pytest.raises(CommandSyntaxError):
        search(text)


def test_a_refused_charset_tells_whether_the_result_was_to_be_saved() -> None:
    for text, saves in ((b"RETURN (SAVE) CHARSET X TEXT x", True), (b"RETURN (MIN) CHARSET X TEXT x", False)):
        with pytest.raises(UnsupportedCharset) as refusal:
            search(text)
        assert refusal.value.saves == saves


@pytest.mark.parametrize(
    ("first", "last", "count", "expected"),
    [
        (1, 500, 3, [0, 1, 2]), (2, 3, 3, [1, 2]), (3, 2, 3, [1, 2]), (4, 9, 3, []), (3, 9, 3, [2]), (1, 1, 0, []),
        (-1, -1, 3, [2]), (-1, -2, 3, [1, 2]), (-2, -1, 3, [1, 2]), (-3, -9, 3, [0]), (-4, -9, 3, []), (-1, -9, 0, []),
    ],
)  # fmt: skip
def test_a_part_of_the_results(first: int, last: int, count: int, expected: list[int]) -> None:
    assert list(PartialRange(first, last).positions(count)) == expected


def test_sort_is_read() -> None:
    command = parse_command(b'a1 UID SORT RETURN (ALL) (SUBJECT REVERSE date) "utf-8" UNSEEN MODSEQ 5')
    assert command == Sort(
        Tag(b"a1"),
        SearchReturns.UIDS,
        (SortCriterion(SortKey.SUBJECT), SortCriterion(SortKey.DATE, is_reverse=True)),
        And((Not(SEEN), ModseqAtLeast(Modseq(5)))),
        asks_modseq=True,
        options=ReturnOptions(frozenset({ALL})),
    )


def test_every_sort_key_is_read() -> None:
    for key in SortKey:
        command = parse_command(b"a1 SORT (%b) UTF-8 ALL" % key.value)
        assert isinstance(command, Sort)
        assert command.criteria == (SortCriterion(key),)


def test_thread_is_read() -> None:
    assert parse_command(b"a1 THREAD references UTF-8 ALL") == Thread(
        Tag(b"a1"), SearchReturns.SEQUENCE_NUMBERS, ThreadAlgorithm.REFERENCES, All()
    )


@pytest.mark.parametrize(
    "text",
    [
        b"SORT", b"SORT DATE UTF-8 ALL", b"SORT () UTF-8 ALL", b"SORT (REVERSE) UTF-8 ALL", b"SORT (DATE) UTF-8",
        b"SORT (DATE) ALL", b"SORT (REVERSE REVERSE DATE) UTF-8 ALL", b"SORT (DATE,SIZE) UTF-8 ALL",
        b"SORT (" + b"DATE " * 32 + b"DATE) UTF-8 ALL", b"THREAD", b"THREAD REFS UTF-8 ALL", b"THREAD REFERENCES ALL",
        b"THREAD REFERENCES UTF-8", b"THREAD RETURN (MIN) REFERENCES UTF-8 ALL",
    ],
)  # fmt: skip
def test_what_is_no_sort_or_thread_is_refused(text: bytes) -> None:
    with pytest.raises(CommandSyntaxError):
        parse_command(b"a1 " + text)


def test_a_line_full_of_ranges_is_read_quickly() -> None:
    """As many members as a line holds, all of them apart."""
    numbers = b",".join(b"%d" % number for number in range(1, 30_000, 2))
    started = time.process_time()
    found = search(numbers + b" UID " + numbers).key
    assert time.process_time() - started < 1
    assert isinstance(found, And)
