"""The life of a process: one event loop, the roles on it, signals, and an ordered end.

Start: logs, the probes (not ready yet), Postgres waited for, checks, the parts, the doors; then ready. End, on SIGTERM
or SIGINT: not ready, the doors drain side by side within WAYPOST_DRAIN_S, then the parts end in the order opposite to
their beginning. A second SIGINT ends at once (a terminal's Ctrl-C reaches a role beside the SIGTERM of its supervisor,
so two different signals are not impatience).

Twisted runs on the same loop: the uvloop loop is made and set, then asyncioreactor is installed on it, and only then
may anything import `twisted.internet.reactor`.
"""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop

from mailserver.assembly import assemble, certificate_of, redis_of
from mailserver.config import Config, Role
from mailserver.health import Health, Part
from mailserver.listeners import CannotListen, bind
from mailserver.object_store import open_objects
from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import forget_ended_processes
from mailserver.observability.responder import Responder
from mailserver.redis_client import ping
from mailserver.roles import START, Running
from mailserver.startup_checks import StartRefused, check_keys, check_tables, check_version, wait_for_postgres
from mailserver.tasks import end_task
from mailserver.tls import CertificateUnusable
from storage.database import Database
from storage.errors import KeyUnusable, StoreUnavailable
from storage.key_files import read_master_key
from storage.keys import KeyRing

EXIT_WELL = 0
EXIT_FAILED = 1
EXIT_CANNOT_LISTEN = 71  # EX_OSERR of sysexits.h
EXIT_CONFIGURATION = 78  # EX_CONFIG: starting again changes nothing, somebody has to act

GIVES_WAY = 19  # nice(2): a process that serves nobody lets those go first that do
FAREWELL_S = 5.0  # after the doors: for connections to Postgres and Redis to end
RETRY_S = 1.0
_COLLECT_AFTER_OBJECTS = 5_000  # made and not freed since; Python's 700 come together within two commands

log = get_logger()


def run(config: Config, roles: Sequence[Role]) -> int:
    """Run the roles until a signal; returns the exit status."""
    raise_file_limit()
    if set(roles) == {"upkeep"}:
        os.nice(GIVES_WAY)
    if config.metrics_directory is not None:
        forget_ended_processes(config.metrics_directory)
    with _event_loop(with_twisted="imap" in roles) as loop:
        return loop.run_until_complete(Process(config, roles).run())


