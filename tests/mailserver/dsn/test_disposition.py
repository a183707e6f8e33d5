"""Message disposition notifications, written and read (RFC 8098)."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.dsn.disposition import (
    ACTION_MODES,
    SENDING_MODES,
    TYPES,
    Disposition,
    NewNotification,
    asked_to,
    compose_notification,
    is_asked_by_sender,
    is_notification,
    parse_notification,
)

dispositions = st.builds(
    Disposition, st.sampled_from(ACTION_MODES), st.sampled_from(SENDING_MODES), st.sampled_from(TYPES)
)


def notification(disposition: Disposition, subject: str, text: str, ua: str, original: bytes) -> bytes:
    return compose_notification(
        NewNotification(
            sender_name=subject,
            sender="ann@demo.test",
            to=["bob@elsewhere.test"],
            subject=subject,
            text=text,
            disposition=disposition,
            original=original,
            returns_original=True,
            final_recipient="rfc822; ann@demo.test",
            hostname="mail.demo.test",
            token="12345",
            written_at=datetime(2026, 11, 2, 12, 0, tzinfo=UTC),
            reporting_ua=ua,
            extension_fields={"X-Extra": ua},
        )
    )


@given(dispositions, st.text(max_size=80), st.text(max_size=200), st.text(max_size=80), st.binary(max_size=200))
def test_what_is_written_is_read_whatever_it_holds(
    disposition: Disposition, subject: str, text: str, ua: str, original: bytes
) -> None:
    found = parse_notification(notification(disposition, subject, text, ua, original))
    assert found is not None
    assert (found.disposition, found.final_recipient, found.has_original) == (
        disposition,
        "rfc822; ann@demo.test",
        True,
    )


@given(st.binary(max_size=400))
def test_any_octets_are_read_or_are_none(octets: bytes) -> None:
    parse_notification(octets)
    parse_notification(
        b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: message/disposition-notification\r\n\r\n" + octets
    )


def test_only_one_may_ask() -> None:
    assert asked_to(b"Disposition-Notification-To: <a@b.test>\r\n") == [" <a@b.test>"]
    twice = b"Disposition-Notification-To: a@b.test\r\ndisposition-notification-to: c@d.test\r\n"
    assert len(asked_to(twice)) == 2


@pytest.mark.parametrize(
    ("returns_to", "asked", "is_it"),
    [
        ("<a@b.test>", "A <a@B.TEST>", True),
        ("<a@b.test>", "A@b.test", False),
        ("<a@b.test>", "a@b.test, c@d.test", False),
        ("<a@b.test>", "a@b.test, A <a@b.test>", True),  # RFC 8098 §2.1: distinct addresses
        ("<a@b.test>", "nobody", False),
        ("<a@b.test>", "", False),
        ("<>", "a@b.test", False),
        (None, "a@b.test", False),
    ],
)
def test_who_asks_may_be_who_sent_it(returns_to: str | None, asked: str, is_it: bool) -> None:
    header = f"Disposition-Notification-To: {asked}\r\n"
    if returns_to is not None:
        header = f"Return-Path: {returns_to}\r\n{header}"
    assert is_asked_by_sender(header.encode()) is is_it


@pytest.mark.parametrize(
    ("content_type", "is_it"),
    [
        ("multipart/report; report-type=disposition-notification; boundary=b", True),
        ('Multipart/Report;\r\n\tboundary="b"; report-type="Disposition-Notification"', True),
        ("multipart/report; report-type=delivery-status; boundary=b", False),
        ("text/plain", False),
    ],
)
def test_a_notification_is_known_by_its_header(content_type: str, is_it: bool) -> None:
    assert is_notification(f"Subject: x\r\nContent-Type: {content_type}\r\n".encode()) is is_it
