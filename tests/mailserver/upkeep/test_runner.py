"""Upkeep: one process works, the others wait for their turn."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import psycopg
import pytest

from mailserver.upkeep.jobs import Job
from mailserver.upkeep.runner import Upkeep, UpkeepConfig
from storage.errors import StoreUnavailable
from tests.conftest import RunningServices

QUICK = UpkeepConfig(ask_every_s=0.05, ask_timeout_s=20)


class Work:
    """A job that says each time it runs."""

    def __init__(self, name: str = "work") -> None:
        self.runs: asyncio.Queue[str] = asyncio.Queue()
        self.job = Job(name, 0.01, 20, self.run)

    async def run(self) -> None:
        self.runs.put_nowait(self.job.name)

    async def ran(self) -> None:
        await asyncio.wait_for(self.runs.get(), 20)

    def forget(self) -> None:
        while not self.runs.empty():
            self.runs.get_nowait()


@contextlib.asynccontextmanager
async def upkeep(services: RunningServices, *jobs: Job) -> AsyncIterator[Upkeep]:
    running = Upkeep(services.system_url, jobs, QUICK)
    running.start()
    try:
        yield running
    finally:
        await running.drain(20)


async def test_jobs_are_run_again_and_again(services: RunningServices) -> None:
    work, other = Work("work"), Work("other")
    async with upkeep(services, work.job, other.job):
        for _ in range(3):
            await work.ran()
            await other.ran()


async def test_only_one_process_works_and_another_goes_on_when_it_ends(services: RunningServices) -> None:
    first, second = Work(), Work()
    async with upkeep(services, first.job) as leader:
        await first.ran()
        async with upkeep(services, second.job):
            for _ in range(20):
                await first.ran()
            assert second.runs.empty()
            await leader.drain(20)
            first.forget()
            await second.ran()
            assert first.runs.empty()


async def test_who_loses_the_connection_with_the_lock_stops_and_may_come_back(services: RunningServices) -> None:
    work = Work()
    async with upkeep(services, work.job):
        await work.ran()
        with psycopg.connect(services.system_url, autocommit=True) as connection:
            ended = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s",
                ["waypost upkeep"],
            ).fetchone()
            assert ended == (1,)
        work.forget()
        await work.ran()


@pytest.mark.parametrize("failure", [RuntimeError("a bug"), StoreUnavailable("OperationalError")])
async def test_a_job_that_fails_is_tried_again_and_harms_no_other(
    services: RunningServices, failure: Exception
) -> None:
    work, failures = Work(), asyncio.Queue[None]()

    async def fail() -> None:
        failures.put_nowait(None)
        raise failure

    async with upkeep(services, Job("failing", 0.01, 20, fail), work.job):
        for _ in range(2):
            await asyncio.wait_for(failures.get(), 20)
            await work.ran()


async def test_a_job_that_hangs_is_given_up_and_tried_again(services: RunningServices) -> None:
    hung = asyncio.Queue[None]()

    async def hang() -> None:
        hung.put_nowait(None)
        await asyncio.Event().wait()

    async with upkeep(services, Job("hanging", 0.01, 0.05, hang)):
        for _ in range(3):
            await asyncio.wait_for(hung.get(), 20)


async def test_stopping_interrupts_a_job(services: RunningServices) -> None:
    began, interrupted = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            interrupted.set()

    async with upkeep(services, Job("long", 0.01, 3600, work)) as running:
        await asyncio.wait_for(began.wait(), 20)
        await running.drain(20)
        assert interrupted.is_set()
