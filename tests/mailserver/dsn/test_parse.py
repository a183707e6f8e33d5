"""Notifications that others send, whole and broken."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.dsn.facts import Action
from mailserver.dsn.parse import parse_dsn

HEAD = b"""From: mailer-daemon@x.test
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b

sorry
--b
Content-Type: message/delivery-status

"""
TAIL = b"""
--b
Content-Type: message/rfc822

Message-ID: <old@x.test>

--b--
"""


def status(text: str) -> bytes:
    return HEAD + text.encode() + TAIL


def test_a_report_of_rfc_3461_is_read() -> None:
    report = parse_dsn(
        status("""Reporting-MTA: dns; Example.ORG
Original-Envelope-ID: QQ314159

Original-Recipient: rfc822;Carol@Ivory.EDU
Final-Recipient: rfc822;Carol@Ivory.EDU
SMTP-Remote-Recipient: Carol@Ivory.EDU
Diagnostic-Code: smtp; 550 error - no
 such recipient
Action: failed
Status: 5.0.0
""")
    )
    assert report is not None
    assert (report.reporting_host, report.envelope_id, report.original_message_id) == (
        "Example.ORG",
        "QQ314159",
        "<old@x.test>",
    )
    (carol,) = report.recipients
    assert (carol.address, carol.action, carol.status, carol.answer) == (
        "Carol@Ivory.EDU",
        Action.FAILED,
        "5.0.0",
        "550 error - no such recipient",
    )


def test_groups_without_an_empty_line_between_them_are_told_apart() -> None:
    report = parse_dsn(
        status("Final-Recipient: a@x.test\nStatus: 5.1.1 (no such)\nFinal-Recipient: <b@x.test>\nStatus: 4.2.2\n")
    )
    assert report is not None
    assert [(each.address, each.action) for each in report.recipients] == [
        ("a@x.test", Action.FAILED),
        ("b@x.test", Action.DELAYED),
    ]


def test_a_missing_status_is_taken_from_the_answer() -> None:
    report = parse_dsn(
        status("Reporting-MTA: x\n\nFinal-Recipient: rfc822; a@x.test\nAction: Failed (at last)\n"
               "Diagnostic-Code: smtp; 552 5.2.2 full\n")
    )  # fmt: skip
    assert report is not None
    assert report.recipients[0].status == "5.2.2"


def test_a_text_that_calls_itself_a_status_does_not_hide_the_one_behind_it() -> None:
    octets = HEAD + b"No, said the server.\n\n--b\nContent-Type: message/delivery-status\n\n"
    report = parse_dsn(octets + b"Final-Recipient: rfc822;a@x.test\nAction: delayed\nStatus: 4.0.0\n" + TAIL)
    assert report is not None
    assert report.recipients[0].action is Action.DELAYED


def test_dates_become_moments() -> None:
    report = parse_dsn(status("Arrival-Date: Tue, 1 Dec 2026 11:00:00 +0100\n\nFinal-Recipient: a@x\nAction: failed\n"))
    assert report is not None
    assert report.arrived_at == datetime(2026, 12, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "octets",
    [b"", b"Subject: x\r\n\r\nFinal-Recipient: a@x\r\n", status(""), status("Action: failed\n\nStatus: 5.0.0")],
)
def test_what_names_nobody_is_no_report(octets: bytes) -> None:
    assert parse_dsn(octets) is None


FIELD = st.sampled_from(
    ["Final-Recipient: ", "Original-Recipient:", "Action:", "Status:", "Diagnostic-Code:", "Reporting-MTA:",
     "Will-Retry-Until:", " ", "\n", "rfc822;", "utf-8;\\x{110000}", "(", "failed", "5.1.1", ";", "a@b", "\r"]
)  # fmt: skip


@given(st.lists(FIELD | st.text(max_size=5)).map("".join))
def test_no_text_is_too_broken_to_be_looked_at(text: str) -> None:
    report = parse_dsn(HEAD + text.encode("utf-8", "surrogatepass") + TAIL)
    assert report is None or all(each.address for each in report.recipients)


@given(st.binary(max_size=500))
def test_no_octets_are_too_broken_to_be_looked_at(octets: bytes) -> None:
    parse_dsn(octets)
    parse_dsn(HEAD + octets)
