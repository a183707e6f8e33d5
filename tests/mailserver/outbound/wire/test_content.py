"""What DATA carries is the message, whole lines, with its dots doubled, and one end (RFC 5321 §4.5.2)."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailserver.outbound.wire.content import ContentWriter
from mailserver.smtp.wire.message_reader import MessageLimits, MessageReader

_TEXT = st.binary(max_size=6).map(lambda octets: octets.replace(b"\0", b""))  # our door takes no NUL

LINES = st.lists(
    st.one_of(
        st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"..", b"\r\n.\r\n", b"\n.\r", b"a", b"\r\r\n"]),
        _TEXT,
    ),
    max_size=25,
).map(b"".join)


def written(*pieces: bytes) -> bytes:
    writer = ContentWriter()
    return b"".join([*(writer.encode(piece) for piece in pieces), writer.end()])


def mended(octets: bytes) -> bytes:
    """What must arrive: CRLF alone ends lines, and there is one at the end."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
    return lines if lines.endswith(b"\r\n") or not lines else lines + b"\r\n"


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"", b".\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.b\r\n..\r\n", b"a\r\n..b\r\n...\r\n.\r\n"),
        (b"a\n.\nb\r", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r\n.\r\nMAIL FROM:<>\r\n", b"a\r\n..\r\nMAIL FROM:<>\r\n.\r\n"),
    ],
)
def test_examples(octets: bytes, expected: bytes) -> None:
    assert written(octets) == expected


@given(LINES, st.data())
@example(b"\r\n.", None)
def test_how_a_message_is_cut_never_matters(octets: bytes, data: st.DataObject | None) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=6))) if data else list(range(len(octets)))
    pieces = [octets[start:end] for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
    assert written(*pieces) == written(octets)


@given(LINES)
def test_our_own_door_reads_back_what_was_written(octets: bytes) -> None:
    reader = MessageReader(MessageLimits(10_000, 10_000, 20_000))
    found, rest = reader.read(written(octets) + b"NOOP\r\n")
    assert reader.fault is None
    assert (found, rest) == (mended(octets), b"NOOP\r\n")


@given(LINES)
def test_no_bare_line_end_ever_leaves(octets: bytes) -> None:
    sent = written(octets)
    assert sent.count(b"\r\n") == sent.count(b"\r") == sent.count(b"\n")
    assert sent.count(b"\r\n.\r\n") == (0 if sent == b".\r\n" else 1)
