"""What a FETCH reads, and where its items are."""

from datetime import UTC, datetime

import pytest

from mailserver.imap.session.fetch_plan import Extent, FetchPlan, FieldsOf, plan_fetch
from mailserver.imap.wire.commands import Fetch
from mailserver.imap.wire.parse import parse_command
from mailserver.mime.description import WIRE_VERSION
from mailserver.mime.structure import scan
from storage.rows import Columns, FetchRow
from storage.types import MessageId, Modseq, SystemFlag, ThreadId, Uid

MESSAGE = (
    b"From: ann@mill.test\r\nSubject: Two parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\nfirst\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nsecond\r\n--b--\r\n"
)
HEADER = MESSAGE[: MESSAGE.index(b"\r\n\r\n") + 4]
ROOT = scan(MESSAGE)


def planned(items: str, *, is_condstore: bool = False) -> FetchPlan:
    command = parse_command(f"a FETCH 1 {items}".encode())
    assert isinstance(command, Fetch)
    return plan_fetch(command.items, is_condstore=is_condstore)


def row(*, header: bytes = HEADER) -> FetchRow:
    return FetchRow(
        uid=Uid(7),
        message_id=MessageId(1),
        thread_id=ThreadId(1),
        octets=len(MESSAGE),
        header_octets=len(HEADER),
        received_at=datetime(2026, 11, 2, tzinfo=UTC),
        flags=SystemFlag.SEEN,
        keywords=frozenset(),
        modseq=Modseq(5),
        envelope=b"(envelope)",
        bodystructure=b'("text" "plain" NIL NIL NIL "7bit" 5 1 NIL NIL NIL NIL)',
        header=header,
        structure=b"",
        wire_version=WIRE_VERSION,
        differs_in_utf8=False,
    )


def octets_of(items: str) -> bytes | None:
    """What the client gets of the one section it asks for."""
    [wanted] = planned(items).sections
    match wanted.locate(row(), ROOT):
        case Extent(offset, octets):
            return MESSAGE[offset : offset + octets]
        case FieldsOf(Extent(offset, octets)):
            return wanted.choose(MESSAGE[offset : offset + octets])
        case found:
            return found


@pytest.mark.parametrize(
    ("items", "columns", "needs_content"),
    [
        ("(FLAGS UID MODSEQ INTERNALDATE RFC822.SIZE)", Columns.FACTS, False),
        ("(ENVELOPE)", Columns.WIRE, False),
        ("BODY", Columns.WIRE, False),
        ("RFC822.HEADER", Columns.HEADER, False),
        ("BODY.PEEK[HEADER.FIELDS (DATE)]", Columns.HEADER, False),
        ("BODY[]", Columns.FACTS, True),
        ("BODY[TEXT]", Columns.FACTS, True),
        ("BODY[1.MIME]", Columns.STRUCTURE, True),
        ("(ENVELOPE BODY[HEADER] BODY[2.TEXT])", Columns.WIRE | Columns.HEADER | Columns.STRUCTURE, True),
    ],
)
def test_nothing_is_read_that_is_not_asked_for(items: str, columns: Columns, needs_content: bool) -> None:
    plan = planned(items)
    assert plan.columns == columns
    assert plan.needs_content is needs_content


@pytest.mark.parametrize(
    ("items", "is_in_view"), [("FLAGS", True), ("(UID FLAGS)", True), ("(FLAGS MODSEQ)", False), ("FAST", False)]
)
def test_flags_and_uids_are_answered_from_the_view(items: str, is_in_view: bool) -> None:
    assert planned(items).is_in_view is is_in_view


@pytest.mark.parametrize(
    ("items", "sets_seen"),
    [
        ("BODY[]", True),
        ("BODY[HEADER]", True),
        ("RFC822", True),
        ("RFC822.TEXT", True),
        ("BODY.PEEK[]", False),
        ("RFC822.HEADER", False),
        ("(ENVELOPE BODY)", False),
    ],
)
def test_what_sets_seen(items: str, sets_seen: bool) -> None:
    assert planned(items).sets_seen is sets_seen


@pytest.mark.parametrize(
    ("items", "octets"),
    [
        ("BODY[]", MESSAGE),
        ("RFC822", MESSAGE),
        ("BODY[HEADER]", HEADER),
        ("BODY[TEXT]", MESSAGE[len(HEADER) :]),
        ("BODY[1]", b"first"),
        ("BODY[2]", b"Subject: inner\r\n\r\nsecond"),
        ("BODY[2.HEADER]", b"Subject: inner\r\n\r\n"),
        ("BODY[2.TEXT]", b"second"),
        ("BODY[2.1]", b"second"),
        ("BODY[2.MIME]", b"Content-Type: message/rfc822\r\n\r\n"),
        ("BODY[HEADER.FIELDS (subject)]", b"Subject: Two parts\r\n\r\n"),
        ("BODY[2.HEADER.FIELDS (SUBJECT)]<9.5>", b"inner"),
        ("BODY[]<5.4>", b" ann"),
        ("BODY[]<99999.4>", b""),
        ("BODY[HEADER]<0.4>", b"From"),
        ("BODY[3]", None),
        ("BODY[1.HEADER]", None),
        ("BODY", b'("text" "plain" NIL NIL NIL "7bit" 5 1)'),
    ],
)
def test_where_each_section_is(items: str, octets: bytes | None) -> None:
    assert octets_of(items) == octets


def test_a_header_longer_than_its_column_is_read_from_the_content() -> None:
    [wanted] = planned("BODY[HEADER]").sections
    assert wanted.locate(row(header=HEADER[:10]), None) == Extent(0, len(HEADER))


def test_a_message_made_seen_shows_its_flags_in_the_same_response() -> None:
    plan = planned("BODY[]")
    assert plan.line_with_flags.begin(1, row()) == b"* 1 FETCH (FLAGS (\\Seen) "
    plan = planned("(UID BODY[])", is_condstore=True)
    assert plan.line_with_flags.begin(1, row()) == b"* 1 FETCH (FLAGS (\\Seen) UID 7 MODSEQ (5) "
