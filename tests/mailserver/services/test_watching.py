"""Sessions learn that an account moved, by hints and by polling, with Redis there and away."""

import asyncio
import contextlib
import secrets
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from deploy.local.redis import Redis as RedisServer
from deploy.local.redis import start_redis
from mailserver.redis_client import connect_redis
from mailserver.services.watching import Watchers, WatchingConfig
from storage.database import Database, DatabaseConfig
from storage.types import Modseq
from tenants.types import AccountId, TenantId
from tests.conftest import RunningServices

NEVER = WatchingConfig(poll_s=86400, poll_away_s=86400)
OFTEN = WatchingConfig(poll_s=0.05, poll_away_s=0.05)
TENANT = TenantId(1_000_000 + secrets.randbelow(10**9))


class Account:
    """An account whose modseq the test moves in the database, without a word to anybody."""

    def __init__(self, services: RunningServices) -> None:
        self.id = AccountId(secrets.randbelow(2**40))
        self._url = services.owner_url
        self._run("INSERT INTO account_state (tenant_id, account_id, modseq) VALUES (%s, %s, 10)", TENANT, self.id)

    def reach(self, modseq: int) -> None:
        self._run(
            "UPDATE account_state SET modseq = %s WHERE tenant_id = %s AND account_id = %s", modseq, TENANT, self.id
        )

    def _run(self, statement: str, *values: int) -> None:
        with psycopg.connect(self._url) as owner:
            owner.execute("SELECT set_config('waypost.tenant', %s, false)", [str(TENANT)])
            owner.execute(statement, values)


class Session:
    """Counts its wakes, and can wait for the next."""

    def __init__(self) -> None:
        self.woken = asyncio.Queue[None]()

    def wake(self) -> None:
        self.woken.put_nowait(None)

    async def is_woken(self) -> None:
        await asyncio.wait_for(self.woken.get(), 20)


@pytest.fixture
def account(services: RunningServices) -> Account:
    return Account(services)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    server = start_redis(tmp_path)
    yield server
    server.stop()


@contextlib.asynccontextmanager
async def process(
    services: RunningServices, server: RedisServer | None, config: WatchingConfig = NEVER
) -> AsyncIterator[Watchers]:
    database = Database(DatabaseConfig(app_url=services.app_url, system_url=services.system_url))
    client = connect_redis(server.url()) if server is not None else None
    watchers = Watchers(database, client, config)
    watchers.start()
    try:
        yield watchers
    finally:
        await watchers.close()
        if client is not None:
            await client.aclose()
        await database.close()


async def test_a_change_in_this_process_wakes_every_watcher_without_redis(
    services: RunningServices, account: Account
) -> None:
    async with process(services, None) as watchers:
        one, other, stranger = Session(), Session(), Session()
        watchers.watch(TENANT, account.id, one.wake)
        watchers.watch(TENANT, account.id, other.wake)
        watchers.watch(TENANT, AccountId(account.id + 1), stranger.wake)
        watchers.announce(TENANT, account.id, Modseq(11))
        await one.is_woken()
        await other.is_woken()
        assert stranger.woken.empty()


async def test_a_change_in_another_process_wakes_by_its_hint(
    services: RunningServices, server: RedisServer, account: Account
) -> None:
    async with process(services, server) as here, process(services, server) as there:
        session = Session()
        here.watch(TENANT, account.id, session.wake, since=Modseq(10))
        account.reach(11)
        await session.is_woken()  # the account is looked at once after its channel was subscribed, whenever that was
        there.announce(TENANT, account.id, Modseq(12))
        await session.is_woken()


async def test_the_same_modseq_wakes_only_once(services: RunningServices, account: Account) -> None:
    async with process(services, None) as watchers:
        session = Session()
        watchers.watch(TENANT, account.id, session.wake, since=Modseq(10))
        for modseq in (10, 11, 11, 9, 12):
            watchers.announce(TENANT, account.id, Modseq(modseq))
        await session.is_woken()
        await session.is_woken()
        assert session.woken.empty()


async def test_polling_finds_what_no_hint_told(services: RunningServices, account: Account) -> None:
    async with process(services, None, OFTEN) as watchers:
        session = Session()
        watchers.watch(TENANT, account.id, session.wake, since=Modseq(10))
        account.reach(11)
        await session.is_woken()
        account.reach(12)
        await session.is_woken()


async def test_without_redis_polling_is_the_quick_one_and_with_it_the_slow_one(
    services: RunningServices, server: RedisServer, account: Account
) -> None:
    quick_when_away = WatchingConfig(poll_s=86400, poll_away_s=0.05)
    async with process(services, server, quick_when_away) as watchers:
        session = Session()
        watchers.watch(TENANT, account.id, session.wake)
        await session.is_woken()  # looked at after the subscription
        assert server.child is not None
        server.child.signal(signal.SIGKILL)
        assert server.child.wait(10)
        account.reach(11)
        await session.is_woken()


async def test_what_happened_while_redis_was_away_is_found_when_it_is_back(
    services: RunningServices, server: RedisServer, account: Account
) -> None:
    async with process(services, server) as watchers:
        session = Session()
        watchers.watch(TENANT, account.id, session.wake)
        await session.is_woken()
        server.stop()
        account.reach(11)
        assert session.woken.empty()
        server.start()
        await session.is_woken()


async def test_a_session_that_is_behind_is_woken_at_once(services: RunningServices, account: Account) -> None:
    async with process(services, None) as watchers:
        first, late, level = Session(), Session(), Session()
        watchers.watch(TENANT, account.id, first.wake, since=Modseq(10))
        watchers.announce(TENANT, account.id, Modseq(15))
        watchers.watch(TENANT, account.id, late.wake, since=Modseq(14))
        watchers.watch(TENANT, account.id, level.wake, since=Modseq(15))
        await late.is_woken()
        assert level.woken.empty()


async def test_a_closed_watch_is_not_woken_and_closing_twice_is_harmless(
    services: RunningServices, account: Account
) -> None:
    async with process(services, None) as watchers:
        closed, stays = Session(), Session()
        watch = watchers.watch(TENANT, account.id, closed.wake)
        watchers.watch(TENANT, account.id, stays.wake)
        watch.close()
        watch.close()
        watchers.announce(TENANT, account.id, Modseq(11))
        await stays.is_woken()
        assert closed.woken.empty()


async def test_a_wake_that_fails_harms_nobody_else(services: RunningServices, account: Account) -> None:
    failures: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(str(context["exception"])))
    try:
        async with process(services, None) as watchers:

            def fail() -> None:
                raise RuntimeError("a bug")

            session = Session()
            watchers.watch(TENANT, account.id, fail)
            watchers.watch(TENANT, account.id, session.wake)
            watchers.announce(TENANT, account.id, Modseq(11))
            await session.is_woken()
    finally:
        asyncio.get_running_loop().set_exception_handler(None)
    assert failures == ["a bug"]


async def test_many_accounts_are_looked_at_in_one_go(services: RunningServices) -> None:
    accounts = [Account(services) for _ in range(20)]
    async with process(services, None, OFTEN) as watchers:
        sessions = []
        for account in accounts:
            sessions.append(Session())
            watchers.watch(TENANT, account.id, sessions[-1].wake)
        for session in sessions:
            await session.is_woken()
