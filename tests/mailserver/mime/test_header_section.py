"""The header on its way in: found, counted, completed; the rest stays as it was."""

from hypothesis import given
from hypothesis import strategies as st

from mailserver.mime.header_section import complete_for_submission, count_received, fields, find_end


def complete(header: bytes) -> bytes:
    return complete_for_submission(header, date="Tue, 1 Dec 2026 10:00:00 +0000", message_id="x@demo.test")


def test_the_header_ends_at_the_first_empty_line() -> None:
    assert find_end(b"a: b\r\n\r\nc\r\n\r\n", 0) == 6
    assert find_end(b"\r\nbody", 0) == 0
    assert find_end(b"a: b\r\n", 0) == -1


@given(st.integers(min_value=0, max_value=9))
def test_the_end_is_found_wherever_the_last_look_stopped(looked_at: int) -> None:
    assert find_end(b"ab: c\r\n\r\n", min(looked_at, 8)) == 7


def test_folded_and_obsolete_fields_are_read_and_other_lines_passed_over() -> None:
    header = b" lost\r\nA : 1\r\n 2\r\nnot a field\r\n\tfolded\r\nFrom :x\r\nB:\r\n"
    assert list(fields(header)) == [(b"a", b" 1\r\n 2"), (b"from", b"x"), (b"b", b"")]


def test_received_fields_are_counted() -> None:
    assert count_received(b"Received: a\r\nX-Received: b\r\nRECEIVED: c\r\nSubject: received: d\r\n") == 2


def test_date_and_message_id_are_added_where_they_are_missing() -> None:
    assert complete(b"Subject: x\r\n") == (
        b"Date: Tue, 1 Dec 2026 10:00:00 +0000\r\nMessage-ID: <x@demo.test>\r\nSubject: x\r\n"
    )
    whole = b"date: yesterday\r\nMESSAGE-ID : <y>\r\n"
    assert complete(whole) == whole


def test_blind_copies_and_return_path_go_with_their_folded_lines() -> None:
    header = b"Date: x\r\nBcc: a@b,\r\n c@d\r\nMessage-ID: <y>\r\nbcc: e@f\r\nReturn-Path: <g@h>\r\nTo: i@j\r\n"
    assert complete(header) == b"Date: x\r\nMessage-ID: <y>\r\nTo: i@j\r\n"


@given(
    st.lists(
        st.sampled_from([b"Date: x", b"Message-ID: <y>", b"Bcc: z", b" folded", b"junk", b"A:b", b":"]), max_size=8
    )
)
def test_completing_twice_changes_nothing_more(lines: list[bytes]) -> None:
    once = complete(b"".join(line + b"\r\n" for line in lines))
    assert complete(once) == once
    assert b"\r\nBcc: z" not in once
