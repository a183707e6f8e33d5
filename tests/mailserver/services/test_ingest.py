"""From octets to what is kept: facts, and which octets become blobs of their own."""

from datetime import UTC, datetime

import pytest

from mailserver.services import ingest as module
from mailserver.services.ingest import LARGE_PART_OCTETS, divide, ingest
from storage.header_column import HEADER_COLUMN_OCTETS
from storage.types import SegmentKind
from tests.conftest import NOON, plain_message
from tests.letters import TEXT, attachment, lines_of, multipart, part


def test_the_facts_of_a_message() -> None:
    message = plain_message(7, cc="Eve <eve@third.test>", in_reply_to="<6@elsewhere.test>")
    facts = divide(message, NOON).facts
    assert (facts.octets, facts.header_octets) == (len(message), message.index(b"\r\n\r\n") + 4)
    assert facts.header == message[: facts.header_octets]
    assert (facts.received_at, facts.sent_at) == (NOON, datetime(2026, 11, 2, 10, 0, tzinfo=UTC))
    assert (facts.subject, facts.sender, facts.recipients) == ("Message 7", "Grace", "Ada, Eve")
    assert facts.preview == "Lunch at noon?"
    assert len(facts.references) == 2
    assert not facts.has_attachment


def test_a_small_message_is_one_run_of_one_blob() -> None:
    message = divide(plain_message(), NOON)
    (segment,) = message.segments
    assert (segment.kind, segment.offset, segment.octets) == (SegmentKind.LITERAL, 0, len(b"Lunch at noon?\r\n"))
    assert message.blobs == (b"Lunch at noon?\r\n",)


def test_a_large_part_is_kept_decoded_by_itself() -> None:
    octets = bytes(range(256)) * 300
    message = divide(multipart(TEXT, attachment(lines_of(octets, 76, ends=True))), NOON)
    assert [segment.kind for segment in message.segments] == [
        SegmentKind.LITERAL, SegmentKind.BASE64, SegmentKind.LITERAL,
    ]  # fmt: skip
    assert message.blobs[1] == octets


def test_a_part_is_large_beyond_its_limit() -> None:
    for octets, blobs in ((LARGE_PART_OCTETS, 1), (LARGE_PART_OCTETS + 1, 2)):
        message = divide(multipart(part(b"x" * octets, "Content-Type: text/plain")), NOON)
        assert len(message.blobs) == blobs


def test_the_same_attachment_in_other_lines_is_the_same_blob() -> None:
    octets = bytes(range(256)) * 300
    made = [divide(multipart(attachment(lines_of(octets, line, ends=True))), NOON) for line in (60, 76)]
    assert made[0].blobs[1] == made[1].blobs[1]


def test_a_header_longer_than_its_column_goes_on_in_the_first_blob() -> None:
    header = b"X-Filler: " + b"f" * HEADER_COLUMN_OCTETS + b"\r\n\r\n"
    message = divide(header + b"body", NOON)
    assert message.facts.header_octets == len(header)
    assert message.facts.header == header[:HEADER_COLUMN_OCTETS]
    assert message.blobs == (header[HEADER_COLUMN_OCTETS:] + b"body",)


def test_a_message_that_is_all_header_has_no_blob() -> None:
    message = divide(b"Subject: header alone\r\n\r\n", NOON)
    assert (message.segments, message.blobs) == ((), ())


@pytest.mark.parametrize("limit", [0, 10**9])
async def test_in_a_thread_or_not_the_same_comes_of_it(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(module, "_IN_A_THREAD_OCTETS", limit)
    assert await ingest(plain_message(), NOON) == divide(plain_message(), NOON)
