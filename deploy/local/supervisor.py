"""The process of `make up`: starts everything in order, keeps it running, stops it in order.

Start: PostgreSQL, Redis, S3 and the certificates side by side; then tables and master key; then the roles, while the
demo tenant is filled; then every door is tried, and `endpoints.json` appears. A program that dies is started again
after a pause that grows to WAYPOST_RESTART_PAUSE_S; the others go on meanwhile. If one never gets to work, the start
fails with its last lines.

Stop (Ctrl-C, SIGTERM, SIGHUP): the roles get SIGTERM and WAYPOST_DRAIN_S to finish, then Redis and S3, then PostgreSQL.
A second signal cuts the roles short. If this process is killed, the kernel kills the roles and S3 and asks Redis and
PostgreSQL to stop: nothing is left behind, and what was acknowledged is on disk.
"""

import asyncio
import datetime as dt
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from deploy.local.certificates import Certificates, make_certificates
from deploy.local.child import Child, ServiceFailed, launch
from deploy.local.command_settings import write_command_settings
from deploy.local.doors import demand_free, door_answers
from deploy.local.endpoints import Pids, endpoints_file, remove_endpoints, write_endpoints
from deploy.local.installation import SOURCE, Installation, command_environment, role_environment
from deploy.local.keeper import Keeper, ended, run_to_end
from deploy.local.log_rotation import rotate
from deploy.local.migration import mark_migrated, needs_migration
from deploy.local.objects import Objects, all_ports
from deploy.local.places import Places
from deploy.local.postgres import START_DEADLINE_S as RECOVERY_DEADLINE_S
from deploy.local.postgres import Postgres
from deploy.local.redis import Redis
from deploy.local.screen import Running, Screen
from deploy.local.seed import is_seeded, read_logins
from mailserver.observability.metrics import clear_directory
from storage.key_files import make_master_key

START_DEADLINE_S = 120.0
_COMMAND_DEADLINE_S = 600.0
_POLL_S = 0.05
_ROTATE_EVERY_S = 5.0
_OLD_PROCESSES_S = 5.0
_FAREWELL_S = 8.0  # a role closes its connections to Postgres and Redis after it has drained


