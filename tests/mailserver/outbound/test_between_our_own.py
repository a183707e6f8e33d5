"""Our client and our doors understand each other: TLS, pipelining, wishes for reports, internationalised addresses."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailserver.outbound.exchange import Exchange
from mailserver.outbound.outcomes import Delivered, Failed, Outcome
from mailserver.outbound.sites import Credentials, Host, Security, Site
from mailserver.smtp.config import Door
from storage.outgoing_types import Notify, ReturnContent
from tests.mailserver.outbound.sending import CONTENT, QUICK, Mail, To, pieces_of
from tests.mailserver.smtp.doors import client_context, config_with, open_door
from tests.mailserver.smtp.people_in_memory import PASSWORD


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    exchange = Exchange("waypost.test", QUICK)
    yield exchange
    await exchange.close()


def site_at(port: int, security: Security = Security.OPPORTUNISTIC) -> Site:
    return Site(f"mail.demo.test:{port}", (Host("localhost", ("127.0.0.1",)),), port, security)


def codes(outcomes: list[Outcome]) -> list[str]:
    return [outcome.reply.enhanced for outcome in outcomes]


async def test_mail_arrives_over_tls_with_its_wishes(exchange: Exchange) -> None:
    letter = Mail(envelope_id="a b+c", return_content=ReturnContent.HEADERS)
    to = To("bob@demo.test", "rfc822;Bob+x@old.test", Notify.SUCCESS | Notify.DELAY)
    async with open_door(Door.MX) as opened:
        [outcome] = await exchange.exchange(site_at(opened.port), letter, [to], pieces_of(CONTENT))
        assert isinstance(outcome, Delivered)
        assert outcome.is_dsn_passed_on
        assert outcome.tls
        [delivered] = opened.town.delivered
    assert delivered.octets.endswith(CONTENT)
    [bob] = delivered.mail.addressees
    assert (bob.notify, bob.original_recipient) == (Notify.SUCCESS | Notify.DELAY, "rfc822;Bob+x@old.test")
    assert (delivered.mail.envelope_id, delivered.mail.return_content) == ("a b+c", ReturnContent.HEADERS)


async def test_each_recipient_gets_the_doors_answer_and_the_connection_is_kept(exchange: Exchange) -> None:
    people = [To(f"{name}@demo.test") for name in ("bob", "nobody", "full", "suspended", "ann")]
    async with open_door(Door.MX) as opened:
        for _ in range(3):
            outcomes = await exchange.exchange(site_at(opened.port), Mail("x@y.test"), people, pieces_of(CONTENT))
            assert codes(outcomes) == ["2.0.0", "5.1.1", "4.2.2", "4.2.1", "2.0.0"]
        assert len(opened.town.delivered) == 3
        refused = await exchange.exchange(site_at(opened.port), Mail(), people[1:2], pieces_of(CONTENT))
        again = await exchange.exchange(site_at(opened.port), Mail(), people[:1], pieces_of(CONTENT))
        assert codes([*refused, *again]) == ["5.1.1", "2.0.0"]


async def test_internationalised_mail_arrives(exchange: Exchange) -> None:
    letter = Mail("鲍勃@author.test", needs_utf8=True)
    async with open_door(Door.MX) as opened:
        [outcome] = await exchange.exchange(site_at(opened.port), letter, [To("安@demo.test")], pieces_of(CONTENT))
        assert isinstance(outcome, Delivered)
        assert opened.town.delivered[0].recipients == ("安@demo.test",)


async def test_mail_over_the_announced_size_is_not_sent(exchange: Exchange) -> None:
    async with open_door(Door.MX, config_with(message_limit_octets=1_000)) as opened:
        [outcome] = await exchange.exchange(
            site_at(opened.port), Mail(octets=2_000), [To("bob@demo.test")], pieces_of(CONTENT)
        )
    assert isinstance(outcome, Failed)
    assert outcome.reply.enhanced == "5.3.4"


async def test_our_submission_can_be_a_smarthost(tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    [certificate] = client_context().get_ca_certs(binary_form=True)
    authority.write_text(ssl.DER_cert_to_PEM_cert(certificate))
    exchange = Exchange("waypost.test", replace(QUICK, ca_file=authority))
    async with open_door(Door.SUBMISSION) as opened:
        site = Site(
            "relay",
            (Host("localhost", ("127.0.0.1",)),),
            opened.port,
            Security.REQUIRED,
            Credentials("ann@demo.test", PASSWORD),
            is_smarthost=True,
        )
        [outcome] = await exchange.exchange(site, Mail("ann@demo.test"), [To("bob@demo.test")], pieces_of(CONTENT))
        assert isinstance(outcome, Delivered), outcome
        await exchange.close()
