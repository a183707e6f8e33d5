"""Arrivals: one message for people here and elsewhere: groups, forwarding, returning bounces, what senders are told."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from mailserver.dsn.facts import Action, RecipientReport
from mailserver.dsn.parse import DeliveryReport, parse_dsn
from mailserver.services.addresses import Recipients
from mailserver.services.arrivals import Arrivals
from mailserver.services.delivery import Deliveries
from mailserver.services.errors import ForwardingLoop, OnlyReturns
from mailserver.services.incoming import Addressee, IncomingMail
from mailserver.services.queueing import QueueConfig, Queueing
from mailserver.services.returns import Report, Writer
from mailserver.srs import rewrite
from storage.database import Database
from storage.errors import OverQuota, SendingLimitReached
from storage.outbox import find_lanes, lease
from storage.outgoing_content import read_chunk
from storage.outgoing_types import EventKind, Lane, LeasedRecipient, Notify, ReturnContent, Submitter
from storage.store import MailStore
from tenants.errors import DomainNotLocal
from tenants.types import Forward, Recipient, Resolution, TenantId
from tests.conftest import NOON, Company, RunningServices, as_recipient, new_company
from tests.people import Person, new_person
from tests.someone import Someone

SECRET = b"s" * 32
EARLIER_SECRET = b"e" * 32
MESSAGE = (
    b"Return-Path: <eve@author.test>\r\nReceived: here\r\nSubject: hello\r\nMessage-ID: <m@author.test>\r\n\r\nhi\r\n"
)


@dataclass(frozen=True)
class House:
    """Everything behind the SMTP doors."""

    store: MailStore
    arrivals: Arrivals

    async def leaving(self, tenant_id: TenantId) -> list[LeasedRecipient]:
        """What the queue would send now."""
        lanes = await find_lanes(self.store.database, Lane(tenant_id, ""), 100)
        rooms = {Lane(tenant_id, each.domain): 100 for each in lanes if each.tenant_id == tenant_id}
        found = await lease(self.store.database, rooms, lease_s=60) if rooms else []
        return sorted(found, key=lambda each: each.address)

    async def octets(self, leaving: LeasedRecipient) -> bytes:
        keys = await self.store.keys.of(leaving.message.tenant_id)
        return await read_chunk(self.store.database, keys, leaving.message, 0)


@pytest.fixture
def house(store: MailStore) -> House:
    return house_of(store)


def house_of(store: MailStore, config: QueueConfig | None = None) -> House:
    queueing = Queueing(store, config or QueueConfig(), is_outbound_on=True, wake=lambda _: None)
    writer = Writer("mail.demo.test", clock=lambda: NOON, new_token=iter(map(str, range(10_000, 99_999))).__next__)
    arrivals = Arrivals(
        store.database,
        Recipients(store),
        Deliveries(store),
        queueing,
        writer,
        signing_keys=lambda: (SECRET, EARLIER_SECRET),
        clock=lambda: NOON,
    )
    return House(store, arrivals)


def mail(*addressees: Addressee, reverse_path: str = "eve@author.test", octets: bytes = MESSAGE) -> IncomingMail:
    return IncomingMail(octets, reverse_path, addressees, NOON, trace_id="t1")


def reaching(path: str, people: Sequence[Recipient], elsewhere: Sequence[Forward] = (), **wishes: object) -> Addressee:
    tenant_id = people[0].tenant_id if people else elsewhere[0].through.tenant_id  # type: ignore[union-attr]
    return Addressee(path, Resolution(tenant_id, tuple(people), tuple(elsewhere)), **wishes)  # type: ignore[arg-type]


async def ada(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person("ada"))


async def directory_person(services: RunningServices, store: MailStore) -> tuple[Person, Someone]:
    person = await asyncio.to_thread(new_person, services)
    return person, Someone(store, person.principal)


async def test_who_passes_everything_on_keeps_nothing(house: House, store: MailStore, company: Company) -> None:
    someone = await ada(store, company)
    recipient = as_recipient(someone.who)
    forward = Forward("Ada@other.test", recipient)
    addressee = reaching("ada@company.test", [], [forward], notify=Notify.SUCCESS | Notify.DELAY)
    envelope = replace(mail(addressee), envelope_id="QQ", return_content=ReturnContent.HEADERS)
    assert await house.arrivals.take(envelope) == [None]
    assert await someone.octets() == []
    (leaving,) = await house.leaving(company.tenant_id)
    assert leaving.address == "Ada@other.test"
    assert leaving.original_recipient == "rfc822;ada@company.test"
    assert leaving.notify == Notify.SUCCESS | Notify.DELAY  # RFC 3461 §5.2.7.2: all wishes go on
    message = leaving.message
    assert (message.envelope_id, message.return_content) == ("QQ", ReturnContent.HEADERS)
    assert message.reverse_path == rewrite("eve@author.test", "company.test", secret=SECRET, now=NOON)
    added = f"Delivered-To: {recipient.address}\r\n".encode()
    assert await house.octets(leaving) == added + MESSAGE.partition(b"\r\n")[2]


async def test_who_keeps_a_copy_has_both(house: House, store: MailStore, company: Company) -> None:
    someone = await ada(store, company)
    recipient = as_recipient(someone.who)
    addressee = reaching("ada@company.test", [recipient], [Forward("ada@other.test", recipient)], notify=Notify.SUCCESS)
    await house.arrivals.take(mail(addressee, reverse_path=""))
    assert await someone.octets() == [MESSAGE]
    (leaving,) = await house.leaving(company.tenant_id)
    assert leaving.notify == Notify.NEVER  # success is told of here, and nothing else was asked for
    assert leaving.message.reverse_path == ""


async def test_a_message_that_was_passed_on_before_is_refused(house: House, store: MailStore, company: Company) -> None:
    someone = await ada(store, company)
    recipient = as_recipient(someone.who)
    looped = f"Delivered-To: {recipient.address}\r\n".encode().upper() + MESSAGE
    addressee = reaching("ada@company.test", [recipient], [Forward("ada@other.test", recipient)])
    (outcome,) = await house.arrivals.take(mail(addressee, octets=looped))
    assert isinstance(outcome, ForwardingLoop)
    assert await someone.octets() == []
    assert await house.leaving(company.tenant_id) == []


async def test_a_circle_beside_somebody_who_gets_it_is_told_of_in_a_report(
    services: RunningServices, house: House, store: MailStore, company: Company
) -> None:
    author, authors = await directory_person(services, store)
    someone, other = await ada(store, company), await ada(store, company)
    recipient = as_recipient(someone.who)
    looped = f"Delivered-To: {recipient.address}\r\n".encode() + MESSAGE
    outcomes = await house.arrivals.take(
        mail(
            reaching("ada@company.test", [], [Forward("ada@other.test", recipient)]),
            reaching("bob@company.test", [as_recipient(other.who)]),
            reverse_path=author.address,
            octets=looped,
        )
    )
    assert not any(isinstance(each, Exception) for each in outcomes)
    assert await other.octets() == [looped]
    report = await only_report(authors)
    assert [(each.address, each.action, each.status) for each in report.recipients] == [
        ("ada@company.test", Action.FAILED, "5.4.6")
    ]


async def test_members_of_a_group_get_one_copy_each_and_those_elsewhere_as_well(
    house: House, store: MailStore, company: Company
) -> None:
    first, second = await ada(store, company), await ada(store, company)
    members = [replace(as_recipient(each.who), group="team@company.test") for each in (first, second)]
    outside = Forward("friend@other.test", None, "team@company.test", "")
    through = Forward("second@other.test", as_recipient(second.who), "team@company.test", "")
    await house.arrivals.take(
        mail(
            reaching("team@company.test", members, [outside, through], notify=Notify.SUCCESS | Notify.FAILURE),
            reaching("first@company.test", [as_recipient(first.who)]),
            reverse_path="",
        )
    )
    assert await first.octets() == [MESSAGE]
    assert await second.octets() == [MESSAGE]
    friend, other = await house.leaving(company.tenant_id)
    assert (friend.address, other.address) == ("friend@other.test", "second@other.test")
    assert friend.notify == other.notify == Notify.FAILURE
    assert (await house.octets(friend)).startswith(b"Delivered-To: team@company.test\r\n")
    assert (await house.octets(other)).startswith(b"Delivered-To: ada")


async def test_a_group_with_an_owner_is_a_list_whose_failures_are_the_owners(
    house: House, store: MailStore, company: Company
) -> None:
    someone = await ada(store, company)
    member = replace(as_recipient(someone.who), group="list@company.test")
    outside = Forward("friend@other.test", None, "list@company.test", "owner@company.test")
    sent = replace(mail(reaching("list@company.test", [member], [outside], notify=Notify.NEVER)), envelope_id="E")
    await house.arrivals.take(sent)
    (leaving,) = await house.leaving(company.tenant_id)
    assert leaving.message.reverse_path == "owner@company.test"
    assert (leaving.message.envelope_id, leaving.notify, leaving.original_recipient) == (None, None, None)


async def test_a_full_member_of_a_group_holds_nobody_up_and_the_sender_is_told(
    services: RunningServices, house: House, store: MailStore, company: Company
) -> None:
    author, authors = await directory_person(services, store)
    first, full = await ada(store, company), await ada(store, company)
    members = [
        replace(as_recipient(first.who), group="team@company.test"),
        replace(as_recipient(full.who), group="team@company.test", quota_octets=1),
    ]
    (outcome,) = await house.arrivals.take(
        mail(reaching("team@company.test", members, notify=None), reverse_path=author.address)
    )
    assert not isinstance(outcome, Exception)
    assert await first.octets() == [MESSAGE]
    report = await only_report(authors)
    assert [(each.action, each.status) for each in report.recipients] == [(Action.FAILED, "5.2.2")]


async def test_people_of_two_tenants_are_told_of_apart(
    services: RunningServices, database: Database, house: House, store: MailStore, company: Company
) -> None:
    author, authors = await directory_person(services, store)
    tenants = (company, await new_company(services, database))
    people = [as_recipient((await ada(store, tenant)).who) for tenant in tenants]
    addressees = [reaching(str(person.address), [person], notify=Notify.SUCCESS) for person in people]
    await house.arrivals.take(mail(*addressees, reverse_path=author.address))
    reports = [parse_dsn(octets) for octets in await authors.octets()]
    told = [[each.address for each in report.recipients] for report in reports if report is not None]
    assert told == [[str(person.address)] for person in people]


async def test_mail_for_here_and_elsewhere_goes_both_ways(house: House, store: MailStore, company: Company) -> None:
    someone = await ada(store, company)
    sender = Submitter(company.tenant_id, someone.who.account_id)
    sent = replace(
        mail(reaching("ada@company.test", [as_recipient(someone.who)]), Addressee("x@other.test", None, Notify.DELAY)),
        sender=sender,
    )
    assert not any(isinstance(each, Exception) for each in await house.arrivals.take(sent))
    assert await someone.octets() == [MESSAGE]
    (leaving,) = await house.leaving(company.tenant_id)
    assert (leaving.address, leaving.notify) == ("x@other.test", Notify.DELAY)
    assert leaving.message.reverse_path == "eve@author.test"
    assert leaving.message.account_id == someone.who.account_id
    assert await house.octets(leaving) == MESSAGE.partition(b"\r\n")[2]


async def test_an_address_elsewhere_gets_one_copy_however_often_it_is_named(
    house: House, store: MailStore, company: Company
) -> None:
    someone = await ada(store, company)
    member = replace(as_recipient(someone.who), group="team@company.test")
    sent = replace(
        mail(
            Addressee("x@other.test", None, Notify.NEVER),
            Addressee("x@OTHER.test", None),
            Addressee("X@other.test", None),
            reaching("team@company.test", [member], [Forward("x@other.test", None, "team@company.test")]),
        ),
        sender=Submitter(company.tenant_id, someone.who.account_id),
    )
    assert len(await house.arrivals.take(sent)) == 4
    assert [(each.address, each.notify) for each in await house.leaving(company.tenant_id)] == [
        ("X@other.test", None),
        ("x@other.test", Notify.NEVER),
    ]


async def test_what_is_refused_here_does_not_leave_either(house: House, store: MailStore, company: Company) -> None:
    someone, other = await ada(store, company), await ada(store, company)
    await someone.receive(MESSAGE)
    full = replace(as_recipient(someone.who), quota_octets=1)
    sent = replace(
        mail(
            reaching("ada@company.test", [full]),
            reaching("bob@company.test", [as_recipient(other.who)]),
            Addressee("x@other.test", None),
        ),
        sender=Submitter(company.tenant_id, someone.who.account_id),
    )
    assert isinstance((await house.arrivals.take(sent))[0], OverQuota)
    assert await other.octets() == []
    assert await house.leaving(company.tenant_id) == []


async def test_who_may_not_send_more_sends_nothing(store: MailStore, company: Company) -> None:
    house = house_of(store, QueueConfig(person_recipients_an_hour=1))
    someone = await ada(store, company)
    sent = replace(
        mail(
            reaching("ada@company.test", [as_recipient(someone.who)]),
            Addressee("x@other.test", None),
            Addressee("y@other.test", None),
        ),
        sender=Submitter(company.tenant_id, someone.who.account_id),
    )
    assert all(isinstance(each, SendingLimitReached) for each in await house.arrivals.take(sent))
    assert await someone.octets() == []


async def test_lmtp_has_an_answer_for_each(house: House, store: MailStore, company: Company) -> None:
    someone, other = await ada(store, company), await ada(store, company)
    outcomes = await house.arrivals.take_each(
        mail(
            reaching("full@company.test", [replace(as_recipient(someone.who), quota_octets=1)]),
            reaching("bob@company.test", [as_recipient(other.who)]),
            reaching("bobby@company.test", [as_recipient(other.who)]),
            reaching("away@company.test", [], [Forward("away@other.test", as_recipient(someone.who))]),
        )
    )
    assert [isinstance(each, Exception) for each in outcomes] == [True, False, False, False]
    assert await other.octets() == [MESSAGE]
    assert [each.address for each in await house.leaving(company.tenant_id)] == ["away@other.test"]


# -- reports


async def only_report(someone: Someone) -> DeliveryReport:
    (octets,) = await someone.octets()
    assert octets.startswith(b"Return-Path: <>\r\n")
    report = parse_dsn(octets)
    assert report is not None
    return report


async def test_success_is_told_of_if_that_was_asked_for(
    services: RunningServices, house: House, store: MailStore, company: Company
) -> None:
    author, authors = await directory_person(services, store)
    someone = await ada(store, company)
    addressee = reaching(
        "ada@company.test",
        [as_recipient(someone.who)],
        notify=Notify.SUCCESS,
        original_recipient="rfc822;Ada@Company.test",
    )
    await house.arrivals.take(replace(mail(addressee, reverse_path=author.address), envelope_id="QQ314159"))
    report = await only_report(authors)
    assert report.envelope_id == "QQ314159"
    assert report.original_message_id == "<m@author.test>"
    (told,) = report.recipients
    assert told.action is Action.DELIVERED
    assert told.original == "rfc822;Ada@Company.test"


async def test_a_report_for_another_system_goes_through_the_queue_with_the_null_sender(
    house: House, store: MailStore, company: Company
) -> None:
    someone = await ada(store, company)
    await house.arrivals.take(mail(reaching("a@company.test", [as_recipient(someone.who)], notify=Notify.SUCCESS)))
    (leaving,) = await house.leaving(company.tenant_id)
    assert (leaving.address, leaving.notify) == ("eve@author.test", Notify.NEVER)
    assert (leaving.message.reverse_path, leaving.message.account_id) == ("", None)
    octets = await house.octets(leaving)
    assert octets.startswith(b"Date: ")
    assert parse_dsn(octets) is not None


async def test_the_null_sender_is_told_nothing(house: House, store: MailStore, company: Company) -> None:
    someone = await ada(store, company)
    addressee = reaching("ada@company.test", [as_recipient(someone.who)], notify=Notify.SUCCESS)
    await house.arrivals.take(mail(addressee, reverse_path=""))
    assert await house.leaving(company.tenant_id) == []
    assert await someone.octets() == [MESSAGE]


async def test_a_report_that_reaches_nobody_is_dropped(
    services: RunningServices, house: House, store: MailStore
) -> None:
    author, authors = await directory_person(services, store)
    report = Report(
        author.principal.tenant_id,
        f"nobody@{author.principal.address.domain}",
        (RecipientReport("x@other.test", Action.FAILED, "5.1.1"),),
        MESSAGE,
        NOON,
    )
    assert await house.arrivals.report(report) is False
    async with store.database.read(author.principal.tenant_id) as connection:
        cursor = await connection.execute("SELECT kind, address, reply_text FROM event")
        assert await cursor.fetchall() == [(EventKind.REPORT_DROPPED, report.reverse_path, "RecipientUnknown")]
    assert await house.arrivals.report(replace(report, reverse_path=author.address)) is True
    assert (await only_report(authors)).recipients[0].address == "x@other.test"


# -- bounces of mail that was passed on


async def test_a_bounce_goes_on_to_the_author(services: RunningServices, house: House, store: MailStore) -> None:
    person, _ = await directory_person(services, store)
    domain = person.principal.address.domain
    rewritten = rewrite("eve@author.test", domain, secret=SECRET, now=NOON)
    assert rewritten is not None
    resolution = await house.arrivals.resolve(rewritten.lower(), reverse_path="")
    assert resolution is not None
    assert await house.arrivals.take(mail(Addressee(rewritten, resolution), reverse_path="")) == [None]
    (leaving,) = await house.leaving(person.principal.tenant_id)
    assert (leaving.address, leaving.message.reverse_path) == ("eve@author.test", "")
    assert await house.octets(leaving) == MESSAGE.partition(b"\r\n")[2]
    with pytest.raises(OnlyReturns):
        await house.arrivals.resolve(rewritten, reverse_path="spammer@other.test")


async def test_a_bounce_finds_its_way_after_the_key_was_replaced(
    services: RunningServices, house: House, store: MailStore
) -> None:
    person, _ = await directory_person(services, store)
    rewritten = rewrite("eve@author.test", person.principal.address.domain, secret=EARLIER_SECRET, now=NOON)
    assert rewritten is not None
    resolution = await house.arrivals.resolve(rewritten, reverse_path="")
    assert resolution is not None
    assert [each.address for each in resolution.elsewhere] == ["eve@author.test"]


async def test_an_address_that_only_looks_rewritten_is_nobodys(
    services: RunningServices, house: House, store: MailStore
) -> None:
    person, _ = await directory_person(services, store)
    domain = person.principal.address.domain
    for secret, at in ((b"another", NOON), (SECRET, NOON - timedelta(days=30))):
        rewritten = rewrite("eve@author.test", domain, secret=secret, now=at)
        assert rewritten is not None
        with pytest.raises(Exception, match="nobody here"):
            await house.arrivals.resolve(rewritten, reverse_path="")
    relay = rewrite("eve@author.test", "not-ours.test", secret=SECRET, now=NOON)
    assert relay is not None
    with pytest.raises(DomainNotLocal):
        await house.arrivals.resolve(relay, reverse_path="")


async def test_mail_of_our_own_people_is_passed_on_under_their_own_address(
    services: RunningServices, house: House, store: MailStore, company: Company
) -> None:
    author, _ = await directory_person(services, store)
    someone = await ada(store, company)
    addressee = reaching("ada@company.test", [], [Forward("ada@other.test", as_recipient(someone.who))])
    await house.arrivals.take(mail(addressee, reverse_path=author.address))
    (leaving,) = await house.leaving(company.tenant_id)
    assert leaving.message.reverse_path == author.address
