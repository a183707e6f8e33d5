"""TLS where a host has it, whatever its certificate; proof of the name where that is set (RFC 3207, RFC 7435)."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import uvloop

from deploy.local.certificates import Certificates, make_certificates
from mailserver.outbound.exchange import Exchange
from mailserver.outbound.outcomes import Deferred, Delivered, Reason
from mailserver.outbound.sites import Credentials, Host, Security
from tests.mailserver.outbound.sending import CONTENT, QUICK, Mail, To, send, site_of, smarthost
from tests.outbound_peers.smtp_peer import Act, SmtpPeer, Stage

US = Credentials("us@relay.test", "gehéim")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory = tmp_path_factory.mktemp("peers")
    return make_certificates(directory / "public", directory / "private", now=datetime.now(UTC))


@pytest.fixture
def tls(authority: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate, authority.key)
    return context


@pytest.fixture
def old_tls(authority: Certificates) -> ssl.SSLContext:
    """A host that knows nothing newer than TLS 1.1: for us it has none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.load_cert_chain(authority.certificate, authority.key)
    return context


@pytest.fixture
async def exchange(authority: Certificates) -> AsyncIterator[Exchange]:
    exchange = Exchange("waypost.test", replace(QUICK, ca_file=authority.ca))
    yield exchange
    await exchange.close()


async def test_tls_is_used_where_it_is_offered_whatever_the_certificate(
    exchange: Exchange, tls: ssl.SSLContext
) -> None:
    async with SmtpPeer(tls=tls) as peer:
        for _ in range(2):
            [outcome] = await send(exchange, site_of(peer))
            assert isinstance(outcome, Delivered)
            assert outcome.tls.startswith("TLSv1.3 ")
        assert all(each.is_encrypted for each in peer.taken)
        assert peer.connections == 1
        assert peer.commands[:3] == ["EHLO waypost.test", "STARTTLS", "EHLO waypost.test"]


async def test_a_large_message_goes_through_tls(exchange: Exchange, tls: ssl.SSLContext) -> None:
    content = [b"%d" % (number % 10) * 998 + b"\r\n" for number in range(3_000)]
    async with SmtpPeer(tls=tls) as peer:
        [outcome] = await send(exchange, site_of(peer), content=content)
        assert isinstance(outcome, Delivered)
    assert peer.contents == [b"".join(content)]


async def test_what_is_offered_before_tls_counts_for_nothing(exchange: Exchange, tls: ssl.SSLContext) -> None:
    async with SmtpPeer(tls=tls, extensions=("SIZE 10", "PIPELINING")) as peer:

        def forget_size(stage: Stage, connection: int, message: int) -> None:
            if stage is Stage.STARTTLS:
                peer.extensions = ("PIPELINING",)

        peer.act_of = forget_size
        assert isinstance((await send(exchange, site_of(peer)))[0], Delivered)


async def test_a_host_that_refuses_starttls_after_offering_it_is_talked_to_in_clear(exchange: Exchange) -> None:
    async with SmtpPeer(offers_starttls=True, replies={Stage.STARTTLS: "454 4.7.0 Not now"}) as peer:
        [outcome] = await send(exchange, site_of(peer))
    assert isinstance(outcome, Delivered)
    assert outcome.tls == ""
    assert peer.connections == 1


@pytest.mark.parametrize("act", [Act.HANG, Act.CLOSE, Act.RESET, Act.GARBAGE, Act.FLOOD])
async def test_a_handshake_that_fails_is_followed_by_a_fresh_connection_in_clear(
    exchange: Exchange, tls: ssl.SSLContext, act: Act
) -> None:
    async with SmtpPeer(tls=tls, acts={Stage.TLS: act}) as peer:
        [outcome] = await send(exchange, site_of(peer))
        assert isinstance(outcome, Delivered)
        assert outcome.tls == ""
        assert peer.connections == 2
        await send(exchange, replace(site_of(peer), key="another"))  # what was learnt of the host is kept
        assert peer.connections == 3
        assert peer.commands.count("STARTTLS") == 1


async def test_tls_that_is_too_old_is_none(exchange: Exchange, old_tls: ssl.SSLContext) -> None:
    async with SmtpPeer(tls=old_tls) as peer:
        [outcome] = await send(exchange, site_of(peer))
        assert isinstance(outcome, Delivered)
        assert outcome.tls == ""
        [outcome] = await send(exchange, smarthost(peer, Security.REQUIRED))
        assert isinstance(outcome, Deferred)
        assert outcome.reason is Reason.TLS_FAILED


async def test_replies_sent_ahead_of_tls_are_dropped(exchange: Exchange, tls: ssl.SSLContext) -> None:
    """What somebody on the way adds to the 220 in clear must not pass for what the host says under TLS."""
    injected = "220 2.0.0 Go ahead\r\n250-peer.test\r\n250 SIZE 1"
    async with SmtpPeer(tls=tls, replies={Stage.STARTTLS: injected}) as peer:
        [outcome] = await send(exchange, site_of(peer))
    assert isinstance(outcome, Delivered)


async def test_a_smarthost_has_to_prove_its_name(exchange: Exchange, tls: ssl.SSLContext) -> None:
    async with SmtpPeer(tls=tls) as peer:
        site = smarthost(peer, Security.REQUIRED)
        [outcome] = await send(exchange, site)
        assert isinstance(outcome, Delivered)
        assert outcome.tls
        impostor = replace(site, hosts=(Host("relay.test", (peer.host,)),), key="impostor")
        [outcome] = await send(exchange, impostor)
        assert isinstance(outcome, Deferred)
        assert (outcome.reason, outcome.reply.enhanced) == (Reason.TLS_FAILED, "4.7.5")
    assert len(peer.taken) == 1


