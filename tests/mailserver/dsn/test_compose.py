"""Notifications as people and programs read them. The stdlib's parser stands for the other programs."""

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.dsn.compose import compose_dsn
from mailserver.dsn.facts import Action, DsnFacts, Reader, RecipientReport
from mailserver.dsn.original import can_travel
from mailserver.dsn.parse import parse_dsn
from mailserver.mime.sections import part_at
from mailserver.mime.structure import scan
from storage.outgoing_types import ReturnContent
from tenants.locality import LANGUAGES

AT = datetime(2026, 12, 1, 10, 0, 0, tzinfo=UTC)
ORIGINAL = b"Message-ID: <hello@demo.test>\r\nSubject: Hello\r\nFrom: ann@demo.test\r\n\r\nHi there\r\n"
CAROL = RecipientReport(
    "carol@ivory.test",
    Action.FAILED,
    "5.1.1",
    original="rfc822;Carol@Ivory.test",
    answer="550-5.1.1 we know many people\n550 5.1.1 but no carol",
    remote_host="mx.ivory.test",
    last_attempt_at=AT,
)
FACTS = DsnFacts(
    to="ann@demo.test",
    reader=Reader("en", ZoneInfo("Europe/Berlin")),
    hostname="mail.demo.test",
    token="1234abcd",
    written_at=AT,
    recipients=(CAROL,),
    octets=ORIGINAL,
    arrived_at=AT,
    envelope_id="QQ314159",
    queue_id="q1",
)


def read(octets: bytes) -> EmailMessage:
    return message_from_bytes(octets, policy=policy.default)


def parts(octets: bytes) -> list[EmailMessage]:
    return cast(list[EmailMessage], list(read(octets).iter_parts()))


def human(octets: bytes) -> str:
    return str(parts(octets)[0].get_content())


def test_a_failure_tells_who_why_and_what_to_do() -> None:
    dsn = compose_dsn(FACTS)
    message = read(dsn)
    assert message["Subject"] == "Not delivered: Hello"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == "<hello@demo.test>"
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    text = human(dsn)
    assert "<carol@ivory.test>" in text
    assert "550 5.1.1 but no carol" in text
    assert "mx.ivory.test answered:" in text
    assert "Check the spelling" in text
    assert "Tuesday, 1 December 2026, 11:00 (UTC+01:00)" in text
    assert "Your message is attached." in text


def test_programs_read_every_field_back() -> None:
    report = parse_dsn(compose_dsn(FACTS))
    assert report is not None
    assert report.envelope_id == "QQ314159"
    assert report.reporting_host == "mail.demo.test"
    assert report.arrived_at == AT
    assert report.original_message_id == "<hello@demo.test>"
    assert report.recipients == (replace(CAROL, answer="550-5.1.1 we know many people 550 5.1.1 but no carol"),)


def test_chinese_people_read_chinese() -> None:
    dsn = compose_dsn(replace(FACTS, reader=Reader("zh-hans", ZoneInfo("Asia/Shanghai"))))
    assert read(dsn)["Subject"] == "未能送达: Hello"
    text = human(dsn)
    assert "该地址不存在" in text
    assert "2026年12月1日 星期二 18:00（UTC+08:00）" in text


def test_a_delay_says_how_long_we_go_on_and_that_nothing_is_to_be_done() -> None:
    delayed = replace(CAROL, action=Action.DELAYED, status="4.4.1", retry_until=AT + timedelta(days=4))
    dsn = compose_dsn(replace(FACTS, recipients=(delayed,)))
    text = human(dsn)
    assert "We keep trying until Saturday, 5 December 2026, 11:00" in " ".join(text.split())
    assert "need not send it again" in text
    assert b"Will-Retry-Until: Sat, 5 Dec 2026 10:00:00 +0000\r\n" in dsn
    assert b"Content-Type: text/rfc822-headers\r\n" in dsn


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("action", list(Action))
def test_every_action_has_words_in_every_language(language: str, action: Action) -> None:
    status = {Action.FAILED: "5.0.0", Action.DELAYED: "4.0.0"}.get(action, "2.0.0")
    facts = replace(FACTS, reader=Reader(language, UTC), recipients=(RecipientReport("bob@x.test", action, status),))
    report = parse_dsn(compose_dsn(facts))
    assert report is not None
    assert [(each.action, each.status) for each in report.recipients] == [(action, status)]


