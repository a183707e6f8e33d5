"""Connections are used again, replaced when they break, and never make two messages of one."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from mailserver.outbound.exchange import Exchange
from mailserver.outbound.outcomes import Deferred, Delivered, Failed, Outcome, Reason
from mailserver.outbound.sites import Host, Site
from tests.mailserver.outbound.sending import BOB, CAT, CONTENT, QUICK, Mail, To, send, site_of
from tests.outbound_peers.smtp_peer import Act, SmtpPeer, Stage


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    exchange = Exchange("waypost.test", QUICK)
    yield exchange
    await exchange.close()


def reason(outcome: Outcome) -> Reason:
    assert isinstance(outcome, Deferred | Failed)
    return outcome.reason


async def test_messages_to_one_site_share_a_connection(exchange: Exchange) -> None:
    async with SmtpPeer() as peer:
        for _ in range(20):
            assert isinstance((await send(exchange, site_of(peer)))[0], Delivered)
    assert peer.connections == 1
    assert len(peer.contents) == 20


async def test_messages_at_the_same_time_have_connections_of_their_own(exchange: Exchange) -> None:
    async with SmtpPeer() as peer:
        site = site_of(peer)
        await asyncio.gather(*(send(exchange, site) for _ in range(5)))
        assert peer.connections == 5
        await asyncio.gather(*(send(exchange, site) for _ in range(5)))
        assert peer.connections == 5
    assert len(peer.contents) == 10


async def test_a_connection_has_a_number_of_messages() -> None:
    exchange = Exchange("waypost.test", replace(QUICK, messages_per_connection=3))
    async with SmtpPeer() as peer:
        for _ in range(7):
            await send(exchange, site_of(peer))
        assert [each.connection for each in peer.taken] == [1, 1, 1, 2, 2, 2, 3]
        await exchange.close()
        await asyncio.wait_for(peer.is_quiet.wait(), 2)
        assert peer.commands.count("QUIT") == 3


async def test_an_idle_connection_quits_after_a_while() -> None:
    exchange = Exchange("waypost.test", replace(QUICK, idle_s=0.05))
    async with SmtpPeer() as peer:
        await send(exchange, site_of(peer))
        await asyncio.wait_for(peer.is_quiet.wait(), 2)
        assert peer.commands[-1] == "QUIT"
    await exchange.close()


async def test_idle_connections_of_all_sites_together_are_limited() -> None:
    exchange = Exchange("waypost.test", replace(QUICK, idle_connections_limit=2))
    async with SmtpPeer() as peer:
        for name in ("one", "two", "three", "one", "three", "two"):
            await send(exchange, replace(site_of(peer), key=name))
        assert [each.connection for each in peer.taken] == [1, 2, 3, 4, 3, 5]
        await exchange.close()


async def test_an_old_connection_gets_no_more_messages() -> None:
    exchange = Exchange("waypost.test", replace(QUICK, connection_life_s=0.0))
    async with SmtpPeer() as peer:
        await send(exchange, site_of(peer))
        await send(exchange, site_of(peer))
        assert peer.connections == 2
    await exchange.close()


async def test_sites_do_not_share_connections(exchange: Exchange) -> None:
    async with SmtpPeer() as peer:
        await send(exchange, site_of(peer, name="one.test"))
        await send(exchange, site_of(peer, name="two.test"))
        assert peer.connections == 2


@pytest.mark.parametrize(
    ("stage", "act", "reply"),
    [
        (Stage.MAIL, Act.CLOSE, None),
        (Stage.MAIL, Act.RESET, None),
        (Stage.MAIL, None, "421 4.4.2 You were idle"),
        (Stage.RCPT, Act.CLOSE, None),
        (Stage.RCPT, None, "421 4.3.2 Going down"),
        (Stage.DATA, Act.CLOSE, None),
        (Stage.CONTENT, Act.CLOSE, None),
        (Stage.MAIL, Act.HALF_A_REPLY, None),
        (Stage.MAIL, Act.HANG, None),
    ],
)
@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
async def test_a_kept_connection_that_breaks_is_replaced_and_nothing_is_sent_twice(
    exchange: Exchange, stage: Stage, act: Act | None, reply: str | None, extensions: tuple[str, ...]
) -> None:
    async with SmtpPeer(extensions=extensions) as peer:
        site = site_of(peer)
        await send(exchange, site)
        if act is not None:
            peer.act_of = lambda at, connection, _: act if at is stage and connection == 1 else None
        else:
            assert reply is not None
            peer.replies[stage] = reply

            def once(at: Stage, connection: int, _: int) -> None:
                if connection > 1:
                    peer.replies.pop(stage, None)

            peer.act_of = once
        content = [b"x" * 998 + b"\r\n"] * 15_000 if stage is Stage.CONTENT else [CONTENT]
        outcomes = await send(exchange, site, BOB, CAT, content=content)
    assert [type(outcome) for outcome in outcomes] == [Delivered, Delivered]
    assert peer.connections == 2
    assert peer.contents == [CONTENT, b"".join(content)]


async def test_a_kept_connection_that_said_something_unasked_is_not_used(exchange: Exchange) -> None:
    async with SmtpPeer(acts={Stage.RSET: Act.FLOOD}, replies={Stage.END: "250 ok\r\n421 4.4.2 Bye"}) as peer:
        await send(exchange, site_of(peer))
        [outcome] = await send(exchange, site_of(peer))
        assert isinstance(outcome, Delivered)
        assert peer.connections == 2


@pytest.mark.parametrize("act", [Act.CLOSE, Act.RESET, Act.HANG, Act.HALF_A_REPLY, Act.GARBAGE, Act.TRICKLE])
@pytest.mark.parametrize("is_reused", [False, True])
async def test_no_reply_after_the_end_is_perhaps_twice_and_never_sent_again_at_once(
    exchange: Exchange, act: Act, is_reused: bool
) -> None:
    async with SmtpPeer() as peer, SmtpPeer(host="127.0.0.2", port=peer.port) as backup:
        site = site_of(peer, backup)
        if is_reused:
            await send(exchange, site)
        peer.acts[Stage.END] = act
        [outcome] = await send(exchange, site)
        assert isinstance(outcome, Deferred)
        assert outcome.may_be_twice
        assert not backup.taken
        assert len(peer.taken) == 1 + is_reused


async def test_421_after_the_end_is_a_clear_no(exchange: Exchange) -> None:
    async with SmtpPeer(replies={Stage.END: "421 4.3.2 Going down"}) as peer:
        [outcome] = await send(exchange, site_of(peer))
    assert isinstance(outcome, Deferred)
    assert not outcome.may_be_twice
    assert outcome.reply.code == 421


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        (Stage.GREETING, "421 4.3.2 Too busy"),
        (Stage.GREETING, "450 4.3.2 Too busy"),
        (Stage.GREETING, "554 5.7.1 Go away"),
        (Stage.EHLO, "421 4.3.2 Too busy"),
        (Stage.MAIL, "421 4.3.2 Too busy"),
    ],
)
async def test_a_host_that_takes_no_mail_now_leads_to_the_next(exchange: Exchange, stage: Stage, reply: str) -> None:
    async with SmtpPeer(replies={stage: reply}) as peer, SmtpPeer(host="127.0.0.2", port=peer.port) as backup:
        [outcome] = await send(exchange, site_of(peer, backup))
    assert isinstance(outcome, Delivered)
    assert backup.contents == [CONTENT]


@pytest.mark.parametrize(
    "act", [Act.CLOSE, Act.RESET, Act.HANG, Act.GARBAGE, Act.TRICKLE, Act.ENDLESS_LINE, Act.ENDLESS_REPLY]
)
@pytest.mark.parametrize("stage", [Stage.GREETING, Stage.EHLO])
async def test_a_host_that_misbehaves_at_the_start_leads_to_the_next(
    exchange: Exchange, stage: Stage, act: Act
) -> None:
    async with SmtpPeer(acts={stage: act}) as peer, SmtpPeer(host="127.0.0.2", port=peer.port) as backup:
        [outcome] = await send(exchange, site_of(peer, backup))
    assert isinstance(outcome, Delivered)
    assert len(backup.contents) == 1


async def test_a_host_nobody_listens_at_leads_to_the_next_and_is_tried_last_for_a_while(exchange: Exchange) -> None:
    async with SmtpPeer(host="127.0.0.2") as peer:
        hosts = (Host("dead.peer.test", ("127.0.0.9",)), Host("mx.peer.test", ("127.0.0.2",)))
        site = Site("peer.test", hosts, peer.port)
        [outcome] = await send(exchange, site)
        assert isinstance(outcome, Delivered)
        async with SmtpPeer(host="127.0.0.9", port=peer.port) as risen:
            [outcome] = await send(exchange, replace(site, key="another"))
            assert isinstance(outcome, Delivered)
            assert outcome.address == "127.0.0.2"
            assert risen.connections == 0


async def test_all_addresses_of_a_host_are_tried(exchange: Exchange) -> None:
    async with SmtpPeer(host="127.0.0.3") as peer:
        site = Site("peer.test", (Host("mx.peer.test", ("127.0.0.8", "127.0.0.9", "127.0.0.3")),), peer.port)
        [outcome] = await send(exchange, site)
        assert isinstance(outcome, Delivered)


async def test_the_other_family_starts_before_the_first_has_failed(exchange: Exchange) -> None:
    """2001:db8::/32 answers nobody; where it is unreachable at once the outcome is the same."""
    async with SmtpPeer(host="127.0.0.1") as peer:
        site = Site("peer.test", (Host("mx.peer.test", ("2001:db8::1", "127.0.0.1")),), peer.port)
        async with asyncio.timeout(0.8):
            [outcome] = await send(exchange, site)
        assert isinstance(outcome, Delivered)


async def test_nobody_reachable_is_for_now_and_says_who(exchange: Exchange) -> None:
    site = Site("peer.test", (Host("mx.peer.test", ("127.0.0.8", "127.0.0.9")),), 9)
    outcomes = await send(exchange, site, BOB, CAT)
    assert {type(outcome) for outcome in outcomes} == {Deferred}
    assert reason(outcomes[0]) is Reason.UNREACHABLE
    assert outcomes[0].reply.is_ours
    assert "mx.peer.test [127.0.0.9]" in outcomes[0].reply.text


async def test_a_refusal_by_every_host_is_for_now_unless_all_say_never(exchange: Exchange) -> None:
    async with SmtpPeer(replies={Stage.GREETING: "554 5.7.1 No"}) as peer:
        [outcome] = await send(exchange, site_of(peer))
        assert isinstance(outcome, Deferred)
        assert (outcome.reply.code, outcome.reply.enhanced, outcome.reason) == (554, "4.7.1", Reason.UNWELCOME)
        peer.replies[Stage.GREETING] = "521 5.3.2 No mail here, ever"
        [outcome] = await send(exchange, site_of(peer))
        assert isinstance(outcome, Failed)
        async with SmtpPeer(host="127.0.0.2", port=peer.port, replies={Stage.GREETING: "421 Busy"}) as busy:
            for site in (site_of(peer, busy), site_of(busy, peer)):
                [outcome] = await send(exchange, site)
                assert isinstance(outcome, Deferred)


async def test_a_fresh_connection_that_breaks_after_mail_is_for_now(exchange: Exchange) -> None:
    async with SmtpPeer(acts={Stage.DATA: Act.CLOSE}) as peer, SmtpPeer(host="127.0.0.2", port=peer.port) as backup:
        [outcome] = await send(exchange, site_of(peer, backup))
    assert reason(outcome) is Reason.CONNECTION_LOST
    assert not backup.connections


async def test_those_delivered_before_a_break_stay_delivered(exchange: Exchange) -> None:
    addressees = [To(f"p{number}@peer.test") for number in range(150)]

    def second_message(stage: Stage, _: int, message: int) -> Act | None:
        return Act.CLOSE if stage is Stage.END and message == 2 else None

    async with SmtpPeer(act_of=second_message) as peer:
        outcomes = await send(exchange, site_of(peer), *addressees)
    assert [type(outcome) for outcome in outcomes] == [Delivered] * 100 + [Deferred] * 50


async def test_a_cancelled_exchange_never_ends_the_message(exchange: Exchange) -> None:
    started = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield CONTENT
        started.set()
        await asyncio.Event().wait()

    async with SmtpPeer() as peer:
        task = asyncio.create_task(exchange.exchange(site_of(peer), Mail(), [BOB], stuck))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(peer.is_quiet.wait(), 2)
        assert not peer.taken
        [outcome] = await send(exchange, site_of(peer))
        assert isinstance(outcome, Delivered)
        assert peer.connections == 2
