"""What an ObjectStore does when networks and servers have a bad day, through a proxy over real sockets."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from storage.blobs.breaker import BreakerState
from storage.blobs.objects import ObjectStore
from storage.blobs.objects_config import ObjectsConfig
from storage.errors import ColdTierUnavailable, ContentDamaged
from tests.storage.blobs.conftest import Seen
from tests.storage.blobs.faulty_proxy import Fault, FaultyProxy
from tests.storage.blobs.test_objects import PART, some_octets, uploads_begun

OCTETS = some_octets(30_000)
AT_ONCE_S = 0.5


@pytest.fixture
async def name(store: ObjectStore) -> str:
    """An object that is there."""
    await store.put("there", OCTETS)
    return "there"


@asynccontextmanager
async def opened(config: ObjectsConfig, proxy: FaultyProxy, **changes: object) -> AsyncIterator[ObjectStore]:
    """A store behind the proxy, with a temper of its own."""
    store = ObjectStore(replace(config, url=proxy.url, **changes))  # type: ignore[arg-type]
    try:
        yield store
    finally:
        proxy.heal()
        await store.close()


async def when_it_tries_again(request: Callable[..., Awaitable[bytes]], *arguments: object) -> bytes:
    """The answer of the first request that is sent after the breaker's rest."""
    async with asyncio.timeout(10.0):
        while True:
            try:
                return await request(*arguments)
            except ColdTierUnavailable:
                await asyncio.sleep(0)


@pytest.mark.parametrize("fault", [Fault.ERROR_503, Fault.ERROR_HTML, Fault.CUT, Fault.DROP_ANSWER, Fault.HANG])
async def test_trouble_that_passes_is_not_noticed(
    behind_proxy: ObjectStore, proxy: FaultyProxy, name: str, fault: Fault
) -> None:
    proxy.fault(fault, times=1)
    assert await behind_proxy.get(name, 10, 20_000) == OCTETS[10:20_010]
    assert proxy.requests == 2


@pytest.mark.parametrize("fault", [Fault.ERROR_503, Fault.ERROR_HTML, Fault.DROP_ANSWER])
async def test_each_kind_of_request_is_sent_again(
    behind_proxy: ObjectStore, proxy: FaultyProxy, name: str, fault: Fault
) -> None:
    proxy.fault(fault, times=2)
    await behind_proxy.put("again", OCTETS)
    proxy.fault(fault, times=2)
    assert await behind_proxy.facts("again") is not None
    proxy.fault(fault, times=2)
    assert [facts.name async for page in behind_proxy.list("aga") for facts in page] == ["again"]
    proxy.fault(fault, times=2)
    await behind_proxy.delete(["again"])
    assert await behind_proxy.facts("again") is None
    proxy.fault(fault, times=2)
    await behind_proxy.prepare()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.REFUSE, "S3 cannot be reached"),
        (Fault.ERROR_503, "SlowDown"),
        (Fault.ERROR_HTML, "S3 answers 502"),
        (Fault.DROP_ANSWER, "the connection to S3 broke"),
        (Fault.HANG, "S3 does not answer in time"),
        (Fault.SLOW, "S3 does not answer in time"),
    ],
)
async def test_trouble_that_stays_is_a_named_refusal_within_a_bounded_time(
    plain: ObjectsConfig, proxy: FaultyProxy, name: str, fault: Fault, reason: str
) -> None:
    async with opened(plain, proxy, read_timeout_s=0.5) as store:
        proxy.fault(fault)
        began = time.monotonic()
        with pytest.raises(ColdTierUnavailable, match=reason):
            await store.get(name, 0, 20_000)
        assert time.monotonic() - began < 5.0


async def test_an_answer_that_is_too_short_again_and_again_is_damage(
    behind_proxy: ObjectStore, proxy: FaultyProxy, name: str
) -> None:
    proxy.fault(Fault.TRUNCATE)
    with pytest.raises(ContentDamaged, match="object there"):
        await behind_proxy.get(name, 0, 20_000)
    proxy.heal()
    assert await behind_proxy.get(name, 0, 20_000) == OCTETS[:20_000]
    assert behind_proxy.breaker is BreakerState.CLOSED