def raise_file_limit() -> None:
    """Every connection is a file: take as many as the system lets this process have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def _event_loop(*, with_twisted: bool) -> Iterator[asyncio.AbstractEventLoop]:
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        if with_twisted:
            _install_reactor(loop)
        yield loop
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _install_reactor(loop: asyncio.AbstractEventLoop) -> None:
    from twisted.internet import asyncioreactor

    asyncioreactor.install(loop)  # type: ignore[no-untyped-call]
    from twisted.internet import reactor

    reactor.startRunning(installSignalHandlers=False)


class Process:
    """One process with its roles."""

    def __init__(self, config: Config, roles: Sequence[Role]) -> None:
        self._config = config
        self._roles = roles
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._status = EXIT_WELL
        self._first_signal: signal.Signals | None = None

    async def run(self) -> int:
        self._listen_to_signals()
        try:
            async with AsyncExitStack() as ending:
                await self._serve(ending)
        except (StartRefused, KeyUnusable, CertificateUnusable) as refusal:
            log.error("not started", reason=str(refusal))
            return EXIT_CONFIGURATION
        except CannotListen as refusal:
            log.error("not started", reason=str(refusal))
            return EXIT_CANNOT_LISTEN
        log.info("ended", status=self._status)
        return self._status

    async def _serve(self, ending: AsyncExitStack) -> None:
        config = self._config
        certificate = certificate_of(config)
        redis = redis_of(config)
        if redis is not None:
            ending.push_async_callback(redis.aclose)
        database = Database(config.database)
        ending.push_async_callback(database.close)
        parts = [
            Part("postgres", lambda: _ask_postgres(database), is_needed=True),
            Part("secrets", lambda: _look_at_secrets(config.secrets), is_needed=True),
        ]
        if redis is not None:
            parts.append(Part("redis", lambda: ping(redis), is_needed=False))
        objects = await ending.enter_async_context(open_objects(config.objects))
        if objects is not None:
            parts.append(Part("objects", objects.look, is_needed=False))
        health = await self._start_health(ending, parts)
        keys = KeyRing(config.secrets, database)
        if not await self._unless_stopped(self._check(database, keys)):
            return
        assembled = await ending.enter_async_context(assemble(config, database, keys, certificate, redis, objects))
        running: list[Running] = []
        ending.push_async_callback(self._drain, running, health)
        for role in self._roles:
            running.append(await START[role](assembled, self._fail))  # noqa: PERF401  one that is open is drained
        _spare_bookkeeping()
        health.serve()
        log.info("serving", roles=list(self._roles))
        notify("READY=1\nSTATUS=serving")
        await self._stop.wait()

    async def _start_health(self, ending: AsyncExitStack, parts: Sequence[Part]) -> Health:
        health = Health("+".join(self._roles), parts, self._config.health)
        health.start()
        ending.push_async_callback(health.close)
        if self._config.listeners.metrics is not None:
            responder = Responder(health.pages(), self._config.probes)
            ending.push_async_callback(responder.close)
            await responder.start(bind(self._config.listeners.metrics))
        return health

    async def _check(self, database: Database, keys: KeyRing) -> None:
        """Wait for Postgres, then make sure that serving makes sense. Raises StartRefused."""
        while True:
            await wait_for_postgres(database, say=lambda what: notify(f"STATUS={what}"))
            try:
                await check_version(database)
                await check_tables(database)
                await check_keys(database, keys)
            except StoreUnavailable as unavailable:
                log.warning("Postgres went away during the start", error=str(unavailable))
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _unless_stopped(self, work: Coroutine[object, object, None]) -> bool:
        """Whether the work was done before a signal came."""
        task = asyncio.create_task(work)
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
            return task.done()
        finally:
            await end_task(task)
            await end_task(stop)

    async def _drain(self, running: Sequence[Running], health: Health) -> None:
        health.drain()
        notify("STOPPING=1\nSTATUS=draining")
        deadline_s = self._config.drain_s
        log.info("draining", deadline_s=deadline_s)
        started = time.monotonic()
        draining = asyncio.create_task(_drain_all(running, deadline_s))
        hurry = asyncio.create_task(self._hurry.wait())
        tasks: set[asyncio.Task[Any]] = {draining, hurry}
        await asyncio.wait(tasks, timeout=deadline_s + FAREWELL_S, return_when=asyncio.FIRST_COMPLETED)
        if not draining.done():
            log.warning("drain was cut short")
        for task in tasks:
            await end_task(task)
        log.info("drained", seconds=round(time.monotonic() - started, 3))

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: signal.Signals) -> None:
        if self._first_signal is number is signal.SIGINT:
            self._hurry.set()
        self._first_signal = self._first_signal or number
        self._stop.set()

    def _fail(self, reason: str) -> None:
        log.error("a role failed", reason=reason)
        self._status = EXIT_FAILED
        self._stop.set()


def _spare_bookkeeping() -> None:
    """What costs every command and serves nobody here.

    All that is there at the start stays until the end, so the collector of cycles need not go through it again and
    again; and hardly anything that a command makes is in a cycle. The loop notes each asynchronous generator when it
    begins, to close at its end what nobody has closed: whoever iterates does so earlier.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_OBJECTS, 10, 10)
    sys.set_asyncgen_hooks(firstiter=None)


async def _drain_all(running: Sequence[Running], deadline_s: float) -> None:
    """All side by side; what one of them raises does not keep the others from ending well."""
    ends = await asyncio.gather(*(each.drain(deadline_s) for each in running), return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            log.error("a role did not drain", exc_info=end)


async def _ask_postgres(database: Database) -> None:
    async with database.directory() as connection:
        await connection.execute("SELECT")


async def _look_at_secrets(directory: Path) -> None:
    """Keys of tenants not served yet are still to be read."""
    try:
        await asyncio.to_thread(read_master_key, directory)
    except KeyUnusable as unusable:
        raise OSError(str(unusable)) from None


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)), if it started this process and wants to know."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
