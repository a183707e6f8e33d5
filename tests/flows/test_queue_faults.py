"""Processes of the role outbound, and Postgres, are killed while the queue is worked off: nobody's mail is lost.

A host takes the mail and notes when it answered 250. Each recipient gets the message once; one more copy is right only
if the process (or Postgres) was killed between that 250 and our commit. The same holds for reports of failures.

The test prints its seed; WAYPOST_SEED gives it again. WAYPOST_SOAK=1 kills 200 times instead of 5.
"""

import asyncio
import contextlib
import os
import random
import re
import signal
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.local.services import Services, start_services
from mailserver.services.queueing import QueueConfig, Queueing
from storage.blobs.hot import HotBlobs
from storage.blobs.tiered import TieredBlobs
from storage.database import Database, DatabaseConfig
from storage.errors import StoreUnavailable
from storage.key_files import make_master_key
from storage.keys import KeyRing
from storage.outgoing_acts import Chosen, release
from storage.outgoing_lists import list_recipients
from storage.outgoing_types import Envelope, HeldReason, QueuedRecipient, Submitter
from storage.provisioning import make_tenant_keys
from storage.store import MailStore
from tenants.types import AccountId, TenantId
from tests.conftest import ROOT, RunningServices, plain_message
from tests.outbound_peers.dns_server import DnsServer
from tests.outbound_peers.smtp_peer import SmtpPeer, Taken

IS_SOAK = os.environ.get("WAYPOST_SOAK") == "1"
KILLS = 200 if IS_SOAK else 5
POSTGRES_KILLS = 10 if IS_SOAK else 1
PROCESSES = 2
IN_FLIGHT = 150  # messages queued and not yet all delivered: there is always something to interrupt
LEASE_S = 3.0
COMMIT_S = 2.0  # between a 250 and its commit, on a machine that does much else
RECOVERY_S = 60.0
DRAINED_S = 240.0  # those who were there at several deaths are tried one by one
TENANT = TenantId(1)
DOMAINS = ("far.test", "near.test", "third.test")
REFUSED = "refused.test"