async def test_a_connection_that_ends_in_an_answer_again_and_again_is_no_damage(
    behind_proxy: ObjectStore, proxy: FaultyProxy, name: str
) -> None:
    proxy.fault(Fault.CUT)
    with pytest.raises(ColdTierUnavailable):
        await behind_proxy.get(name, 0, 20_000)


async def test_a_list_that_is_cut_is_no_damage(behind_proxy: ObjectStore, proxy: FaultyProxy, name: str) -> None:
    for fault in (Fault.CUT, Fault.TRUNCATE):
        proxy.fault(fault)
        with pytest.raises(ColdTierUnavailable):
            assert [page async for page in behind_proxy.list()]


@pytest.mark.parametrize("length", [1, 30_000, 2 * PART + 1])
async def test_a_bit_that_flips_on_the_way_up_is_noticed(
    behind_proxy: ObjectStore, proxy: FaultyProxy, store: ObjectStore, length: int
) -> None:
    octets = some_octets(length, seed=2)
    proxy.fault(Fault.FLIP_REQUEST, method="PUT", times=1)
    await behind_proxy.put("flipped", octets)
    assert await store.get("flipped", 0, length) == octets
    await store.delete(["flipped"])
    proxy.fault(Fault.FLIP_REQUEST, method="PUT")
    with pytest.raises(ColdTierUnavailable):
        await behind_proxy.put("flipped", octets)
    assert await store.facts("flipped") is None


async def test_a_lost_answer_to_the_end_of_an_upload_in_parts_loses_nothing(
    behind_proxy: ObjectStore, proxy: FaultyProxy, store: ObjectStore, plain: ObjectsConfig
) -> None:
    octets = some_octets(2 * PART + 1)
    proxy.fault(Fault.DROP_ANSWER, method="POST", contains="uploadId", times=1)
    await behind_proxy.put("in parts", octets)
    assert await store.get("in parts", 0, len(octets)) == octets
    assert uploads_begun(plain) == []


async def test_an_upload_whose_parts_do_not_arrive_is_aborted(
    behind_proxy: ObjectStore, proxy: FaultyProxy, store: ObjectStore, plain: ObjectsConfig
) -> None:
    proxy.fault(Fault.ERROR_503, method="PUT", contains="partNumber=2")
    with pytest.raises(ColdTierUnavailable):
        await behind_proxy.put("in parts too", some_octets(2 * PART + 1))
    assert await store.facts("in parts too") is None
    assert uploads_begun(plain) == []


# The breaker.


async def test_after_some_failures_nothing_is_sent_and_then_one_request_tries(
    plain: ObjectsConfig, proxy: FaultyProxy, name: str
) -> None:
    async with opened(plain, proxy, breaker_failures=3, breaker_rest_s=0.2, attempts=5) as store:
        proxy.fault(Fault.ERROR_503)
        with pytest.raises(ColdTierUnavailable):
            await store.get(name, 0, 10)
        assert proxy.requests == 3  # and not five: the third opened the breaker
        assert store.breaker == "open"
        began = time.monotonic()
        with pytest.raises(ColdTierUnavailable, match="left alone"):
            await store.put("never sent", b"x")
        assert time.monotonic() - began < AT_ONCE_S
        assert proxy.requests == 3
        proxy.heal()
        assert await when_it_tries_again(store.get, name, 0, 10) == OCTETS[:10]
        assert store.breaker == "closed"


async def test_a_refusal_or_a_missing_object_is_an_answer(plain: ObjectsConfig, proxy: FaultyProxy) -> None:
    async with opened(plain, proxy, breaker_failures=1, secret_key="wrong") as store:
        with pytest.raises(ColdTierUnavailable, match="the secret key is wrong"):
            await store.get("a", 0, 1)
        assert store.breaker is BreakerState.CLOSED


