"""Upkeep brings to S3 what waited for it."""

import random
from collections.abc import AsyncIterator

import pytest

from deploy.local.objects import ObjectAccess
from mailserver.upkeep.parts_jobs import parts_jobs
from storage.blobs.objects import ObjectStore
from storage.store import MailStore
from tests.conftest import Company, RunningServices
from tests.parts_desk import Desk, letter, open_desk
from tests.storage.blobs.faulty_proxy import Fault

SOME = random.Random(1).randbytes(300_000)


@pytest.fixture
async def desk(
    services: RunningServices, company: Company, store: MailStore, s3: ObjectAccess, objects: ObjectStore
) -> AsyncIterator[Desk]:
    del objects  # the bucket is ready
    async with open_desk(services, company, store, s3) as opened:
        yield opened


def test_without_s3_there_is_nothing_to_do(store: MailStore) -> None:
    assert parts_jobs(store) == ()


async def test_while_s3_is_away_nothing_moves_and_when_it_is_back_everything_does(desk: Desk) -> None:
    (job,) = parts_jobs(desk.store)
    desk.proxy.fault(Fault.REFUSE)
    await desk.one.receive(letter(SOME))
    assert await job.run() == "S3 is away"
    assert await job.run() == "S3 is away"
    assert desk.blobs()[1] == (len(SOME), "waiting")
    await desk.until_s3_answers()
    assert "parts" in str(await job.run())
    assert desk.blobs()[1] == (len(SOME), "part")
    assert await desk.one.octets() == [letter(SOME)]
