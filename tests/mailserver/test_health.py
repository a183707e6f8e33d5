"""What probes are told."""

import asyncio
import contextlib
import json
from http import HTTPStatus

from mailserver.health import Health, HealthConfig, Part
from storage.errors import StoreUnavailable


class Switch:
    """A part that works or not, as the test says."""

    def __init__(self, *, works: bool = True) -> None:
        self.works = works
        self.asked = 0

    async def check(self) -> None:
        self.asked += 1
        if not self.works:
            raise StoreUnavailable("OperationalError")


ALWAYS_ASK = HealthConfig(check_fresh_s=0)


async def readyz(health: Health) -> tuple[HTTPStatus, dict[str, object]]:
    answer = await health.pages()["/readyz"]()
    return answer.status, json.loads(answer.body)


async def test_ready_when_serving_and_every_part_answers() -> None:
    health = Health("imap", [Part("postgres", Switch().check, is_needed=True)], ALWAYS_ASK)
    health.serve()
    status, body = await readyz(health)
    assert status is HTTPStatus.OK
    assert body == {"role": "imap", "ready": True, "serving": True, "missing": [], "degraded": []}


async def test_not_ready_without_a_needed_part_and_ready_again_when_it_is_back() -> None:
    postgres = Switch(works=False)
    health = Health("imap", [Part("postgres", postgres.check, is_needed=True)], ALWAYS_ASK)
    health.serve()
    status, body = await readyz(health)
    assert (status, body["missing"]) == (HTTPStatus.SERVICE_UNAVAILABLE, ["postgres"])
    postgres.works = True
    assert (await readyz(health))[0] is HTTPStatus.OK


async def test_ready_but_degraded_without_redis() -> None:
    redis = Switch(works=False)
    health = Health("imap", [Part("redis", redis.check, is_needed=False)], ALWAYS_ASK)
    health.serve()
    status, body = await readyz(health)
    assert (status, body["degraded"]) == (HTTPStatus.OK, ["redis"])


async def test_not_ready_before_the_doors_are_open_nor_while_draining() -> None:
    health = Health("imap", [], ALWAYS_ASK)
    assert (await readyz(health))[0] is HTTPStatus.SERVICE_UNAVAILABLE


async def test_readiness_is_judged_anew_when_the_doors_open() -> None:
    postgres = Switch(works=False)
    health = Health("imap", [Part("postgres", postgres.check, is_needed=True)], HealthConfig(check_fresh_s=3600))
    assert (await readyz(health))[0] is HTTPStatus.SERVICE_UNAVAILABLE
    postgres.works = True
    health.serve()
    assert (await readyz(health))[0] is HTTPStatus.OK
    health.drain()
    assert (await readyz(health))[0] is HTTPStatus.SERVICE_UNAVAILABLE


async def test_a_part_that_is_slow_to_give_up_counts_as_away_at_once() -> None:
    given_up = asyncio.Event()

    async def hang() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await given_up.wait()

    health = Health("imap", [Part("postgres", hang, is_needed=True)], HealthConfig(check_timeout_s=0.01))
    async with asyncio.timeout(10):
        assert await health.check_parts() == {"postgres": False}
    given_up.set()


async def test_parts_are_asked_without_a_probe() -> None:
    is_asked = asyncio.Event()

    async def check() -> None:
        is_asked.set()

    health = Health("imap", [Part("postgres", check, is_needed=True)], ALWAYS_ASK)
    health.start()
    try:
        async with asyncio.timeout(10):
            await is_asked.wait()
    finally:
        await health.close()


async def test_a_part_that_hangs_counts_as_away() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    health = Health("imap", [Part("postgres", hang, is_needed=True)], HealthConfig(check_timeout_s=0.01))
    assert await health.check_parts() == {"postgres": False}


async def test_many_probes_at_once_ask_a_part_once() -> None:
    postgres = Switch()
    health = Health("imap", [Part("postgres", postgres.check, is_needed=True)], HealthConfig(check_fresh_s=60))
    for _ in range(10):
        await readyz(health)
    assert postgres.asked == 1


async def test_alive_says_the_role_and_how_late_the_loop_is() -> None:
    health = Health("imap", [], ALWAYS_ASK)
    answer = await health.pages()["/healthz"]()
    assert answer.status is HTTPStatus.OK
    assert json.loads(answer.body) == {"role": "imap", "alive": True, "loop_lag_s": 0.0}


async def test_metrics_are_in_the_text_format() -> None:
    answer = await Health("imap", [], ALWAYS_ASK).pages()["/metrics"]()
    assert b"# TYPE waypost_loop_lag_seconds gauge" in answer.body
    assert answer.content_type.startswith("text/plain; version=0.0.4")