@pytest.mark.parametrize(
    ("wish", "octets", "kind"),
    [
        (None, 1_000, "message/rfc822"),
        (None, 70_000, "text/rfc822-headers"),
        (ReturnContent.FULL, 70_000, "message/rfc822"),
        (ReturnContent.FULL, 1_100_000, "text/rfc822-headers"),
        (ReturnContent.HEADERS, 1_000, "text/rfc822-headers"),
    ],
)
def test_ret_and_size_say_how_much_comes_back(wish: ReturnContent | None, octets: int, kind: str) -> None:
    message = ORIGINAL + b"0123456789\r\n" * (octets // 12)
    dsn = compose_dsn(replace(FACTS, octets=message, return_content=wish))
    assert parts(dsn)[2].get_content_type() == kind


def test_a_message_that_knows_the_boundary_does_not_break_out() -> None:
    hostile = ORIGINAL + b"--=_1234abcd\r\nContent-Type: text/html\r\n\r\n<p>evil</p>\r\n--=_1234abcd--\r\n"
    dsn = compose_dsn(replace(FACTS, octets=hostile))
    assert [part.get_content_type() for part in parts(dsn)] == [
        "text/plain",
        "message/delivery-status",
        "message/rfc822",
    ]


def test_an_answer_cannot_add_fields_or_lines() -> None:
    nasty = replace(
        CAROL, answer="550 no\r\nAction: delivered\r\n\r\n--=_1234abcd\u202e\x1b[31m", remote_host="a\r\nb: c"
    )
    report = parse_dsn(compose_dsn(replace(FACTS, recipients=(nasty,))))
    assert report is not None
    assert [each.action for each in report.recipients] == [Action.FAILED]
    assert report.recipients[0].remote_host is None
    text = human(compose_dsn(replace(FACTS, recipients=(nasty,))))
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_a_subject_is_decoded_once() -> None:
    inner = "=?utf-8?q?From=3A_the_chief?="
    outer = "=?utf-8?b?" + b64encode(inner.encode()).decode() + "?="
    dsn = compose_dsn(replace(FACTS, octets=f"Subject: {outer}\r\n\r\nhello\r\n".encode()))
    assert read(dsn)["Subject"] == f"Not delivered: {inner}"


def test_utf8_addresses_make_a_global_report_where_they_may() -> None:
    person = RecipientReport("安@demo.test", Action.FAILED, "5.1.1", original="utf-8;安@demo.test")
    welcome = compose_dsn(replace(FACTS, recipients=(person,), is_utf8_welcome=True))
    assert b"Content-Type: message/global-delivery-status\r\n" in welcome
    assert "Final-Recipient: utf-8; 安@demo.test\r\n".encode() in welcome
    elsewhere = compose_dsn(replace(FACTS, recipients=(person,)))
    assert elsewhere.isascii()
    assert b"Final-Recipient: utf-8; \\x{5B89}@demo.test\r\n" in elsewhere
    for dsn in (welcome, elsewhere):
        report = parse_dsn(dsn)
        assert report is not None
        assert report.recipients[0].address == "安@demo.test"


def test_a_utf8_message_comes_back_as_global() -> None:
    octets = "From: 安 <安@demo.test>\r\n\r\n你好\r\n".encode()
    welcome = compose_dsn(replace(FACTS, octets=octets, is_utf8_welcome=True))
    assert b"Content-Type: message/global\r\nContent-Transfer-Encoding: 8bit\r\n" in welcome
    assert octets in welcome
    assert compose_dsn(replace(FACTS, octets=octets)).isascii()
    headers = compose_dsn(replace(FACTS, octets=octets, return_content=ReturnContent.HEADERS))
    assert b"Content-Type: message/global-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n" in headers


def test_the_null_path_gets_no_notification() -> None:
    with pytest.raises(ValueError, match="somebody"):
        compose_dsn(replace(FACTS, to=""))


@given(octets=st.binary(max_size=300), answer=st.text(max_size=100), envelope_id=st.text(max_size=30))
def test_whatever_the_message_and_the_answer_hold_the_report_is_well_formed(
    octets: bytes, answer: str, envelope_id: str
) -> None:
    recipients = (replace(CAROL, answer=answer),)
    dsn = compose_dsn(replace(FACTS, octets=octets, recipients=recipients, envelope_id=envelope_id))
    assert can_travel(dsn)
    root = scan(dsn)
    assert len(root.children) == 3
    status = part_at(root, (2,))
    assert status is not None
    assert status.content_type == "message/delivery-status"
    report = parse_dsn(dsn)
    assert report is not None
    assert [(each.address, each.action, each.status) for each in report.recipients] == [
        ("carol@ivory.test", Action.FAILED, "5.1.1")
    ]


@pytest.mark.parametrize("word", ["x" * 4_000, "安" * 4_000, "😀" * 4_000])
def test_an_answer_without_spaces_still_makes_lines_that_can_travel(word: str) -> None:
    person = RecipientReport("安@demo.test", Action.FAILED, "5.1.1", answer=f"550 {word}")
    dsn = compose_dsn(replace(FACTS, recipients=(person,), is_utf8_welcome=True))
    assert b"Content-Type: message/global-delivery-status\r\n" in dsn
    assert can_travel(dsn)
