"""FETCH responses made from rows and sections."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mailserver.imap.wire.commands import Append, Fetch
from mailserver.imap.wire.fetch_data import (
    CLOSE,
    FetchLine,
    absent_section,
    flag_list,
    internaldate,
    label_of,
    section,
    section_head,
)
from mailserver.imap.wire.fetch_items import FetchAttribute, FetchItem
from mailserver.imap.wire.parse import parse_command
from storage.types import NO_FLAGS, Flags, Modseq, SystemFlag, Uid

UID = Uid(4827313)
MODSEQ = Modseq(65402)


@dataclass(frozen=True)
class Row:
    uid: Uid = UID
    octets: int = 44827
    received_at: datetime = datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)
    flags: SystemFlag = SystemFlag.SEEN
    keywords: frozenset[str] = frozenset()
    modseq: Modseq = MODSEQ
    envelope: bytes | None = b"(env)"
    bodystructure: bytes | None = b"(body)"


def items_of(text: bytes) -> tuple[FetchItem, ...]:
    command = parse_command(b"a1 FETCH 1 " + text)
    assert isinstance(command, Fetch)
    return command.items


def test_a_line_holds_what_was_asked_for() -> None:
    line = FetchLine(items_of(b"(UID MODSEQ FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"))
    assert line.whole(23, Row()) == (
        b"* 23 FETCH (FLAGS (\\Seen) UID 4827313 MODSEQ (65402) "
        b'INTERNALDATE "17-Jul-1996 09:44:25 +0000" RFC822.SIZE 44827 ENVELOPE (env) BODYSTRUCTURE (body))\r\n'
    )


def test_recent_belongs_to_the_session() -> None:
    line = FetchLine((FetchAttribute.FLAGS,))
    assert line.whole(1, Row(flags=NO_FLAGS), is_recent=True) == b"* 1 FETCH (FLAGS (\\Recent))\r\n"
    assert line.whole(1, Row(), is_recent=True) == b"* 1 FETCH (FLAGS (\\Recent \\Seen))\r\n"


def test_keywords_follow_the_system_flags() -> None:
    keywords = frozenset({"$Junk", "$Forwarded"})
    assert flag_list(Flags(SystemFlag.SEEN, keywords)) == b"(\\Seen $Forwarded $Junk)"
    assert flag_list(Flags(NO_FLAGS, keywords)) == b"($Forwarded $Junk)"


def test_a_small_section_is_written_into_the_line() -> None:
    items = items_of(b"(UID BODY.PEEK[HEADER.FIELDS (Date)] BODY[2.MIME])")
    octets = FetchLine(items).begin(2, Row())
    octets += section(label_of(items[1]), b"Date: x\r\n\r\n") + b" " + absent_section(label_of(items[2])) + CLOSE
    assert octets == b"* 2 FETCH (UID 4827313 BODY[HEADER.FIELDS (Date)] {11}\r\nDate: x\r\n\r\n BODY[2.MIME] NIL)\r\n"


def test_a_line_may_begin_with_a_section() -> None:
    items = items_of(b"BODY[]<0.2048>")
    head = FetchLine(items).begin(2, Row()) + section_head(label_of(items[0]), 2048)
    assert head == b"* 2 FETCH (BODY[]<0> {2048}\r\n"


@pytest.mark.parametrize(
    ("asked", "label"),
    [
        (b"RFC822.HEADER", b"RFC822.HEADER"),
        (b"BODY", b"BODY"),
        (b"body.peek[1.2.text]<5.6>", b"BODY[1.2.TEXT]<5>"),
        (b'BODY[HEADER.FIELDS.NOT ("To" "a b" ")")]', b'BODY[HEADER.FIELDS.NOT (To "a b" ")")]'),
        (b"BODY[3]", b"BODY[3]"),
    ],
)
def test_sections_are_named_as_they_were_asked_for(asked: bytes, label: bytes) -> None:
    assert label_of(items_of(asked)[0]) == label


@pytest.mark.parametrize(
    ("when", "octets"),
    [
        (datetime(2024, 2, 1, 3, 4, 5, tzinfo=UTC), b'" 1-Feb-2024 03:04:05 +0000"'),
        (datetime(2024, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=8))), b'"31-Dec-2024 23:59:59 +0800"'),
        (datetime(2024, 1, 9, 0, 0, tzinfo=timezone(-timedelta(hours=3, minutes=30))), b'" 9-Jan-2024 00:00:00 -0330"'),
        (datetime(2024, 1, 9, 0, 0, tzinfo=timezone(timedelta(0))), b'" 9-Jan-2024 00:00:00 +0000"'),
        (datetime(987, 1, 9, 0, 0, tzinfo=UTC), b'" 9-Jan-0987 00:00:00 +0000"'),
    ],
)
def test_internaldate_has_a_fixed_form(when: datetime, octets: bytes) -> None:
    assert internaldate(when) == octets


def test_internaldate_can_be_given_back_to_append() -> None:
    when = datetime(2024, 2, 1, 3, 4, 5, tzinfo=timezone(timedelta(hours=8)))
    command = parse_command(b"a1 APPEND INBOX " + internaldate(when) + b" {1}")
    assert isinstance(command, Append)
    assert command.message.received_at == when


def test_a_fetch_names_one_message_for_each_flag_combination() -> None:
    seen = {flag_list(Flags(SystemFlag(bits))) for bits in range(32)}
    assert len(seen) == 32
