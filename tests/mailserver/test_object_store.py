"""The object store of a process: how it begins, and what is told of it."""

import asyncio
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from structlog.typing import EventDict

from deploy.local.objects import ObjectAccess
from mailserver.object_store import RequestLog, open_objects
from storage.blobs.breaker import BreakerState
from storage.blobs.object_faults import Outcome
from storage.blobs.object_requests import Observed
from storage.blobs.objects_config import ObjectsConfig
from storage.errors import ColdTierUnavailable
from tests.conftest import objects_config
from tests.storage.blobs.faulty_proxy import Fault, FaultyProxy

WITHIN_S = 20.0


def failed(
    outcome: Outcome = Outcome.AWAY, breaker: BreakerState = BreakerState.CLOSED, operation: str = "get"
) -> Observed:
    return Observed(operation, outcome, 0.1, "S3 cannot be reached", breaker)


def requests(operation: str, outcome: Outcome) -> float:
    labels = {"role": "none", "operation": operation, "outcome": outcome}
    return REGISTRY.get_sample_value("waypost_object_requests_total", labels) or 0.0


def test_trouble_is_told_once_a_minute_and_counted_always() -> None:
    now = [0.0]
    told = RequestLog(lambda: now[0])
    with capture_logs() as logs:
        for _ in range(100):
            told(failed(operation="told once a minute"))
        told(failed(Outcome.REFUSED))
        now[0] = 61.0
        told(failed(operation="told once a minute"))
    assert [(each["outcome"], each["left_out"]) for each in logs] == [("away", 0), ("refused", 0), ("away", 99)]
    assert requests("told once a minute", Outcome.AWAY) == 101


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.MISSING, Outcome.NOT_TRIED])
def test_what_is_no_trouble_is_not_told(outcome: Outcome) -> None:
    with capture_logs() as logs:
        RequestLog()(failed(outcome))
    assert logs == []


def test_the_breaker_is_told_of_when_it_opens_and_when_all_is_well_again() -> None:
    told = RequestLog()
    with capture_logs() as logs:
        told(failed(breaker=BreakerState.OPEN))
        told(failed(Outcome.NOT_TRIED, breaker=BreakerState.OPEN))
        assert REGISTRY.get_sample_value("waypost_object_breaker", {"role": "none"}) == 2
        told(failed(Outcome.OK, breaker=BreakerState.CLOSED))
        told(failed(Outcome.OK, breaker=BreakerState.CLOSED))
    assert [each["event"] for each in logs] == [
        "a request to S3 failed",
        "S3 is left alone for a moment after several failures",
        "S3 answers again",
    ]
    assert REGISTRY.get_sample_value("waypost_object_breaker", {"role": "none"}) == 0


async def test_without_settings_there_is_none() -> None:
    async with open_objects(ObjectsConfig()) as objects:
        assert objects is None


async def test_its_bucket_is_made_while_the_process_begins(s3: ObjectAccess) -> None:
    config = replace(objects_config(s3), bucket="made-at-the-start")
    async with open_objects(config) as objects:
        assert objects is not None
        async with asyncio.timeout(WITHIN_S):
            while True:
                try:
                    await objects.look()
                except ColdTierUnavailable:
                    await asyncio.sleep(0)
                else:
                    break


async def test_a_process_begins_and_ends_without_an_answer_from_s3(s3: ObjectAccess) -> None:
    with FaultyProxy(s3.url) as proxy, capture_logs() as logs:
        proxy.fault(Fault.HANG)
        async with asyncio.timeout(WITHIN_S):
            config = replace(objects_config(s3), url=proxy.url, read_timeout_s=0.2)
            async with open_objects(config) as objects:
                assert objects is not None
                with pytest.raises(ColdTierUnavailable):
                    await objects.look()
    assert {each["reason"] for each in logs} >= {"S3 does not answer in time"}


async def test_a_bucket_that_cannot_be_used_is_told_of(s3: ObjectAccess) -> None:
    told = asyncio.Event()

    def note(_logger: object, _method: str, event: EventDict) -> EventDict:
        if event["event"] == "the bucket in S3 cannot be used":
            told.set()
        return event

    with capture_logs(processors=[note]) as logs:
        async with open_objects(replace(objects_config(s3), secret_key="wrong")):
            async with asyncio.timeout(WITHIN_S):
                await told.wait()
    assert f"bucket {s3.bucket} at {s3.url}: the secret key is wrong" in {each["reason"] for each in logs}
