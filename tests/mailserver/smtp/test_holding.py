"""Mail that is to be sent later, as the submission doors take it (RFC 4865)."""

import asyncio
import smtplib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from mailserver.smtp.config import Door
from storage.outgoing_types import Notify, ReturnContent, Submitter
from tenants.types import AccountId, TenantId
from tests.mailserver.smtp.doors import RECEIVED_AT, OpenDoor, client_context, open_door
from tests.mailserver.smtp.people_in_memory import PASSWORD, Town

TIMEOUT_S = 20.0
LETTER = b"From: ann@demo.test\r\nSubject: later\r\n\r\n.\r\nhi\r\n"
YEAR = timedelta(days=366)


def town() -> Town:
    return Town(longest_hold=YEAR)


async def send(opened: OpenDoor, *options: str, to: Sequence[str] = ("bob@demo.test",)) -> dict[str, tuple[int, bytes]]:
    """Ann signs in and sends; raises as smtplib does."""

    def run() -> dict[str, tuple[int, bytes]]:
        with smtplib.SMTP("127.0.0.1", opened.port, timeout=TIMEOUT_S) as client:
            client.starttls(context=client_context())
            client.login("ann@demo.test", PASSWORD)
            return client.sendmail(
                "ann@demo.test", to, LETTER, mail_options=options, rcpt_options=["NOTIFY=FAILURE,DELAY"]
            )

    return await asyncio.to_thread(run)


async def test_what_is_to_wait_is_kept_with_all_that_its_envelope_says() -> None:
    async with open_door(Door.SUBMISSION, town=town()) as opened:
        to = ["bob@demo.test", "eve@elsewhere.test", "postmaster"]
        assert not await send(opened, "HOLDFOR=3600", "RET=HDRS", "ENVID=a+2Bb", to=to)
        assert opened.town.delivered == []
        [(mail, release_at)] = opened.town.held
    assert release_at == RECEIVED_AT + timedelta(hours=1)
    assert mail.sender == Submitter(TenantId(1), AccountId(1))
    assert (mail.reverse_path, mail.envelope_id, mail.return_content) == ("ann@demo.test", "a+b", ReturnContent.HEADERS)
    assert [each.path for each in mail.addressees] == [
        "bob@demo.test",
        "eve@elsewhere.test",
        "postmaster@mail.demo.test",
    ]
    assert {each.notify for each in mail.addressees} == {Notify.FAILURE | Notify.DELAY}
    octets = bytes(mail.octets)
    assert octets.startswith(b"Return-Path: <ann@demo.test>\r\nReceived: from ")
    assert octets.endswith(LETTER.split(b"\r\n\r\n", 1)[1])


async def test_a_moment_that_is_over_means_now_and_one_to_come_is_waited_for() -> None:
    async with open_door(Door.SUBMISSION, town=town()) as opened:
        await send(opened, "HOLDUNTIL=2026-12-01T09:00:00Z")
        assert (len(opened.town.delivered), opened.town.held) == (1, [])
        await send(opened, "HOLDUNTIL=2026-12-01T11:00:00.00Z")
        [(_, release_at)] = opened.town.held
    assert release_at == datetime(2026, 12, 1, 11, 0, tzinfo=UTC)


async def test_ehlo_says_how_long_mail_may_wait_and_up_to_there_it_may() -> None:
    async with open_door(Door.SUBMISSION, town=town()) as opened:

        def ask() -> str:
            with smtplib.SMTP("127.0.0.1", opened.port, timeout=TIMEOUT_S) as client:
                client.ehlo()
                return client.esmtp_features["futurerelease"]

        seconds, moment = (await asyncio.to_thread(ask)).split()
        assert (seconds, moment) == (str(366 * 86_400), "2027-12-02T10:00:00Z")
        await send(opened, f"HOLDFOR={seconds}")
        await send(opened, f"HOLDUNTIL={moment}")
        assert [release_at for _, release_at in opened.town.held] == [RECEIVED_AT + YEAR] * 2


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("HOLDFOR=31622401", "5.5.4 Mail is held for at most 366 days here"),
        ("HOLDUNTIL=2027-12-02T10:00:01Z", "5.5.4 Mail is held for at most 366 days here"),
        ("HOLDFOR=soon", "5.5.4 Syntax: HOLDFOR=<seconds>, 1 to 999999999"),
        ("HOLDFOR=0", "5.5.4 Syntax: HOLDFOR=<seconds>, 1 to 999999999"),
        ("HOLDFOR=060", "5.5.4 Syntax: HOLDFOR=<seconds>, 1 to 999999999"),
        (
            "HOLDUNTIL=2026-12-24T18:00:00+08:00",
            "5.5.4 Syntax: HOLDUNTIL=<date and time in UTC>, 2026-12-24T18:00:00Z",
        ),
        ("HOLDUNTIL=tomorrow", "5.5.4 Syntax: HOLDUNTIL=<date and time in UTC>, 2026-12-24T18:00:00Z"),
        ("HOLDFOR=1 HOLDUNTIL=2026-12-24T18:00:00Z", "5.5.4 HOLDFOR or HOLDUNTIL is given once"),
    ],
)
async def test_what_is_wrong_with_the_time_is_told_at_once(option: str, said: str) -> None:
    async with open_door(Door.SUBMISSION, town=town()) as opened:
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            await send(opened, option)
        assert (refused.value.smtp_code, refused.value.smtp_error) == (501, said.encode())


async def test_who_has_too_much_waiting_already_is_told_before_the_message_comes() -> None:
    async with open_door(Door.SUBMISSION, town=town()) as opened:
        for _ in range(2):
            await send(opened, "HOLDFOR=60")
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            await send(opened, "HOLDFOR=60")
        said = b"5.7.16 2 messages of yours wait for their time already"
        assert (refused.value.smtp_code, refused.value.smtp_error) == (552, said)
        await send(opened, "HOLDUNTIL=2026-12-01T09:00:00Z")
        assert not await send(opened)


async def test_nobody_holds_mail_without_a_sign_in() -> None:
    async with open_door(Door.SUBMISSION, town=town()) as opened:

        def ask() -> tuple[int, bytes]:
            with smtplib.SMTP("127.0.0.1", opened.port, timeout=TIMEOUT_S) as client:
                client.starttls(context=client_context())
                client.ehlo()
                return client.mail("ann@demo.test", ["HOLDFOR=60"])

        assert (await asyncio.to_thread(ask))[0] == 530


@pytest.mark.parametrize("door", [Door.MX, Door.LMTP])
async def test_other_doors_neither_offer_nor_know_it(door: Door) -> None:
    async with open_door(door, town=town()) as opened:

        def ask() -> tuple[bytes, tuple[int, bytes]]:
            with smtplib.SMTP("127.0.0.1", opened.port, timeout=TIMEOUT_S) as client:
                _, offered = client.docmd("LHLO" if door is Door.LMTP else "EHLO", "client.test")
                return offered, client.docmd("MAIL FROM:<ann@demo.test> HOLDFOR=60")

        offered, answer = await asyncio.to_thread(ask)
        assert b"FUTURERELEASE" not in offered
        assert answer == (555, b"5.5.4 The parameter HOLDFOR is not offered here")


async def test_where_nothing_can_wait_it_is_not_offered() -> None:
    async with open_door(Door.SUBMISSION) as opened:
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            await send(opened, "HOLDUNTIL=2026-12-24T18:00:00Z")
        assert refused.value.smtp_code == 555
