"""Hints to the role outbound, through a real Redis."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from mailserver.queue_hints import CHANNEL, QueueHintReceiver, QueueHintSender, decode_lanes, encode_lanes
from mailserver.redis_client import connect_redis
from storage.outgoing_types import Lane
from tenants.types import TenantId
from tests.conftest import RunningServices

WITHIN_S = 5.0
FAR = Lane(TenantId(7), "far.example")
NEAR = Lane(TenantId(8), "xn--fiqs8s.example")


class Ear:
    def __init__(self) -> None:
        self.lanes: asyncio.Queue[Lane] = asyncio.Queue()
        self.is_heard = asyncio.Event()

    async def next(self) -> Lane:
        async with asyncio.timeout(WITHIN_S):
            return await self.lanes.get()


@pytest.fixture
async def redis(services: RunningServices) -> AsyncIterator[Redis]:
    client = connect_redis(services.redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def ear(redis: Redis) -> AsyncIterator[Ear]:
    heard = Ear()
    receiver = QueueHintReceiver(redis, on_lane=heard.lanes.put_nowait, on_heard=heard.is_heard.set)
    receiver.start()
    async with asyncio.timeout(WITHIN_S):
        await heard.is_heard.wait()
    yield heard
    await receiver.close()


@pytest.fixture
async def sender(redis: Redis) -> AsyncIterator[QueueHintSender]:
    sender = QueueHintSender(redis)
    sender.start()
    yield sender
    await sender.close()


async def test_what_was_queued_is_heard(sender: QueueHintSender, ear: Ear) -> None:
    sender.publish([FAR])
    assert await ear.next() == FAR
    sender.publish([NEAR, NEAR])
    assert await ear.next() == NEAR
    assert ear.lanes.empty()


async def test_garbage_is_passed_over(redis: Redis, ear: Ear) -> None:
    for message in (b"", b"x", b"1", b"/", b"-1/a", b"1/\xff\xfe", b"9" * 30 + b"/a", encode_lanes([FAR])):
        await redis.execute_command("PUBLISH", CHANNEL, message)  # type: ignore[no-untyped-call]
    assert await ear.next() == FAR


async def test_a_receiver_that_was_cut_off_comes_back_and_says_so(
    redis: Redis, sender: QueueHintSender, ear: Ear
) -> None:
    ear.is_heard.clear()
    await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call]
    async with asyncio.timeout(WITHIN_S):
        await ear.is_heard.wait()
    sender.publish([FAR])
    assert await ear.next() == FAR


domains = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,60}", fullmatch=True)


@given(st.lists(st.builds(Lane, st.integers(1, 2**62).map(TenantId), domains), max_size=20))
def test_hints_are_read_as_they_were_written(lanes: list[Lane]) -> None:
    assert list(decode_lanes(encode_lanes(lanes))) == lanes
