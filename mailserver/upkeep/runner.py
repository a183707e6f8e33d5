"""Runs the jobs of upkeep again and again, in one process of the installation at a time.

Any number of upkeep processes may be started. One holds an advisory lock of Postgres and works; the others ask for it
every few seconds, and one of them goes on when the holder ends or loses Postgres. The lock belongs to a connection of
its own: if that breaks, the lock is gone, so the jobs are stopped before anyone else could start them for long.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import LiteralString

import psycopg
from psycopg import AsyncConnection

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter, gauge, histogram
from mailserver.observability.repeats import Repeats
from mailserver.tasks import end_task
from mailserver.upkeep.jobs import Job
from storage.errors import ColdTierUnavailable, StoreUnavailable

RUNS = counter("upkeep_runs", "Runs of upkeep jobs, by how they ended.", "job", "outcome")
RUN_SECONDS = histogram("upkeep_run_seconds", "How long runs of upkeep jobs took.", "job")
LAST_DONE = gauge("upkeep_last_done_seconds", "When a job was last done, Unix time.", "job", across="livemax")
IS_LEADER = gauge("upkeep_is_leader", "1 in the upkeep process that does the work.")

LOCK = 0x57617970_6F737401  # "Waypost" and 1
FIRST_RUN_WITHIN_S = 10.0
WORTH_A_LINE_S = 60.0  # of jobs that come more often than this, a run that found nothing to do is not told

log = get_logger()

Connection = AsyncConnection[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class UpkeepConfig:
    ask_every_s: float = field(default=5.0, metadata={"least": 0.1})
    """how often an idle upkeep process asks whether it may work, and a working one whether it still may"""
    ask_timeout_s: float = 5.0  # an answer that takes longer counts as lost
    keep_changes_days: int = field(default=60, metadata={"least": 14})
    """how long mailboxes remember what changed, for clients that come back; later ones compare all they have"""


class Upkeep:
    """Owns the tasks of all jobs. `system_url` is the libpq URL of waypost_system."""

    def __init__(self, system_url: str, jobs: Sequence[Job], config: UpkeepConfig) -> None:
        self._system_url = system_url
        self._jobs = jobs
        self._config = config
        self._repeats = Repeats(time.monotonic)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run_forever(), name="upkeep")

    async def drain(self, deadline_s: float) -> None:
        """Stop. Jobs are made to be interrupted anywhere, so nothing is waited for but their clean end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                await end_task(self._task)

    async def _run_forever(self) -> None:
        while True:
            try:
                async with self._leadership() as connection:
                    await self._lead(connection)
            except (psycopg.Error, OSError) as error:
                if (left_out := self._repeats.worth_saying("away")) is not None:
                    log.warning("upkeep waits for Postgres", error=type(error).__name__, left_out=left_out)
            await asyncio.sleep(self._config.ask_every_s)

    @contextlib.asynccontextmanager
    async def _leadership(self) -> AsyncIterator[Connection]:
        """A connection that holds the lock; waits until it does."""
        async with asyncio.timeout(self._config.ask_timeout_s):
            connection = await AsyncConnection.connect(
                self._system_url, autocommit=True, application_name="waypost upkeep"
            )
        try:
            await self._take_lock(connection)
            self._repeats.forget("away")
            yield connection
        finally:
            connection.pgconn.finish()  # at once: the server gives the lock to the next

    async def _take_lock(self, connection: Connection) -> None:
        while True:
            if await self._ask(connection, "SELECT pg_try_advisory_lock(%s)", LOCK):
                return
            await asyncio.sleep(self._config.ask_every_s)

    async def _lead(self, connection: Connection) -> None:
        """Run the jobs until the connection with the lock fails."""
        log.info("upkeep works here", jobs=[job.name for job in self._jobs])
        IS_LEADER.labels().set(1)
        tasks = [asyncio.create_task(self._repeat(job), name=f"upkeep: {job.name}") for job in self._jobs]
        try:
            while True:
                await asyncio.sleep(self._config.ask_every_s)
                await self._ask(connection, "SELECT true")
        finally:
            IS_LEADER.labels().set(0)
            await asyncio.gather(*(end_task(task) for task in tasks))

    async def _ask(self, connection: Connection, statement: LiteralString, *values: int) -> bool:
        async with asyncio.timeout(self._config.ask_timeout_s):
            row = await (await connection.execute(statement, values)).fetchone()
        return bool(row and row[0])

    async def _repeat(self, job: Job) -> None:
        await asyncio.sleep(random.uniform(0, min(job.every_s, FIRST_RUN_WITHIN_S)))  # noqa: S311  spreads load
        while True:
            await self._run(job)
            await asyncio.sleep(job.every_s * random.uniform(0.9, 1.1))  # noqa: S311

    async def _run(self, job: Job) -> None:
        started = time.monotonic()
        try:
            async with asyncio.timeout(job.timeout_s):
                done = await job.run()
        except TimeoutError:
            outcome = "timeout"
            log.error("an upkeep job took too long", job=job.name, timeout_s=job.timeout_s)
        except (StoreUnavailable, ColdTierUnavailable) as unavailable:
            outcome = "unavailable"
            log.warning("an upkeep job was given up", job=job.name, error=str(unavailable))
        except Exception:  # a door of its own: a bug in one job must not stop the others
            outcome = "failed"
            log.exception("an upkeep job failed", job=job.name)
        else:
            outcome = "done"
            LAST_DONE.labels(job.name).set(time.time())
            say = log.info if done or job.every_s >= WORTH_A_LINE_S else log.debug
            say("an upkeep job is done", job=job.name, did=done, seconds=round(time.monotonic() - started, 3))
        RUNS.labels(job.name, outcome).inc()
        RUN_SECONDS.labels(job.name).observe(time.monotonic() - started)
