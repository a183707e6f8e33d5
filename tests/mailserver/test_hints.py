"""Hints between processes, through a real Redis that comes and goes."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis as SyncRedis
from redis.asyncio import Redis

from deploy.local.redis import Redis as RedisServer
from deploy.local.redis import start_redis
from mailserver.hints import (
    BUCKETS,
    PENDING_LIMIT,
    SILENCE_S,
    HintReceiver,
    HintSender,
    Watched,
    channel_of,
    decode_hints,
    encode_hints,
)
from mailserver.redis_client import connect_redis
from storage.types import Modseq
from tenants.types import AccountId, TenantId

TENANT = TenantId(3)


class Ears:
    """What a receiver told, as queues that a test can wait for."""

    def __init__(self, client: Redis, silence_s: float = SILENCE_S) -> None:
        self.hints: asyncio.Queue[tuple[Watched, Modseq]] = asyncio.Queue()
        self.buckets: asyncio.Queue[int] = asyncio.Queue()
        self.away = asyncio.Event()
        self.receiver = HintReceiver(
            client,
            on_hint=lambda watched, modseq: self.hints.put_nowait((watched, modseq)),
            on_heard=self.buckets.put_nowait,
            on_away=self.away.set,
            silence_s=silence_s,
        )

    async def hears(self, *buckets: int) -> None:
        heard = {await asyncio.wait_for(self.buckets.get(), 20) for _ in buckets}
        assert heard == set(buckets)

    async def next_hint(self) -> tuple[Watched, Modseq]:
        return await asyncio.wait_for(self.hints.get(), 20)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    server = start_redis(tmp_path)
    yield server
    server.stop()


@contextlib.asynccontextmanager
async def process(server: RedisServer, silence_s: float = SILENCE_S) -> AsyncIterator[tuple[HintSender, Ears]]:
    """What one process of the installation has."""
    client = connect_redis(server.url())
    sender, ears = HintSender(client), Ears(client, silence_s)
    sender.start()
    ears.receiver.start()
    try:
        yield sender, ears
    finally:
        await ears.receiver.close()
        await sender.close()
        await client.aclose()


def kill(server: RedisServer) -> None:
    assert server.child is not None
    server.child.signal(signal.SIGKILL)
    assert server.child.wait(10)


async def test_a_hint_reaches_the_processes_that_want_its_bucket(server: RedisServer) -> None:
    async with process(server) as (sender, _), process(server) as (_, ears), process(server) as (_, others):
        ears.receiver.want(frozenset({7}))
        others.receiver.want(frozenset({8}))
        await ears.hears(7)
        await others.hears(8)
        sender.publish(TENANT, AccountId(7), Modseq(42))
        sender.publish(TENANT, AccountId(8), Modseq(5))
        assert await ears.next_hint() == ((3, 7), 42)
        assert await others.next_hint() == ((3, 8), 5)
        assert ears.hints.empty()
        assert others.hints.empty()


async def test_hints_of_one_turn_go_together_and_only_the_highest_of_an_account(server: RedisServer) -> None:
    async with process(server) as (sender, ears):
        ears.receiver.want(frozenset({1, 2}))
        await ears.hears(1, 2)
        for modseq in (5, 9, 7):
            sender.publish(TENANT, AccountId(1), Modseq(modseq))
        sender.publish(TENANT, AccountId(257), Modseq(6))
        sender.publish(TENANT, AccountId(2), Modseq(4))
        heard = {await ears.next_hint() for _ in range(3)}
        assert heard == {((3, 1), 9), ((3, 257), 6), ((3, 2), 4)}
        assert ears.hints.empty()


async def test_a_bucket_can_be_added_and_dropped_while_listening(server: RedisServer) -> None:
    async with process(server) as (sender, ears):
        ears.receiver.want(frozenset({1}))
        await ears.hears(1)
        ears.receiver.want(frozenset({2}))
        await ears.hears(2)
        sender.publish(TENANT, AccountId(2), Modseq(1))
        assert await ears.next_hint() == ((3, 2), 1)
        ears.receiver.want(frozenset({1, 2}))
        await ears.hears(1)
        sender.publish(TENANT, AccountId(1), Modseq(2))
        assert await ears.next_hint() == ((3, 1), 2)


async def test_a_killed_redis_is_noticed_and_heard_again_when_it_is_back(server: RedisServer) -> None:
    async with process(server) as (sender, ears):
        ears.receiver.want(frozenset({7}))
        await ears.hears(7)
        assert not ears.receiver.is_away
        kill(server)
        await asyncio.wait_for(ears.away.wait(), 20)
        assert ears.receiver.is_away
        for modseq in range(1, 10):
            sender.publish(TENANT, AccountId(7), Modseq(modseq))  # nobody waits or raises
        server.start()
        await ears.hears(7)
        assert not ears.receiver.is_away
        sender.publish(TENANT, AccountId(7), Modseq(10))
        while (await ears.next_hint())[1] != 10:  # the 9 may come before it
            pass


async def test_a_hint_that_finds_redis_away_is_sent_when_it_is_back(server: RedisServer) -> None:
    async with process(server) as (sender, ears):
        ears.receiver.want(frozenset({7}))
        await ears.hears(7)
        kill(server)
        await asyncio.wait_for(ears.away.wait(), 20)
        sender.publish(TENANT, AccountId(7), Modseq(41))
        await asyncio.sleep(0)
        sender.publish(TENANT, AccountId(7), Modseq(42))
        server.start()  # this and the subscription are one turn of the loop, so the sender cannot come between
        with SyncRedis.from_url(server.url()) as client, client.pubsub() as channel:
            channel.subscribe(channel_of(7))
            messages = (message["data"] for message in channel.listen() if message["type"] == "message")
            assert await asyncio.wait_for(asyncio.to_thread(next, messages), 20) == b"3.7.42"


async def test_a_frozen_redis_is_noticed_by_its_silence(server: RedisServer) -> None:
    async with process(server, silence_s=0.1) as (_, ears):
        ears.receiver.want(frozenset({7}))
        await ears.hears(7)
        assert server.child is not None
        server.child.signal(signal.SIGSTOP)
        try:
            await asyncio.wait_for(ears.away.wait(), 20)
        finally:
            server.child.signal(signal.SIGCONT)
        await ears.hears(7)


async def test_what_waits_to_be_sent_is_bounded(server: RedisServer) -> None:
    client = connect_redis(server.url())
    sender = HintSender(client)
    for account in range(PENDING_LIMIT + 50):
        sender.publish(TENANT, AccountId(account), Modseq(1))
    ears = Ears(client)
    ears.receiver.start()
    ears.receiver.want(frozenset(range(BUCKETS)))
    await ears.hears(*range(BUCKETS))
    sender.start()
    heard = {(await ears.next_hint())[0][1] for _ in range(PENDING_LIMIT)}
    assert heard == set(range(PENDING_LIMIT))
    await ears.receiver.close()
    await sender.close()
    await client.aclose()


@given(st.lists(st.tuples(st.tuples(st.integers(0, 2**63), st.integers(0, 2**63)), st.integers(0, 2**63))))
def test_hints_read_as_they_were_written(sent: list[tuple[tuple[int, int], int]]) -> None:
    assert list(decode_hints(encode_hints(sent))) == sent  # type: ignore[arg-type]


@given(st.binary())
def test_any_message_is_read_without_error(message: bytes) -> None:
    assert all(isinstance(modseq, int) for _, modseq in decode_hints(message))