class Noted(list[Taken]):
    """What a host took, with when."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[float] = []

    def append(self, taken: Taken) -> None:
        self.at.append(time.monotonic())
        super().append(taken)


@dataclass
class Yard:
    """Postgres, a host, DNS and the processes of the role, which are started again as a supervisor does.

    Postgres ends with the thread that started it, so `pool` has one that lives on.
    """

    services: Services
    pool: ThreadPoolExecutor
    running: RunningServices
    peer: SmtpPeer
    taken: Noted
    dns: DnsServer
    log: Path
    processes: list["asyncio.subprocess.Process"] = field(default_factory=list)
    faults: list[tuple[float, float]] = field(default_factory=list)
    """From when to when something was away."""

    def environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("WAYPOST_")}
        return {
            **own,
            "WAYPOST_HOSTNAME": "mail.company.test",
            "WAYPOST_DATABASE_URL": self.running.app_url,
            "WAYPOST_SYSTEM_DATABASE_URL": self.running.system_url,
            "WAYPOST_REDIS_URL": self.running.redis_url,
            "WAYPOST_SECRETS": str(self.running.secrets),
            "WAYPOST_OUTBOUND": "on",
            "WAYPOST_DNS": self.dns.text,
            "WAYPOST_ROUTING_PORT": str(self.peer.port),
            "WAYPOST_ROUTING_PRIVATE_NETWORKS": "on",
            "WAYPOST_OUTBOUND_LEASE_S": str(LEASE_S),
            "WAYPOST_OUTBOUND_LOOK_EVERY_S": "0.2",
            "WAYPOST_OUTBOUND_FIRST_RETRY_S": "0.2",
            "WAYPOST_OUTBOUND_REPORT_WAIT_S": "0.1",
        }

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.processes.append(
                await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "mailserver", "outbound"),
                    cwd=ROOT,
                    env=self.environment(),
                    stdout=log,
                    stderr=log,
                )
            )

    async def kill_one(self, chance: random.Random) -> None:
        process = self.processes.pop(chance.randrange(len(self.processes)))
        at = time.monotonic()
        with contextlib.suppress(ProcessLookupError):  # Postgres went away while it began, and it ended by itself
            process.kill()
        await process.wait()
        self.faults.append((at, time.monotonic()))
        await self.start()

    async def kill_postgres(self) -> None:
        at = time.monotonic()
        child = self.services.postgres.child
        assert child is not None
        child.signal(signal.SIGKILL)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self.pool, child.wait, RECOVERY_S)
        await loop.run_in_executor(self.pool, self.services.postgres.start)
        self.faults.append((at, time.monotonic()))

    async def stop(self) -> list[int]:
        for process in self.processes:
            process.terminate()
        return [await process.wait() for process in self.processes]


@pytest.fixture
def seed() -> int:
    found = int(os.environ.get("WAYPOST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"WAYPOST_SEED={found}")
    return found


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


@pytest.fixture(scope="module")
def started(
    tmp_path_factory: pytest.TempPathFactory, pool: ThreadPoolExecutor
) -> Iterator[tuple[Services, RunningServices]]:
    directory = tmp_path_factory.mktemp("services")
    services = start_services(directory)  # durable: Postgres is killed too
    try:
        found = services.environment()
        secrets = directory / "waypost-secrets"
        make_master_key(secrets)
        running = RunningServices(
            found["WAYPOST_OWNER_DATABASE_URL"],
            found["WAYPOST_DATABASE_URL"],
            found["WAYPOST_SYSTEM_DATABASE_URL"],
            found["WAYPOST_REDIS_URL"],
            secrets,
        )
        migrated = running.manage("migrate", "--verbosity", "0")
        assert migrated.returncode == 0, migrated.stderr
        make_tenant_keys(secrets, running.owner_url, TENANT)
        yield services, running
    finally:
        services.stop()


@pytest.fixture
async def yard(
    started: tuple[Services, RunningServices], pool: ThreadPoolExecutor, tmp_path: Path
) -> AsyncIterator[Yard]:
    services, running = started
    zone = {
        **{domain: {"MX": ["10 mx.peer.test."]} for domain in (*DOMAINS, REFUSED, "back.test")},
        "mx.peer.test": {"A": ["127.0.0.1"]},
    }
    taken = Noted()
    async with SmtpPeer(taken=taken) as peer, DnsServer(zone) as dns:
        yard = Yard(services, pool, running, peer, taken, dns, tmp_path / "outbound.log")
        try:
            yield yard
        finally:
            for process in yard.processes:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


class Sender:
    """Queues message after message; every message has recipients at three domains, and one that is refused."""

    def __init__(self, yard: Yard, store: MailStore) -> None:
        self._yard = yard
        limits = QueueConfig(10**8, 10**8, 10**8, 10**8)
        self._queueing = Queueing(store, limits, is_outbound_on=True, wake=lambda _lanes: None)
        self.acknowledged: list[int] = []
        self.number = 0

    async def run(self) -> None:
        while True:
            if len(self.acknowledged) * 2 - len(self._yard.taken) > IN_FLIGHT:
                await asyncio.sleep(0.005)
                continue
            self.number += 1
            number = self.number
            recipients = [*(f"person{number}@{domain}" for domain in DOMAINS), f"nobody{number}@{REFUSED}"]
            self._yard.peer.recipient_replies[recipients[-1]] = "550 5.1.1 Nobody"
            envelope = Envelope(f"author{number}@back.test", tuple(QueuedRecipient(each) for each in recipients))
            try:
                await self._queueing.enqueue(
                    Submitter(TENANT, AccountId(7)), envelope, plain_message(number), received_at=datetime.now(UTC)
                )
            except StoreUnavailable:
                await asyncio.sleep(0.05)
            else:
                self.acknowledged.append(number)


async def wait_for_progress(yard: Yard, messages: int) -> None:
    goal = len(yard.taken) + messages
    end = time.monotonic() + RECOVERY_S
    while len(yard.taken) < goal:
        assert time.monotonic() < end, "the queue does not get on"
        await asyncio.sleep(0.005)


async def test_kills_at_random_points_lose_nobodys_mail(yard: Yard, seed: int) -> None:
    chance = random.Random(seed)
    database = Database(DatabaseConfig(yard.running.app_url, yard.running.system_url))
    store = MailStore(database, KeyRing(yard.running.secrets, database), TieredBlobs(HotBlobs()), lambda *_: None)
    sender = Sender(yard, store)
    for _ in range(PROCESSES):
        await yard.start()
    sending = asyncio.create_task(sender.run())
    kills = ["process"] * KILLS + ["postgres"] * POSTGRES_KILLS
    chance.shuffle(kills)
    for kill in kills:
        await wait_for_progress(yard, chance.randint(1, 60))
        if kill == "process":
            await yard.kill_one(chance)
        else:
            await yard.kill_postgres()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    end = time.monotonic() + DRAINED_S
    released = 0
    while await list_recipients(database, Chosen(TENANT), 10):
        assert time.monotonic() < end, yard.log.read_text()[-3_000:]
        # who was there at so many deaths may be held as their cause: the administrator knows better
        released += await release(database, Chosen(TENANT, held_reason=HeldReason.ENDS_PROCESSES))
        await asyncio.sleep(0.05)
    assert set(await yard.stop()) <= {0, -signal.SIGTERM}  # one that was just started may not hear yet
    await database.close()
    print(
        f"{len(sender.acknowledged)} messages acknowledged, {len(yard.taken)} transactions, {len(yard.faults)} faults,"
        f" {released} recipients released"
    )
    assert_everybody_got_it(yard, sender)


def assert_everybody_got_it(yard: Yard, sender: Sender) -> None:
    copies: defaultdict[str, list[float]] = defaultdict(list)
    for taken, at in zip(yard.taken, yard.taken.at, strict=True):
        for line in taken.recipients:
            found = re.search("<(.*)>", line)
            assert found
            copies[found[1]].append(at)
    expected = {f"person{number}@{domain}" for number in sender.acknowledged for domain in DOMAINS}
    expected |= {f"author{number}@back.test" for number in sender.acknowledged}
    assert expected - copies.keys() == set()
    doubled = {address: times for address, times in copies.items() if len(times) > 1}
    print(f"{len(copies)} recipients, {sum(len(times) - 1 for times in doubled.values())} copies too many")
    unexplained = {
        address: times
        for address, times in doubled.items()
        if not all(is_explained(at, yard.faults) for at in times[:-1])
    }
    assert unexplained == {}


def is_explained(at: float, faults: list[tuple[float, float]]) -> bool:
    """Whether something was killed between this 250 and its commit."""
    return any(began - COMMIT_S <= at <= ended for began, ended in faults)
