"""Counts of failed sign-ins, with Redis there and away."""

import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from deploy.local.redis import Redis as RedisServer
from deploy.local.redis import start_redis
from mailserver.redis_client import connect_redis
from mailserver.services.failure_counts import LocalFailureCounts, SharedFailureCounts
from mailserver.services.throttle import Failures


class Clock:
    now = 5000.0

    def __call__(self) -> float:
        return self.now


def local_counts(clock: Callable[[], float], limit: int = 100) -> LocalFailureCounts:
    return LocalFailureCounts(forget_after_s=600, known_for_s=3600, limit=limit, clock=clock)


def shared_counts(client: Redis, clock: Callable[[], float]) -> SharedFailureCounts:
    return SharedFailureCounts(
        client, local_counts(clock), forget_after_s=600, known_for_s=3600, timeout_s=5, clock=clock
    )


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    server = start_redis(tmp_path)
    yield server
    server.stop()


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    client = connect_redis(server.url())
    yield client
    await client.aclose()


async def test_counts_grow_and_are_forgotten_some_time_after_the_last() -> None:
    clock = Clock()
    counts = local_counts(clock)
    assert await counts.add(["a", "b"]) == [Failures(1, 5000), Failures(1, 5000)]
    clock.now += 599
    assert await counts.add(["a"]) == [Failures(2, 5599)]
    clock.now += 1
    assert await counts.look(["a", "b"]) == [Failures(2, 5599), Failures()]


async def test_local_counts_stay_within_their_bound() -> None:
    counts = local_counts(Clock(), limit=10)
    for number in range(1000):
        await counts.add([f"account {number}"])
        await counts.make_known(f"pair {number}")
    assert await counts.look(["account 989", "account 990"]) == [Failures(), Failures(1, 5000)]
    assert not await counts.is_known("pair 989")
    assert await counts.is_known("pair 990")


async def test_two_processes_count_together(client: Redis) -> None:
    clock = Clock()
    one, other = shared_counts(client, clock), shared_counts(client, clock)
    await one.add(["a"])
    assert [failures.count for failures in await other.add(["a"])] == [2]
    [seen] = await one.look(["a"])
    assert seen.count == 2
    assert seen.last_at == pytest.approx(clock.now, abs=5)
    await one.make_known("pair")
    assert await other.is_known("pair")


async def test_a_success_clears_the_count_everywhere(client: Redis) -> None:
    one, other = shared_counts(client, Clock()), shared_counts(client, Clock())
    await one.add(["a"])
    await one.clear("a")
    assert await other.look(["a"]) == await one.look(["a"]) == [Failures()]


async def test_counting_goes_on_while_redis_is_away(server: RedisServer, client: Redis) -> None:
    counts = shared_counts(client, Clock())
    await counts.add(["a"])
    await counts.make_known("pair")
    assert server.child is not None
    server.child.signal(signal.SIGKILL)
    assert server.child.wait(10)
    assert [failures.count for failures in await counts.add(["a", "b"])] == [2, 1]
    assert [failures.count for failures in await counts.look(["a", "b"])] == [2, 1]
    assert await counts.is_known("pair")
    await counts.clear("a")
    assert await counts.look(["a"]) == [Failures()]


async def test_what_redis_lost_in_a_restart_is_still_known_here(server: RedisServer, client: Redis) -> None:
    counts = shared_counts(client, Clock())
    await counts.add(["a"])
    await counts.add(["a"])
    server.stop()
    server.start()
    assert [failures.count for failures in await counts.add(["a"])] == [3]


async def test_one_guess_counts_once_in_all_processes(client: Redis) -> None:
    one, other = shared_counts(client, Clock()), shared_counts(client, Clock())
    assert [failures.count for failures in await one.add(["a"], guess="old")] == [1]
    assert [failures.count for failures in await other.add(["a"], guess="old")] == [1]
    assert [failures.count for failures in await other.add(["a"], guess="new")] == [2]


async def test_what_was_cleared_elsewhere_is_forgotten_here_too(client: Redis) -> None:
    clock = Clock()
    one, other = shared_counts(client, clock), shared_counts(client, clock)
    for _ in range(3):
        await one.add(["a"])
    await other.clear("a")
    clock.now += 60
    assert await one.look(["a"]) == [Failures()]
    assert [failures.count for failures in await one.add(["a"])] == [1]


async def test_it_is_known_from_where_somebody_failed(client: Redis) -> None:
    one, other = shared_counts(client, Clock()), shared_counts(client, Clock())
    for number in range(60):
        await one.note_place("account 7", f"192.0.2.{number}")
    places = await other.places("account 7")
    assert len(places) == 50
    assert "192.0.2.59" in places
    assert await other.places("account 8") == []