class Supervisor:
    def __init__(self, installation: Installation, places: Places, screen: Screen) -> None:
        self._installation = installation
        self._places = places
        self._screen = screen
        self._postgres = Postgres(places, archive=installation.wal_archive)
        self._redis = Redis(places)
        self._objects = Objects(places, installation.object_ports)
        self._certificates: Certificates | None = None
        self._services: dict[str, Keeper] = {}
        self._roles: list[Keeper] = []
        self._tasks: dict[Keeper, asyncio.Task[None]] = {}
        self._failure: asyncio.Future[ServiceFailed] = asyncio.get_running_loop().create_future()
        self._is_ready = False
        self._stop_asked = asyncio.Event()
        self._hurry_asked = asyncio.Event()

    async def run(self) -> int:
        """Until a signal, or the failure of the start. The exit status."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(16, "supervisor"))  # more than ever wait at once
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
                loop.add_signal_handler(number, self._on_signal)
        rotation = asyncio.create_task(self._rotate_logs())
        try:
            await self._until_stop(self._start())
            await self._until_stop(self._stop_asked.wait())
        except ServiceFailed as failure:
            self._screen.failed(str(failure))
            return 1
        except _StopAsked:
            pass
        finally:
            rotation.cancel()
            await self._stop()
        self._screen.stopped()
        return 0

    def _on_signal(self) -> None:
        (self._hurry_asked if self._stop_asked.is_set() else self._stop_asked).set()

    async def _until_stop(self, work: Coroutine[Any, Any, object]) -> None:
        """Raises what the work raises, ServiceFailed when a service cannot start, _StopAsked when a signal came."""
        task: asyncio.Future[Any] = asyncio.ensure_future(work)
        stop: asyncio.Future[Any] = asyncio.ensure_future(self._stop_asked.wait())
        first: list[asyncio.Future[Any]] = [task, stop, self._failure]
        try:
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done():
                raise self._failure.result()
            if not task.done():
                raise _StopAsked
            await task
        finally:
            for each in (task, stop):
                each.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)

    # start

    async def _start(self) -> None:
        started = time.monotonic()
        patience_s = _OLD_PROCESSES_S if endpoints_file(self._places.var).exists() else 0.0
        remove_endpoints(self._places.var)
        await self._demand_ports(patience_s)
        self._keep_service("postgres", self._postgres.launch, self._postgres.prepare)
        self._keep_service("redis", self._redis.launch, self._redis.prepare)
        self._keep_service("objects", self._objects.launch, self._objects.prepare)
        clear_directory(self._places.run / "metrics")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._wait("Redis", "redis", self._redis.answers, START_DEADLINE_S))
                group.create_task(self._wait("object storage (S3)", "objects", self._objects.answers, START_DEADLINE_S))
                await self._make_certificates()
                await self._wait("PostgreSQL", "postgres", self._postgres.answers, RECOVERY_DEADLINE_S)
                await asyncio.to_thread(self._postgres.make_ready_for_use)
                commands = self._command_environment()
                write_command_settings(self._places.var, commands)
                await self._migrate(commands)
                await asyncio.to_thread(make_master_key, self._places.secrets)
                self._start_roles()
                group.create_task(self._seed(commands))
                await self._try_doors()
        except BaseExceptionGroup as group_of_errors:
            raise _first(group_of_errors) from None
        for keeper in (*self._roles, *self._services.values()):
            keeper.is_trusted = True
        self._is_ready = True
        self._write_endpoints()
        self._screen.running(
            Running(
                doors=self._installation.doors,
                ca=self._certificate_files().ca,
                var=self._places.var,
                logins=read_logins(self._places.secrets),
                seconds=time.monotonic() - started,
            )
        )

    async def _demand_ports(self, patience_s: float) -> None:
        """What a supervisor that was killed left behind needs a moment to go."""
        ports = {**self._installation.doors}
        ports |= {f"S3 {number}": port for number, port in enumerate(all_ports(self._installation.object_ports))}
        end = time.monotonic() + patience_s
        while True:
            try:
                demand_free(ports)
                return
            except ServiceFailed:
                if time.monotonic() >= end:
                    raise
            await asyncio.sleep(_POLL_S)

    def _keep_service(self, name: str, start: Callable[[], Child], prepare: Callable[[], None]) -> None:
        self._services[name] = self._keep(name, start, prepare)

    def _keep(self, name: str, start: Callable[[], Child], prepare: Callable[[], None] | None = None) -> Keeper:
        longest_pause_s = self._installation.restart_pause_s
        keeper = Keeper(name, start, prepare=prepare, longest_pause_s=longest_pause_s, on_change=self._on_change)

        async def guarded() -> None:
            try:
                await keeper.keep()
            except ServiceFailed as failure:
                if not self._failure.done():
                    self._failure.set_result(failure)

        self._tasks[keeper] = asyncio.create_task(guarded(), name=f"keeper of {keeper.name}")
        return keeper

    def _on_change(self, keeper: Keeper, what: str) -> None:
        if not self._is_ready:
            return
        if not what and keeper.name in self._services:
            self._write_endpoints()
        self._screen.tell(f"{keeper.name} {what or 'started'}")

    async def _wait(self, name: str, service: str, answers: Callable[[], bool], deadline_s: float) -> None:
        end = time.monotonic() + deadline_s
        with self._screen.step(name):
            while not await asyncio.to_thread(answers):
                if time.monotonic() > end:
                    child = self._services[service].child
                    told = f"; {child.log} ends:\n{child.tail()}" if child is not None else ""
                    raise ServiceFailed(f"{name} does not answer after {deadline_s:.0f} s{told}")
                await asyncio.sleep(_POLL_S)

    async def _make_certificates(self) -> None:
        with self._screen.step("certificates"):
            self._certificates = await asyncio.to_thread(
                make_certificates, self._places.var / "tls", self._places.secrets, now=dt.datetime.now(dt.UTC)
            )

    async def _migrate(self, environment: dict[str, str]) -> None:
        if await asyncio.to_thread(needs_migration, self._places.var):
            with self._screen.step("tables"):
                await self._command("migrate", ["manage.py", "migrate", "--verbosity=1", "--no-input"], environment)
            await asyncio.to_thread(mark_migrated, self._places.var)

    async def _seed(self, environment: dict[str, str]) -> None:
        if not await asyncio.to_thread(is_seeded, self._places.secrets):
            with self._screen.step("demo people and mail"):
                await self._command("seed", ["-m", "deploy.local.seed"], environment)

    async def _command(self, name: str, arguments: list[str], environment: dict[str, str]) -> None:
        await run_to_end(self._python(name, arguments, environment, signal.SIGKILL), deadline_s=_COMMAND_DEADLINE_S)

    def _start_roles(self) -> None:
        environment = self._role_environment()
        workers = self._installation.workers
        names = [(role, f"{role}-{number}") for role in ("imap", "smtp") for number in range(1, workers + 1)]
        for role, name in (*names, ("web", "web"), ("outbound", "outbound"), ("upkeep", "upkeep")):

            def start(role: str = role, name: str = name) -> Child:
                return self._python(name, ["-m", "mailserver", role], environment, signal.SIGKILL)

            self._roles.append(self._keep(name, start))

    def _python(self, name: str, arguments: list[str], environment: dict[str, str], death: signal.Signals) -> Child:
        return launch(
            name,
            [sys.executable, *arguments],
            log=self._places.log / f"{name}.log",
            environment=environment,
            directory=SOURCE,
            death_signal=death,
        )

    async def _try_doors(self) -> None:
        end = time.monotonic() + START_DEADLINE_S
        ca = self._certificate_files().ca

        async def wait_for(door: str, port: int) -> None:
            while not await door_answers(door, port, ca):
                if time.monotonic() > end:
                    raise ServiceFailed(f"{door} does not answer on port {port}; see {self._places.log}")
                await asyncio.sleep(_POLL_S)

        with self._screen.step("doors"):
            await asyncio.gather(*(wait_for(door, port) for door, port in self._installation.doors.items()))

    def _certificate_files(self) -> Certificates:
        if self._certificates is None:
            raise ServiceFailed("the certificates are not made yet")
        return self._certificates

    def _role_environment(self) -> dict[str, str]:
        return role_environment(
            self._installation,
            self._places,
            urls=self._postgres.urls(),
            redis_url=self._redis.url(),
            objects=self._objects.access(),
            certificates=self._certificate_files(),
            caller=os.environ,
        )

    def _command_environment(self) -> dict[str, str]:
        return command_environment(
            self._role_environment(),
            self._postgres.urls(),
            backup_url=self._postgres.backup_url(),
            wal_archive=self._installation.wal_archive,
        )

    def _write_endpoints(self) -> None:
        pids = {name: keeper.child.pid for name, keeper in self._services.items() if keeper.child is not None}
        write_endpoints(
            self._places.var,
            self._installation.doors,
            self._certificate_files().ca,
            read_logins(self._places.secrets),
            Pids(supervisor=os.getpid(), postgres=pids["postgres"], s3=pids["objects"], redis=pids["redis"]),
        )

    async def _rotate_logs(self) -> None:
        while True:
            await asyncio.sleep(_ROTATE_EVERY_S)
            await asyncio.to_thread(rotate, self._places.log)

    # stop

    async def _stop(self) -> None:
        self._stop_asked.set()
        remove_endpoints(self._places.var)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        children = [keeper.child for keeper in self._roles if keeper.child is not None]
        if children:
            with self._screen.step("stopping roles"):
                await self._stop_roles(children)
        if self._redis.child is not None or self._objects.child is not None:
            with self._screen.step("stopping Redis and S3"):
                await asyncio.gather(asyncio.to_thread(self._redis.stop), asyncio.to_thread(self._objects.stop))
        if self._postgres.child is not None:
            with self._screen.step("stopping PostgreSQL"):
                await asyncio.to_thread(self._postgres.stop)

    async def _stop_roles(self, children: list[Child]) -> None:
        for child in children:
            child.signal(signal.SIGTERM)
        all_ended: Awaitable[object] = asyncio.gather(*(ended(child) for child in children))
        hurry = asyncio.ensure_future(self._hurry_asked.wait())
        waiting = asyncio.ensure_future(all_ended)
        await asyncio.wait(
            {waiting, hurry}, timeout=self._installation.drain_s + _FAREWELL_S, return_when=asyncio.FIRST_COMPLETED
        )
        hurry.cancel()
        for child in children:
            if child.exit_status() is None:
                self._screen.tell(f"{child.name} did not end in time and was killed")
                child.signal(signal.SIGKILL)
        await waiting


class _StopAsked(Exception):
    """A signal came before the work was done."""


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    for error in group.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    return group