async def test_a_smarthost_of_an_unknown_authority_is_not_believed(tls: ssl.SSLContext) -> None:
    exchange = Exchange("waypost.test", QUICK)
    async with SmtpPeer(tls=tls) as peer:
        [outcome] = await send(exchange, smarthost(peer, Security.REQUIRED, US))
    assert isinstance(outcome, Deferred)
    assert not any("AUTH" in command for command in peer.commands)


@pytest.mark.parametrize("replies", [{}, {Stage.STARTTLS: "454 4.7.0 Not now"}])
async def test_where_tls_is_a_must_nothing_is_said_in_clear(exchange: Exchange, replies: dict[Stage, str]) -> None:
    async with SmtpPeer(offers_starttls=bool(replies), replies=replies, extensions=("AUTH PLAIN",)) as peer:
        [outcome] = await send(exchange, smarthost(peer, Security.REQUIRED, US))
    assert isinstance(outcome, Deferred)
    assert outcome.reason is Reason.TLS_FAILED
    assert not any(command.startswith(("AUTH", "MAIL")) for command in peer.commands)


async def test_tls_from_the_first_octet(exchange: Exchange, tls: ssl.SSLContext) -> None:
    async with SmtpPeer(tls=tls, is_implicit_tls=True, extensions=("AUTH PLAIN",)) as peer:
        [outcome] = await send(exchange, smarthost(peer, Security.IMPLICIT, US))
        assert isinstance(outcome, Delivered)
        assert peer.contents == [CONTENT]


async def test_tls_from_the_first_octet_with_a_host_that_has_none(exchange: Exchange) -> None:
    async with SmtpPeer() as peer:
        [outcome] = await send(exchange, smarthost(peer, Security.IMPLICIT, US))
    assert isinstance(outcome, Deferred)
    assert outcome.reason is Reason.TLS_FAILED


@pytest.mark.parametrize(
    ("offer", "said"),
    [
        ("AUTH PLAIN LOGIN", ["AUTH PLAIN AHVzQHJlbGF5LnRlc3QAZ2Vow6lpbQ=="]),
        ("AUTH=PLAIN", ["AUTH PLAIN AHVzQHJlbGF5LnRlc3QAZ2Vow6lpbQ=="]),
        ("AUTH CRAM-MD5 LOGIN", ["AUTH LOGIN", "dXNAcmVsYXkudGVzdA==", "Z2Vow6lpbQ=="]),
    ],
)
async def test_a_smarthost_is_signed_in_to_once_a_connection(
    exchange: Exchange, tls: ssl.SSLContext, offer: str, said: list[str]
) -> None:
    async with SmtpPeer(tls=tls, extensions=(offer,)) as peer:
        for _ in range(2):
            [outcome] = await send(exchange, smarthost(peer, Security.REQUIRED, US))
            assert isinstance(outcome, Delivered)
    start = peer.commands.index(said[0])
    assert peer.commands[start : start + len(said)] == said
    assert peer.commands.count(said[0]) == 1


async def test_credentials_that_are_refused_are_for_now(exchange: Exchange, tls: ssl.SSLContext) -> None:
    async with SmtpPeer(tls=tls, extensions=("AUTH PLAIN",), replies={Stage.AUTH: "535 5.7.8 No"}) as peer:
        [outcome] = await send(exchange, smarthost(peer, Security.REQUIRED, US))
    assert isinstance(outcome, Deferred)
    assert (outcome.reason, outcome.reply.code, outcome.reply.enhanced) == (Reason.SIGN_IN_FAILED, 535, "4.7.8")


async def test_another_tenants_credentials_do_not_share_a_connection(exchange: Exchange, tls: ssl.SSLContext) -> None:
    async with SmtpPeer(tls=tls, extensions=("AUTH PLAIN",)) as peer:
        await send(exchange, smarthost(peer, Security.REQUIRED, US))
        await send(exchange, smarthost(peer, Security.REQUIRED, Credentials(US.user, "a guess")))
    assert peer.connections == 2


async def test_a_host_without_auth_gets_no_mail_that_asks_for_it(exchange: Exchange, tls: ssl.SSLContext) -> None:
    async with SmtpPeer(tls=tls) as peer:
        outcomes = await exchange.exchange(
            smarthost(peer, Security.REQUIRED, US), Mail(), [To("bob@peer.test")], lambda: _nothing()
        )
    assert isinstance(outcomes[0], Deferred)
    assert outcomes[0].reason is Reason.SIGN_IN_FAILED


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


def test_the_event_loop_of_production_does_the_same(authority: Certificates, tls: ssl.SSLContext) -> None:
    async def send_some() -> list[str]:
        exchange = Exchange("waypost.test", QUICK)
        async with SmtpPeer(tls=tls) as peer, SmtpPeer(tls=tls, host="127.0.0.2", acts={Stage.TLS: Act.HANG}) as mute:
            outcomes = [(await send(exchange, site_of(each)))[0] for each in (peer, peer, mute)]
            await exchange.close()
        assert peer.contents == [CONTENT, CONTENT]
        return [outcome.tls[:7] for outcome in outcomes if isinstance(outcome, Delivered)]

    def run() -> list[str]:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(send_some())

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(run).result(20) == ["TLSv1.3", "TLSv1.3", ""]
