import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.mime import sections
from mailserver.mime.sections import SectionKind, header_fields, section_range
from mailserver.mime.structure import scan

BODY, MIME, HEADER, TEXT = SectionKind.BODY, SectionKind.MIME, SectionKind.HEADER, SectionKind.TEXT

# The shape of the example in RFC 3501 §6.4.5.
MESSAGE = b"""\
Subject: outermost
Content-Type: multipart/mixed; boundary=a

--a
X: 1

one
--a
Content-Type: application/octet-stream

two
--a
Content-Type: message/rfc822
X: 3

Subject: third
Content-Type: multipart/mixed; boundary=b

--b

three one
--b
Content-Type: application/octet-stream

three two
--b--
--a
Content-Type: multipart/mixed; boundary=c

--c
Content-Type: image/gif

four one
--c
Content-Type: message/rfc822

Subject: four two
Content-Type: multipart/mixed; boundary=d

--d

four two one
--d
Content-Type: multipart/alternative; boundary=e

--e

four two two one
--e
Content-Type: text/richtext

four two two two
--e--
--d--
--c--
--a--
""".replace(b"\n", b"\r\n")
ROOT = scan(MESSAGE)


def section(path: tuple[int, ...], kind: SectionKind, message: bytes = MESSAGE) -> bytes | None:
    found = section_range(scan(message), path, kind)
    return None if found is None else message[found[0] : found[0] + found[1]]


@pytest.mark.parametrize(
    ("path", "octets"),
    [
        ((1,), b"one"),
        ((2,), b"two"),
        ((3, 1), b"three one"),
        ((3, 2), b"three two"),
        ((4, 1), b"four one"),
        ((4, 2, 1), b"four two one"),
        ((4, 2, 2, 1), b"four two two one"),
        ((4, 2, 2, 2), b"four two two two"),
    ],
)
def test_paths_lead_through_multiparts_and_messages(path: tuple[int, ...], octets: bytes):
    assert section(path, BODY) == octets


def test_headers_and_texts_of_inner_messages():
    assert section((3,), HEADER) == b"Subject: third\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    text = section((3,), TEXT)
    assert text is not None
    assert text.startswith(b"--b\r\n\r\nthree one")
    header = section((4, 2), HEADER)
    assert header is not None
    assert header.startswith(b"Subject: four two")
    whole = section((3,), BODY)
    assert whole == section((3,), HEADER) + text  # type: ignore[operator]


def test_mime_is_the_header_of_the_part_itself():
    assert section((3,), MIME) == b"Content-Type: message/rfc822\r\nX: 3\r\n\r\n"
    assert section((4, 1), MIME) == b"Content-Type: image/gif\r\n\r\n"


def test_the_empty_path_is_the_message():
    assert section((), BODY) == MESSAGE
    assert section((), HEADER) == b"Subject: outermost\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n"
    assert section((), TEXT) == MESSAGE[len(section((), HEADER) or b"") :]
    assert section((), MIME) is None


def test_a_message_that_is_not_multipart_has_part_one():
    message = b"Subject: x\r\nContent-Type: text/html\r\n\r\n<p>\r\n"
    assert section((1,), BODY, message) == b"<p>\r\n"
    assert section((1,), MIME, message) == b"Subject: x\r\nContent-Type: text/html\r\n\r\n"
    assert section((1, 1), BODY, message) is None
    assert section((2,), BODY, message) is None


def test_a_message_that_is_itself_a_message_has_it_as_part_one():
    message = b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ntext\r\n"
    assert section((1,), BODY, message) == b"Subject: inner\r\n\r\ntext\r\n"
    assert section((1,), HEADER, message) == b"Subject: inner\r\n\r\n"
    assert section((1, 1), BODY, message) == b"text\r\n"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ((0,), BODY), ((5,), BODY), ((1, 1), BODY), ((3, 3), BODY), ((4, 1, 1), BODY), ((-1,), BODY),
        ((1,), HEADER), ((1,), TEXT), ((4,), HEADER), ((4,), TEXT),
    ],
)  # fmt: skip
def test_sections_that_do_not_exist_are_none(path: tuple[int, ...], kind: SectionKind):
    assert section(path, kind) is None


HEADER_OCTETS = (
    b"Received: one\r\n\tfolded\r\nFrom: a@b.example\r\nsubject : spaced\r\nReceived: two\r\nX-Received: no\r\n\r\n"
)


def test_chosen_fields_keep_their_order_case_and_folds():
    assert header_fields(HEADER_OCTETS, [b"FROM", b"received"], exclude=False) == (
        b"Received: one\r\n\tfolded\r\nFrom: a@b.example\r\nReceived: two\r\n\r\n"
    )
    assert header_fields(HEADER_OCTETS, [b"Subject"], exclude=False) == b"subject : spaced\r\n\r\n"


def test_the_other_fields_are_the_rest():
    assert header_fields(HEADER_OCTETS, [b"FROM", b"received"], exclude=True) == (
        b"subject : spaced\r\nX-Received: no\r\n\r\n"
    )
    assert header_fields(HEADER_OCTETS, [], exclude=True) == HEADER_OCTETS
    assert header_fields(HEADER_OCTETS, [], exclude=False) == b"\r\n"


def test_the_empty_line_is_there_only_if_the_header_has_one():
    assert header_fields(b"A: 1\r\nB: 2\r\n", [b"a"], exclude=False) == b"A: 1\r\n"
    assert header_fields(b"A: 1\r\nB: 2", [b"b"], exclude=False) == b"B: 2"
    assert header_fields(b"A: 1\r\nB: 2", [b"a"], exclude=False) == b"A: 1\r\n"
    assert header_fields(b"", [b"a"], exclude=False) == b""
    assert header_fields(b"\r\n", [b"a"], exclude=True) == b"\r\n"


def test_bare_line_feeds_and_lines_without_colon_are_kept_with_the_others():
    header = b"A: 1\ngarbage\n folded garbage\nB: 2\n\n"
    assert header_fields(header, [b"a"], exclude=False) == b"A: 1\n\n"
    assert header_fields(header, [b"a"], exclude=True) == b"garbage\n folded garbage\nB: 2\n\n"
    assert header_fields(b"a\nB: 2\nlast", [b"a"], exclude=True) == b"a\nB: 2\nlast"
    assert header_fields(b" folded\nB: 2\n\n", [b"b"], exclude=True) == b" folded\n\n"


LINES = st.sampled_from(
    [
        b"Subject: x", b"subject : y", b" folded", b"\tfolded", b" ", b"To: a@b", b"Tomorrow: no", b"X-To: c",
        b"no colon", b":", b"Subject", b"", b"TO:", b"Received: from a\r\n\tby b",
    ]
)  # fmt: skip


@given(
    st.lists(LINES, max_size=8),
    st.sampled_from([b"\r\n", b"\n"]),
    st.sampled_from([b"\r\n\r\n", b"\n\n", b"\r\n", b"", b"\r\n\r\n\r\n"]),
    st.lists(st.sampled_from([b"Subject", b"to", b"X-To", b"", b"a b", b"no colon", b"Re[ce]ived"]), min_size=1),
)
def test_the_quick_way_to_fields_finds_what_the_slow_one_does(
    lines: list[bytes], ends: bytes, close: bytes, names: list[bytes]
) -> None:
    header = ends.join(lines) + close
    slow = sections._line_by_line(header, tuple(names), exclude=False)
    assert header_fields(header, names, exclude=False) == slow