async def test_many_who_wait_for_a_server_that_hangs_are_all_told_soon(
    plain: ObjectsConfig, proxy: FaultyProxy, name: str
) -> None:
    async with opened(
        plain, proxy, connections=2, breaker_failures=2, breaker_rest_s=60.0, read_timeout_s=0.3
    ) as store:
        proxy.fault(Fault.HANG)
        began = time.monotonic()
        answers = await asyncio.gather(*(store.get(name, 0, 10) for _ in range(100)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {ColdTierUnavailable}
        assert time.monotonic() - began < 3.0


async def test_who_waits_too_long_for_a_turn_is_told(plain: ObjectsConfig, proxy: FaultyProxy, name: str) -> None:
    async with opened(plain, proxy, connections=1, turn_timeout_s=0.1, read_timeout_s=0.5, attempts=1) as store:
        proxy.fault(Fault.HANG, times=1)
        first = asyncio.create_task(store.get(name, 0, 10))
        second = asyncio.create_task(store.get(name, 0, 10))
        with pytest.raises(ColdTierUnavailable, match="in time"):
            await first
        with pytest.raises(ColdTierUnavailable, match="too many requests"):
            await second


# Connections.


async def test_after_a_restart_of_the_server_the_first_requests_are_answered(
    behind_proxy: ObjectStore, proxy: FaultyProxy, name: str, seen: Seen
) -> None:
    await asyncio.gather(*(behind_proxy.get(name, 0, 10) for _ in range(20)))
    proxy.hang_up()
    await asyncio.to_thread(proxy.wait_until, lambda: proxy.connections == 0)
    assert await asyncio.gather(*(behind_proxy.get(name, 0, 10) for _ in range(20))) == [OCTETS[:10]] * 20


async def test_who_is_cancelled_goes_at_once_and_leaks_no_connection(
    plain: ObjectsConfig, proxy: FaultyProxy, name: str
) -> None:
    async with opened(plain, proxy, connections=3, read_timeout_s=30.0) as store:
        proxy.fault(Fault.HANG)
        waiting = [asyncio.create_task(store.get(name, 0, 10)) for _ in range(10)]
        await asyncio.to_thread(proxy.wait_until, lambda: proxy.requests == 3)
        began = time.monotonic()
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert time.monotonic() - began < AT_ONCE_S
        proxy.heal()
        assert await asyncio.gather(*(store.get(name, 0, 10) for _ in range(50))) == [OCTETS[:10]] * 50
        assert proxy.connections <= 3


async def test_an_upload_nobody_waits_for_ends_and_leaves_nothing(
    behind_proxy: ObjectStore, store: ObjectStore, plain: ObjectsConfig
) -> None:
    has_begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def pieces() -> Iterator[bytes]:
        for _ in range(1000):
            yield some_octets(PART)
            loop.call_soon_threadsafe(has_begun.set)

    upload = asyncio.create_task(behind_proxy.put_pieces("abandoned", pieces(), 1000 * PART))
    await has_begun.wait()
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    await behind_proxy.close()  # waits for the threads
    assert await store.facts("abandoned") is None
    assert uploads_begun(plain) == []


async def test_closing_waits_only_a_moment_for_a_server_that_hangs(
    plain: ObjectsConfig, proxy: FaultyProxy, name: str
) -> None:
    async with opened(plain, proxy, read_timeout_s=600.0) as store:
        proxy.fault(Fault.HANG)
        waiting = [asyncio.create_task(store.get(name, 0, 10)) for _ in range(3)]
        await asyncio.to_thread(proxy.wait_until, lambda: proxy.requests == 3)
        async with asyncio.timeout(10.0):
            await store.close()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(answer) for answer in answers} == {ColdTierUnavailable}


async def test_closing_does_not_wait_for_further_attempts(plain: ObjectsConfig, proxy: FaultyProxy, name: str) -> None:
    async with opened(plain, proxy, read_timeout_s=0.3, attempts=100, breaker_failures=1000) as store:
        proxy.fault(Fault.ERROR_503)
        waiting = asyncio.create_task(store.get(name, 0, 10))
        await asyncio.to_thread(proxy.wait_until, lambda: proxy.requests == 2)
        await store.close()
        with pytest.raises(ColdTierUnavailable):
            await waiting
        with pytest.raises(ColdTierUnavailable, match="ends"):
            await store.get(name, 0, 10)
