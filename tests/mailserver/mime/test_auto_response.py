"""Which messages a program may answer (RFC 3834)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.mime.auto_response import addressed, answered_ids, may_answer, subject

FROM_BOB = "bob@elsewhere.test"


def header(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in ("From: Bob <bob@elsewhere.test>", *lines)).encode()


@pytest.mark.parametrize(
    "line",
    [
        "Subject: Lunch?",
        "Auto-Submitted: no",
        "Auto-Submitted: No (a person wrote this)",
        "Auto-Submitted: (a person)\r\n no; x-why=test",
        "Precedence: first-class",
        "X-Auto-Response-Suppress: DR, RN",
        "Content-Type: multipart/mixed; boundary=report",
        "X-Priority: 1",
    ],
)
def test_what_a_person_wrote_is_answered(line: str) -> None:
    assert may_answer(header(line), FROM_BOB)


@pytest.mark.parametrize(
    "line",
    [
        "Auto-Submitted: auto-generated",
        "Auto-Submitted: auto-replied (vacation)",
        "auto-submitted: AUTO-NOTIFIED; owner-email=x",
        "Precedence: bulk",
        "Precedence: List",
        "Precedence: junk",
        "List-Id: <talk.elsewhere.test>",
        "List-Unsubscribe: <https://elsewhere.test/>",
        "List-Post: NO",
        "Mailing-List: contact x",
        "X-Auto-Response-Suppress: DR, OOF",
        "X-Auto-Response-Suppress: All",
        "Content-Type: multipart/report; report-type=delivery-status; boundary=x",
        "Content-Type: Multipart/Report;\r\n\treport-type=disposition-notification",
        "X-Autoreply: yes",
    ],
)
def test_what_a_program_or_a_list_sent_is_not(line: str) -> None:
    assert not may_answer(header(line), FROM_BOB)


@pytest.mark.parametrize(
    "reverse_path",
    [
        "",
        "MAILER-DAEMON@elsewhere.test",
        "postmaster@elsewhere.test",
        "owner-talk@elsewhere.test",
        "talk-owner@elsewhere.test",
        "talk-request@elsewhere.test",
        "talk-bounces@elsewhere.test",
        "bounces+bob=x.test@elsewhere.test",
        "bounce-1234@elsewhere.test",
        "LISTSERV@elsewhere.test",
        "no-reply@elsewhere.test",
        "noreply@elsewhere.test",
        "do_not_reply@elsewhere.test",
    ],
)
def test_nobody_waits_for_an_answer_there(reverse_path: str) -> None:
    assert not may_answer(header(), reverse_path)


@pytest.mark.parametrize("reverse_path", ["bob.owner@x.test", "replying@x.test", "requests@x.test", "bouncer@x.test"])
def test_people_may_be_called_alike(reverse_path: str) -> None:
    assert may_answer(header(), reverse_path)


def test_whom_it_is_for_is_read_from_every_field_of_recipients() -> None:
    found = addressed(
        header(
            "To: Ann <ann@demo.test>,",
            " =?utf-8?q?Bj=C3=B6rn?= <bjorn@demo.test>",
            "Cc: group: a@demo.test, b@demo.test;",
            "Resent-To: c@demo.test",
            "Reply-To: eve@elsewhere.test",
        )
    )
    assert found == ["ann@demo.test", "bjorn@demo.test", "a@demo.test", "b@demo.test", "c@demo.test"]


def test_an_answer_stands_in_the_thread() -> None:
    ids = answered_ids(header("Message-ID: <3@x>", "References: <1@x>\r\n\t<2@x>", "In-Reply-To: <2@x>"))
    assert ids == ("<3@x>", ["<1@x>", "<2@x>", "<3@x>"])
    assert answered_ids(header("Message-ID: <2@x>", "In-Reply-To: <1@x>")) == ("<2@x>", ["<1@x>", "<2@x>"])
    assert answered_ids(header()) == (None, [])


def test_a_message_without_a_subject_has_none() -> None:
    assert subject(header()) == b""
    assert subject(header("Subject: one\r\n two")).strip() == b"one\r\n two"


@given(st.binary(max_size=300))
def test_any_octets_are_judged(octets: bytes) -> None:
    may_answer(octets, FROM_BOB)
    assert all("@" in each for each in addressed(b"To: " + octets))
    message_id, references = answered_ids(octets)
    assert (message_id is None) == (not references)
