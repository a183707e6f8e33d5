"""Who is away answers: once to each sender, never to programs, lists or themselves (RFC 3834)."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailserver.services.addresses import Recipients
from mailserver.services.arrivals import Arrivals
from mailserver.services.delivery import Deliveries
from mailserver.services.identities import IdentityChanges, change_identities, identities
from mailserver.services.incoming import Addressee, IncomingMail
from mailserver.services.queueing import QueueConfig, Queueing
from mailserver.services.returns import Writer
from mailserver.services.vacation import VacationAnswers, set_vacation
from storage.outgoing_types import Notify
from storage.store import MailStore
from storage.vacations import Vacation
from tenants.types import Principal, Resolution
from tests.conftest import NOON, RunningServices, as_recipient, owner_connection
from tests.people import new_person
from tests.someone import Someone
from tests.webmail.jmap.sending import add_alias, add_colleague, leaving, octets_of

BOB = "bob@elsewhere.test"


@dataclass
class House:
    """Arrivals with answers behind them; somebody in it."""

    store: MailStore
    arrivals: Arrivals
    answers: VacationAnswers
    services: RunningServices
    ann: Principal

    async def away(self, who: Principal | None = None, **how: Any) -> None:
        settings = Vacation(is_enabled=True, text_body="Back soon.")
        await set_vacation(self.store, who or self.ann, lambda _: replace(settings, **how))

    async def arrive(
        self,
        *lines: str,
        to: str | None = None,
        reverse_path: str = BOB,
        who: Principal | None = None,
        group: str | None = None,
    ) -> None:
        who = who or self.ann
        header = [
            "Return-Path: <x@x>",
            f"From: <{reverse_path}>",
            f"To: {who.address if to is None else to}",
            *lines,
        ]
        octets = "".join(f"{line}\r\n" for line in header).encode() + b"\r\nHello\r\n"
        recipient = replace(as_recipient(who), language=who.language, time_zone=who.time_zone, group=group)
        addressee = Addressee(str(who.address), Resolution(who.tenant_id, (recipient,)))
        await self.arrivals.take(IncomingMail(octets, reverse_path, [addressee], NOON))
        await self.answers.settle()

    async def answered(self) -> list[bytes]:
        """What goes to other systems."""
        return [await octets_of(self.store, each) for each in await leaving(self.store, self.ann.tenant_id)]


@pytest.fixture
async def house(store: MailStore, services: RunningServices) -> AsyncIterator[House]:
    ann = (await asyncio.to_thread(new_person, services)).principal
    recipients = Recipients(store)
    queueing = Queueing(store, QueueConfig(), is_outbound_on=True, wake=lambda _: None)
    answers = VacationAnswers(
        store,
        recipients,
        lambda path: arrivals.resolve(path, reverse_path=""),
        lambda mail: arrivals.take(mail),
        monotonic=time.monotonic,
        new_token=iter(map(str, range(10_000, 99_999))).__next__,
    )
    arrivals = Arrivals(
        store.database,
        recipients,
        Deliveries(store),
        queueing,
        Writer("mail.demo.test"),
        signing_keys=lambda: (b"s" * 32,),
        after_delivery=answers.heard,
    )
    answers.start()
    yield House(store, arrivals, answers, services, ann)
    await answers.close()


async def test_the_answer_is_what_rfc_3834_asks_for(house: House) -> None:
    await house.away(text_body="Back soon.\nAnn 安")
    await house.arrive("Subject: =?utf-8?q?Caf=C3=A9?=", "Message-ID: <2@x>", "References: <1@x>")
    (recipient,) = await leaving(house.store, house.ann.tenant_id)
    assert (recipient.address, recipient.message.reverse_path, recipient.notify) == (BOB, "", Notify.NEVER)
    assert recipient.message.account_id is None
    octets = await octets_of(house.store, recipient)
    head, _, body = octets.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert b"Auto-Submitted: auto-replied" in lines
    assert f"From: <{house.ann.address}>".encode() in lines
    assert f"To: <{BOB}>".encode() in lines
    assert b"Subject: =?UTF-8?B?QXV0bzogQ2Fmw6k=?=" in lines  # Auto: Café
    assert b"In-Reply-To: <2@x>" in lines
    assert b"References: <1@x>\r\n\t<2@x>" in head
    assert any(line.startswith(b"Date: ") for line in lines)
    assert b"Back soon." in body or b"QmFjayBzb29u" in body
    assert len(await Someone(house.store, house.ann).octets()) == 1, "the message itself is delivered"


async def test_each_sender_is_answered_once(house: House) -> None:
    await house.away()
    await house.arrive()
    await house.arrive("Subject: again")
    await house.arrive(reverse_path="Bob@ELSEWHERE.test")
    await house.arrive(reverse_path="carl@elsewhere.test")
    assert len(await house.answered()) == 2


async def test_after_a_week_and_when_away_anew_everybody_is_answered_again(
    house: House, services: RunningServices
) -> None:
    await house.away()
    await house.arrive()
    with owner_connection(services) as owner:
        owner.execute("UPDATE vacation_answer SET answered_at = answered_at - interval '7 days'")
    await house.arrive()
    await house.away(text_body="Away once more.")
    await house.arrive()
    assert len(await house.answered()) == 3


@pytest.mark.parametrize(
    "line",
    ["Auto-Submitted: auto-generated", "Precedence: bulk", "List-Id: <x.test>", "Content-Type: multipart/report"],
)
async def test_programs_and_lists_are_not_answered(house: House, line: str) -> None:
    await house.away()
    await house.arrive(line)
    assert await house.answered() == []


async def test_a_bounce_is_not_answered(house: House) -> None:
    await house.away()
    await house.arrive(reverse_path="")
    assert await house.answered() == []


async def test_oneself_is_not_answered(house: House) -> None:
    alias = await add_alias(house.services, house.ann, "sales")
    await house.away()
    await house.arrive(reverse_path=str(house.ann.address))
    await house.arrive(reverse_path=alias)
    await house.arrive(reverse_path=alias.replace("@", "+detail@"))
    assert len(await Someone(house.store, house.ann).octets()) == 3


@pytest.mark.parametrize("to", ["undisclosed-recipients:;", "everybody@demo.test", ""])
async def test_who_is_not_named_does_not_answer(house: House, to: str) -> None:
    """As who has it through a group, a list or a blind copy."""
    await house.away()
    await house.arrive(to=to)
    assert await house.answered() == []


@pytest.mark.parametrize("field", ["Cc", "Bcc", "Resent-To"])
async def test_who_is_named_anywhere_answers_as_that_address(house: House, field: str) -> None:
    alias = await add_alias(house.services, house.ann, "sales")
    await house.away()
    await house.arrive(f"{field}: Sales <{alias}>", to="x@x.test")
    (octets,) = await house.answered()
    assert f"\r\nFrom: <{alias}>\r\n".encode() in octets


@pytest.mark.parametrize(
    ("how", "answers"),
    [
        ({"is_enabled": False}, 0),
        ({"from_at": timedelta(hours=1)}, 0),
        ({"from_at": timedelta(hours=-1)}, 1),
        ({"to_at": timedelta(hours=-1)}, 0),
        ({"to_at": timedelta(hours=1)}, 1),
        ({"from_at": timedelta(hours=-1), "to_at": timedelta(hours=1)}, 1),
    ],
)
async def test_only_while_they_are_away(house: House, how: dict[str, Any], answers: int) -> None:
    now = datetime.now(UTC)
    moments: Any = {name: now + value if isinstance(value, timedelta) else value for name, value in how.items()}
    await house.away(None, **moments)
    await house.arrive()
    assert len(await house.answered()) == answers


async def test_people_of_ones_own_company_hear_something_else(house: House) -> None:
    bob = await add_colleague(house.services, house.ann, "bob")
    await house.away(text_body="Outside.", inside_text_body="Inside.")
    await house.arrive(reverse_path=str(bob.address))
    await house.arrive()
    (inside,) = await Someone(house.store, bob).octets()
    assert inside.startswith(b"Return-Path: <>\r\n")
    assert inside.endswith(b"Inside.\r\n")
    (outside,) = await house.answered()
    assert outside.endswith(b"Outside.\r\n")


async def test_two_who_are_away_do_not_answer_each_other_for_ever(house: House, services: RunningServices) -> None:
    bob = (await asyncio.to_thread(new_person, services)).principal
    await house.away()
    await house.away(bob)
    await house.arrive(reverse_path=str(bob.address))
    await house.answers.settle()
    assert len(await Someone(house.store, bob).octets()) == 1
    assert len(await Someone(house.store, house.ann).octets()) == 1


async def test_words_of_ours_are_in_the_persons_language_and_times_in_their_zone(house: House) -> None:
    until = datetime(2031, 1, 7, 16, 0, tzinfo=UTC)
    zh = replace(house.ann, language="zh-Hans", time_zone="Asia/Shanghai")
    await house.away(text_body=None, to_at=until)
    await house.arrive()
    await house.arrive(who=zh, reverse_path="carl@elsewhere.test")
    english, chinese = sorted(await house.answered(), key=lambda each: b"base64" in each)
    assert b"I am away until Tuesday, 7 January 2031, 16:00 (UTC)" in english.replace(b"=\r\n", b"")
    assert b"+0800\r\n" in chinese
    text = base64.b64decode(chinese.partition(b"\r\n\r\n")[2]).decode()
    assert "2031年1月8日 星期三 00:00（UTC+08:00）" in text


async def test_html_goes_with_a_text_for_who_reads_no_html(house: House) -> None:
    await house.away(text_body=None, html_body="<p>Back <b>soon</b>.</p>", subject="Away")
    await house.arrive("Subject: Lunch?")
    (octets,) = await house.answered()
    assert b"\r\nSubject: Away\r\n" in octets
    assert b"multipart/alternative" in octets
    assert b"Content-Type: text/plain" in octets
    assert b"\r\n\r\nBack soon.\r\n" in octets
    assert b"Content-Type: text/html; charset=us-ascii" in octets
    assert b"<p>Back <b>soon</b>.</p>" in octets


async def test_the_name_is_that_of_the_identity(house: House) -> None:
    (identity,) = await identities(house.store, Recipients(house.store), house.ann)
    changes = IdentityChanges(change=[replace(identity, name='Ann "the boss" Lee')])
    await change_identities(house.store, house.ann, changes)
    await house.away()
    await house.arrive()
    (octets,) = await house.answered()
    assert f'From: "Ann \\"the boss\\" Lee" <{house.ann.address}>\r\n'.encode() in octets


async def test_a_sender_that_no_longer_takes_mail_here_is_nobodys_trouble(house: House) -> None:
    await house.away()
    await house.arrive(reverse_path=f"nobody@{house.ann.address.domain}")
    await house.arrive(reverse_path="not an address")
    await house.arrive()
    assert len(await house.answered()) == 1
