"""mbox files, our own and other programs', give back what was put in (RFC 4155)."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.mailbox_formats import mbox
from mailserver.mailbox_formats.letters import from_status_fields
from mailserver.mailbox_formats.mbox_reading import Entry, altered, entries, exported, header_of, is_mbox
from storage.types import Flags, SystemFlag
from tests.letters import letters

NOON = datetime(2026, 11, 2, 12, 0, 0, 250_000, tzinfo=UTC)
SEEN, ANSWERED, FLAGGED, DELETED, DRAFT = SystemFlag


def as_mbox(*messages: bytes, flags: Flags = Flags()) -> bytes:  # noqa: B008 - it is frozen
    return b"".join(
        piece
        for uid, message in enumerate(messages, 1)
        for piece in mbox.written(message, uidvalidity=7, uid=uid, received_at=NOON, flags=flags, is_recent=False)
    )


def given_back(file: bytes) -> list[bytes]:
    return [whole(file, entry) for entry in entries(file)]


def whole(file: bytes, entry: Entry) -> bytes:
    assert entry.mark is not None
    octets = b"".join(exported(file, entry, entry.mark)[1])[: entry.mark.octets]
    assert mbox.sha256_of(octets) == entry.mark.sha256
    return octets


def foreign(file: bytes) -> list[bytes]:
    """As messages of other programs are read."""
    return [b"".join(altered(file, entry, header_of(file, entry))) for entry in entries(file)]


def test_every_letter_comes_back_octet_for_octet() -> None:
    sent = [message for _, message in letters()]
    assert given_back(as_mbox(*sent)) == sent


@given(
    st.lists(
        st.lists(st.sampled_from([b"From ", b">", b"\r\n", b"\n", b"\r", b"x", b"Mon Nov  2 12:00:00 2026"])).map(
            b"".join
        ),
        max_size=4,
    )
)
def test_no_line_ends_and_no_from_lines_confuse_it(messages: list[bytes]) -> None:
    assert given_back(as_mbox(*messages)) == messages


def test_a_message_is_written_as_other_programs_expect_it() -> None:
    message = b"Return-Path: <grace@elsewhere.test>\r\nSubject: Hi\r\n\r\nFrom here\r\n>From there\r\n"
    written = as_mbox(message, flags=Flags(SEEN | FLAGGED | DRAFT, frozenset({"work", "$Forwarded"})))
    lines = written.split(b"\n")
    assert lines[0] == b"From grace@elsewhere.test Mon Nov  2 12:00:00 2026"
    assert lines[1].startswith(b"X-Waypost-Export: 1 7 1 %d lf " % len(message))
    assert lines[2:] == [
        b"Status: RO",
        b"X-Status: FT",
        b"X-Keywords: $Forwarded work",
        b"Return-Path: <grace@elsewhere.test>",
        b"Subject: Hi",
        b"",
        b">From here",
        b">>From there",
        b"",
        b"",
    ]


def test_flags_and_the_moment_come_back() -> None:
    flags = Flags(SEEN | ANSWERED | DELETED, frozenset({"work"}))
    file = as_mbox(b"Subject: a\r\n\r\nb\r\n", flags=flags)
    (entry,) = entries(file)
    assert entry.mark is not None
    fields, _ = exported(file, entry, entry.mark)
    assert from_status_fields(fields) == flags
    assert entry.mark.received_at == NOON


def test_a_message_that_a_program_gave_other_flags_is_told_by_its_digest() -> None:
    """mutt drops the Status fields and puts its own at the end of the header, with Content-Length and Lines."""
    message = b"Subject: Hi\r\nTo: ada@company.test\r\n\r\nBody\r\n"
    file = as_mbox(message)
    mark = file.split(b"\n")[1]
    edited = (
        b"From MAILER-DAEMON Mon Nov  2 12:00:00 2026\n"
        + mark
        + b"\nSubject: Hi\nTo: ada@company.test\nStatus: RO\nX-Status: F\nContent-Length: 5\nLines: 1\n\nBody\n\n"
    )
    (entry,) = entries(edited)
    assert entry.mark is not None
    header = header_of(edited, entry)
    octets = b"".join(altered(edited, entry, header))[: entry.mark.octets]
    assert octets == message
    assert from_status_fields(header.fields).system == SEEN | FLAGGED


def test_lines_that_only_begin_like_a_from_line_are_text() -> None:
    file = b"From a@b Mon Nov  2 12:00:00 2026\nSubject: x\n\nfirst\n\nFrom here on there is text\n\nlast\n"
    assert foreign(file) == [b"Subject: x\r\n\r\nfirst\r\n\r\nFrom here on there is text\r\n\r\nlast\r\n"]


def test_a_from_line_within_a_paragraph_is_text() -> None:
    file = b"From a@b Mon Nov  2 12:00:00 2026\n\nas he wrote\nFrom c@d Mon Nov  2 12:00:00 2026\nand more\n"
    assert len(foreign(file)) == 1


@pytest.mark.parametrize(
    ("line", "moment"),
    [
        (b"From a@b Mon Nov  2 12:00:00 2026", (2026, 11, 2, 12, 0, 0)),
        (b"From a@b Mon Nov  2 12:00 2026", (2026, 11, 2, 12, 0, 0)),
        (b"From a@b Mon, 2 Nov 2026 12:00:00 +0100", (2026, 11, 2, 11, 0, 0)),
        (b"From a@b Mon Nov 02 12:00:00 CET 2026", (2026, 11, 2, 12, 0, 0)),
        (b"From - Mon Nov 02 12:00:00 2026", (2026, 11, 2, 12, 0, 0)),
        (b'From "a person"@b Mon Nov  2 12:00:00 2026 remote from c', (2026, 11, 2, 12, 0, 0)),
    ],
)
def test_from_lines_of_other_programs_say_when(line: bytes, moment: tuple[int, ...]) -> None:
    (entry,) = entries(line + b"\n\nbody\n")
    assert entry.sent_at == datetime(*moment, tzinfo=UTC)  # type: ignore[misc, arg-type]


def test_content_length_is_believed_where_a_message_follows() -> None:
    body = b"text\n\nFrom x@y Tue Nov  3 12:00:00 2026\n>From z\n"
    one = b"From a@b Mon Nov  2 12:00:00 2026\nContent-Length: %d\nSubject: 1\n\n" % len(body) + body + b"\n"
    two = b"From a@b Mon Nov  2 12:00:00 2026\nSubject: 2\n\nend\n"
    assert foreign(one + two) == [
        b"Subject: 1\r\n\r\n" + body.replace(b"\n", b"\r\n"),
        b"Subject: 2\r\n\r\nend\r\n",
    ]


def test_content_length_that_lies_is_not_believed() -> None:
    one = b"From a@b Mon Nov  2 12:00:00 2026\nContent-Length: 3\nSubject: 1\n\n>From me\n\n"
    assert foreign(one * 2) == [b"Subject: 1\r\n\r\nFrom me\r\n"] * 2


def test_a_file_with_crlf_is_read() -> None:
    one = b"From a@b Mon Nov  2 12:00:00 2026\r\nStatus: RO\r\nSubject: 1\r\n\r\n>From me\r\n\r\n"
    assert foreign(one * 2) == [b"Subject: 1\r\n\r\nFrom me\r\n"] * 2


def test_what_mail_programs_keep_for_themselves_is_not_the_message() -> None:
    internal = b"From MAILER-DAEMON Mon Nov  2 12:00:00 2026\nSubject: DON'T DELETE THIS MESSAGE\nX-IMAP: 1 2\n\nx\n\n"
    kept = b"From a@b Mon Nov  2 12:00:00 2026\nX-UID: 3\nX-Keywords: a\n b\nX-Status: A\nSubject: 1\n\nx\n"
    first, second = entries(internal + kept)
    assert header_of(internal + kept, first).is_internal
    header = header_of(internal + kept, second)
    assert header.octets == b"Subject: 1\n"
    assert from_status_fields(header.fields) == Flags(ANSWERED, frozenset({"a", "b"}))


def test_thunderbirds_flags_are_read() -> None:
    flags = from_status_fields({"x-mozilla-status": "1003", "x-mozilla-keys": "$label1 (bad"})
    assert flags == Flags(SEEN | ANSWERED, frozenset({"$Forwarded", "$label1"}))


def test_what_is_no_mbox_is_told() -> None:
    assert is_mbox(b"")
    assert is_mbox(b"\n\nFrom a@b Mon Nov  2 12:00:00 2026\n")
    assert not is_mbox(b"Subject: x\r\n\r\nFrom a@b Mon Nov  2 12:00:00 2026\n")
    assert list(entries(b"Subject: x\n")) == []


@pytest.mark.parametrize(
    "body",
    [
        b"x" * 3_000_000,
        b">" * 1_000_000 + b"From x\n",
        b"\nFrom " * 200_000,
        b"\n" * 1_000_000,
        b"Status:" + b" " * 500_000 + b"x\n" * 3,
        b"\n\nFrom " + b"Mon Nov " * 60 + b"\n" * 100,
    ],
)
def test_no_file_takes_long_to_read(body: bytes) -> None:
    began = time.process_time()
    assert foreign(b"From a@b Mon Nov  2 12:00:00 2026\n" + body)
    assert time.process_time() - began < 2
