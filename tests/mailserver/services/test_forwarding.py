"""Circles through other systems end, and nobody gets a message twice for them."""

from datetime import UTC, datetime

from mailserver.services.forwarding import looping, passed_on, passed_on_before, with_field
from mailserver.services.incoming import Addressee, IncomingMail
from tenants.types import AccountId, Address, Forward, Recipient, Resolution, TenantId

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
TEAM = "team@demo.test"


def person(name: str, number: int) -> Recipient:
    return Recipient(TenantId(1), AccountId(number), Address(name, "demo.test"), "", None, group=TEAM)


def test_a_group_whose_members_all_send_it_back_passes_a_message_on_once() -> None:
    members = [person(f"member{number}", number) for number in range(6)]
    forwards = [Forward(f"{each.address.local_part}@other.test", each, TEAM) for each in members]
    team = Resolution(TenantId(1), (person("reader", 99),), (*forwards, Forward("friend@other.test", None, TEAM)))
    coming = [b"Return-Path: <>\r\nSubject: hello\r\n\r\n"]
    sent: list[str] = []
    copies = 0
    while coming:
        mail = IncomingMail(coming.pop(), "", (Addressee(TEAM, team),), NOON)
        before = passed_on_before(mail)
        if looping(mail, before):
            continue
        copies += 1
        for outgoing in passed_on(mail, before=before, is_author_local=True, secret=b"s", now=NOON):
            for recipient in outgoing.envelope.recipients:
                sent.append(recipient.address)
                coming.append(bytes(with_field(outgoing.added, mail.octets)))
    assert copies == 1
    assert sorted(sent) == sorted(forward.address for forward in team.elsewhere)


def test_what_a_person_passed_on_still_reaches_the_others_of_a_group() -> None:
    ada = person("ada", 1)
    team = Resolution(TenantId(1), (), (Forward("ada@other.test", ada, TEAM), Forward("friend@other.test", None, TEAM)))
    again = IncomingMail(b"Delivered-To: ada@demo.test\r\n\r\n", "", (Addressee(TEAM, team),), NOON)
    before = passed_on_before(again)
    assert not looping(again, before)
    (outgoing,) = passed_on(again, before=before, is_author_local=True, secret=b"s", now=NOON)
    assert [each.address for each in outgoing.envelope.recipients] == ["friend@other.test"]
