"""A host that hangs, trickles or floods at any stage holds up its own mail for a bounded time, and nobody else's."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mailserver.outbound.exchange import Exchange
from mailserver.outbound.outcomes import Deferred, Delivered
from mailserver.outbound.sites import Security
from tests.mailserver.outbound.sending import QUICK, send, site_of
from tests.outbound_peers.smtp_peer import Act, SmtpPeer, Stage

STAGES = [stage for stage in Stage if stage not in (Stage.QUIT, Stage.AUTH, Stage.STARTTLS, Stage.TLS, Stage.RSET)]
ACTS = [Act.HANG, Act.TRICKLE, Act.ENDLESS_LINE, Act.ENDLESS_REPLY, Act.FLOOD, Act.GARBAGE, Act.HALF_A_REPLY]
LINE = b"x" * 998 + b"\r\n"


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    exchange = Exchange("waypost.test", QUICK)
    yield exchange
    await exchange.close()


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
async def test_a_host_that_misbehaves_at_any_stage_is_given_up_in_time_and_others_are_unharmed(
    exchange: Exchange, stage: Stage, act: Act, extensions: tuple[str, ...]
) -> None:
    replies = {Stage.EHLO: "502 5.5.1 What?"} if stage is Stage.HELO else {}
    content = [LINE] * 9_000 if stage is Stage.CONTENT else [LINE]
    async with (
        SmtpPeer(acts={stage: act}, replies=replies, extensions=extensions) as bad,
        SmtpPeer(host="127.0.0.2") as good,
    ):
        async with asyncio.timeout(3):
            [outcome], *others = await asyncio.gather(
                send(exchange, site_of(bad, security=Security.NONE), content=content),
                *(send(exchange, site_of(good, name="good.test")) for _ in range(5)),
            )
        assert all(isinstance(each[0], Delivered) for each in others)
        is_a_yes = act in (Act.FLOOD, Act.ENDLESS_REPLY)  # which is a reply as well
        assert isinstance(outcome, Deferred) or (is_a_yes and stage in (Stage.EHLO, Stage.HELO, Stage.END))
        assert not bad.contents
        await asyncio.wait_for(bad.is_quiet.wait(), 3)


async def test_a_host_that_never_says_goodbye_is_left(exchange: Exchange) -> None:
    async with SmtpPeer(acts={Stage.QUIT: Act.HANG}) as peer:
        await send(exchange, site_of(peer))
        async with asyncio.timeout(2):
            await exchange.close()
        await asyncio.wait_for(peer.is_quiet.wait(), 2)


async def test_a_host_that_hangs_at_rset_is_replaced(exchange: Exchange) -> None:
    async with SmtpPeer(replies={Stage.MAIL: "550 5.7.1 No"}) as peer:
        await send(exchange, site_of(peer))
        peer.replies.clear()
        peer.acts[Stage.RSET] = Act.HANG
        [outcome] = await send(exchange, site_of(peer))
        assert isinstance(outcome, Delivered)
        assert peer.connections == 2
