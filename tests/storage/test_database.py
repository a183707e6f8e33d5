"""Connections: which tenant they carry, when they are used again, and what happens when Postgres goes away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.local.services import start_services
from storage.database import Database, DatabaseConfig, NotCommitted
from storage.errors import MailboxNotFound, StoreUnavailable
from storage.query import Connection
from tenants.errors import DomainNotLocal
from tenants.types import TenantId
from tests.conftest import RunningServices

ACME, OTHER = TenantId(11), TenantId(12)


async def one(connection: Connection, statement: str) -> Any:
    row = await (await connection.execute(statement.encode())).fetchone()
    assert row is not None
    return row[0]


async def backend(connection: Connection) -> int:
    return int(await one(connection, "SELECT pg_backend_pid()"))


async def in_transaction(database: Database, *statements: str, then: Exception | None = None) -> None:
    async with database.transaction(ACME) as connection:
        for statement in statements:
            await connection.execute(statement.encode())
        if then is not None:
            raise then


async def tenant(connection: Connection) -> str:
    return str(await one(connection, "SELECT current_setting('waypost.tenant', true)"))


def config(services: RunningServices, **settings: Any) -> DatabaseConfig:
    return DatabaseConfig(app_url=services.app_url, system_url=services.system_url, **settings)


@pytest.fixture
async def single(services: RunningServices) -> AsyncIterator[Database]:
    """A pool of one connection."""
    opened = Database(config(services, max_connections=1, checkout_timeout_s=0.05))
    yield opened
    await opened.close()


@pytest.fixture
async def pair(services: RunningServices) -> AsyncIterator[Database]:
    opened = Database(config(services, max_connections=2, checkout_timeout_s=10.0))
    yield opened
    await opened.close()


async def test_a_connection_is_used_again_and_keeps_its_tenant(single: Database) -> None:
    async with single.read(ACME) as connection:
        first = await backend(connection), await tenant(connection)
    async with single.read(ACME) as connection:
        assert (await backend(connection), await tenant(connection)) == first
    assert first[1] == str(ACME)


async def test_a_connection_changes_its_tenant_when_another_one_needs_it(single: Database) -> None:
    async with single.read(ACME) as connection:
        first = await backend(connection)
    async with single.read(OTHER) as connection:
        assert (await backend(connection), await tenant(connection)) == (first, str(OTHER))


async def test_a_connection_that_carries_the_tenant_is_preferred(pair: Database) -> None:
    async with pair.read(ACME) as acme, pair.read(OTHER) as other:
        of_acme, of_other = await backend(acme), await backend(other)
    for _ in range(3):
        async with pair.read(ACME) as connection:
            assert await backend(connection) == of_acme
        async with pair.read(OTHER) as connection:
            assert await backend(connection) == of_other


async def test_the_tenant_survives_a_rolled_back_transaction(single: Database) -> None:
    """set_config inside a transaction would be rolled back with it."""
    with pytest.raises(MailboxNotFound):
        async with single.transaction(ACME):
            raise MailboxNotFound("x")
    async with single.read(ACME) as connection:
        assert await tenant(connection) == str(ACME)


async def test_our_own_refusal_leaves_the_connection_usable_and_undoes_its_work(single: Database) -> None:
    async with single.read(ACME) as connection:
        first = await backend(connection)
    made = "INSERT INTO account_state (tenant_id, account_id) VALUES (11, 1)"
    with pytest.raises(MailboxNotFound):
        await in_transaction(single, made, then=MailboxNotFound("x"))
    async with single.read(ACME) as connection:
        assert await backend(connection) == first
        assert await one(connection, "SELECT count(*) FROM account_state WHERE account_id = 1") == 0


@pytest.mark.parametrize("failure", [RuntimeError("a bug"), KeyError("another")])
async def test_after_any_other_exception_the_connection_is_closed(single: Database, failure: Exception) -> None:
    async with single.read(ACME) as connection:
        first = await backend(connection)
    with pytest.raises(type(failure)):
        await in_transaction(single, then=failure)
    async with single.read(ACME) as connection:
        assert await backend(connection) != first


async def test_after_an_error_of_postgres_the_connection_is_closed(single: Database) -> None:
    async with single.read(ACME) as connection:
        first = await backend(connection)
    with pytest.raises(psycopg.errors.DivisionByZero):
        await in_transaction(single, "SELECT 1 / 0")
    async with single.read(ACME) as connection:
        assert await backend(connection) != first


async def test_a_block_that_overlooks_a_failed_statement_is_not_taken_for_committed(single: Database) -> None:
    """Postgres answers its COMMIT with ROLLBACK, which is no error."""

    async def overlook() -> None:
        async with single.transaction(ACME) as connection:
            await connection.execute("INSERT INTO account_state (tenant_id, account_id) VALUES (11, 1)")
            with contextlib.suppress(psycopg.errors.DivisionByZero):
                await connection.execute("SELECT 1 / 0")

    with pytest.raises(NotCommitted):
        await overlook()
    async with single.read(ACME) as connection:
        assert await one(connection, "SELECT count(*) FROM account_state WHERE account_id = 1") == 0


async def test_a_cancelled_statements_connection_is_never_used_again(single: Database) -> None:
    seen: list[int] = []
    running = asyncio.Event()

    async def sleep() -> None:
        async with single.read(ACME) as connection:
            seen.append(await backend(connection))
            running.set()
            await connection.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(sleep())
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with single.read(OTHER) as connection:
        assert await backend(connection) not in seen
        assert await tenant(connection) == str(OTHER)


async def test_a_statement_over_its_time_is_the_stores_unavailability(services: RunningServices) -> None:
    hurried = Database(config(services, max_connections=1, statement_timeout_s=0.05))
    try:
        with pytest.raises(StoreUnavailable) as refusal:
            async with hurried.read(ACME) as connection:
                await connection.execute("SELECT pg_sleep(60)")
        assert isinstance(refusal.value.__cause__, psycopg.errors.QueryCanceled)
        async with hurried.read(ACME) as connection:
            assert await tenant(connection) == str(ACME)
    finally:
        await hurried.close()


async def test_who_waits_too_long_for_a_connection_is_told(single: Database) -> None:
    async with single.read(ACME):
        with pytest.raises(StoreUnavailable, match="busy"):
            async with single.read(ACME):
                pass
    async with single.read(ACME) as connection:
        assert await tenant(connection) == str(ACME)


async def test_those_who_wait_get_connections_in_turn_and_never_more_than_there_may_be(pair: Database) -> None:
    pids: set[int] = set()
    served: list[int] = []

    async def work(number: int) -> None:
        async with pair.read(TenantId(100 + number % 3)) as connection:
            assert await tenant(connection) == str(100 + number % 3)
            pids.add(await backend(connection))
            served.append(number)

    await asyncio.gather(*(work(number) for number in range(40)))
    assert len(pids) <= 2
    assert sorted(served) == list(range(40))


async def test_connections_lost_by_failures_make_room_for_those_who_wait(
    services: RunningServices, pair: Database
) -> None:
    lent = 0
    most = 0

    async def work(number: int) -> None:
        nonlocal lent, most
        async with pair.read(ACME) as connection:
            lent += 1
            most = max(most, lent)
            try:
                await connection.execute("SELECT 1")
                if number % 2:
                    raise RuntimeError
            finally:
                lent -= 1

    results = await asyncio.gather(*(work(number) for number in range(30)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), RuntimeError] * 15
    assert most <= 2


async def test_one_who_stops_waiting_leaves_the_connection_to_the_next(pair: Database) -> None:
    async with pair.read(ACME), pair.read(ACME):
        tasks = [asyncio.create_task(ask(pair)) for _ in range(4)]
        await asyncio.sleep(0)
        for task in tasks[:3]:
            task.cancel()
    assert await tasks[3] == str(ACME)
    for task in tasks[:3]:
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_cancelled_just_as_the_connection_comes_the_next_one_still_gets_it(single: Database) -> None:
    async with single.read(ACME):
        first, second = asyncio.create_task(ask(single)), asyncio.create_task(ask(single))
        await asyncio.sleep(0)
    first.cancel()  # it was handed the connection by the line above and has not run since
    assert await second == str(ACME)
    with pytest.raises(asyncio.CancelledError):
        await first


async def ask(database: Database) -> str:
    async with database.read(ACME) as connection:
        return await tenant(connection)


async def test_closing_refuses_those_who_wait_and_those_who_come(pair: Database) -> None:
    async with pair.read(ACME), pair.read(ACME):
        waiting = asyncio.create_task(ask(pair))
        await asyncio.sleep(0)
        await pair.close()
        with pytest.raises(StoreUnavailable, match="stopping"):
            await waiting
    with pytest.raises(StoreUnavailable, match="stopping"):
        await ask(pair)


async def test_idle_connections_that_the_server_closed_are_not_handed_out(
    services: RunningServices, database: Database
) -> None:
    several = Database(config(services, max_connections=3))
    try:
        async with several.read(ACME) as a, several.read(ACME) as b, several.read(OTHER) as c:
            pids = [await backend(each) for each in (a, b, c)]
        kill(services, pids)
        for tenant_id in (ACME, OTHER, ACME):
            async with several.read(tenant_id) as connection:
                assert await backend(connection) not in pids
                assert await tenant(connection) == str(tenant_id)
    finally:
        await several.close()


def kill(services: RunningServices, pids: list[int]) -> None:
    """A role may end its own backends. Returns when their processes are gone, and so their farewells sent."""
    with psycopg.connect(services.app_url, autocommit=True) as app:
        for pid in pids:
            assert app.execute("SELECT pg_terminate_backend(%s, 30000)", (pid,)).fetchone() == (True,)


async def test_a_backend_that_dies_in_the_middle_is_the_stores_unavailability(
    services: RunningServices, single: Database
) -> None:
    async def be_killed() -> None:
        async with single.read(ACME) as connection:
            await asyncio.to_thread(kill, services, [await backend(connection)])
            await connection.execute("SELECT 1")

    with pytest.raises(StoreUnavailable):
        await be_killed()
    assert await ask(single) == str(ACME)


async def test_when_postgres_restarts_the_store_is_unavailable_and_then_works_again(tmp_path: Path) -> None:
    running = await asyncio.to_thread(start_services, tmp_path, durable=False)
    urls = running.postgres.urls()
    opened = Database(DatabaseConfig(app_url=urls.app, system_url=urls.system, max_connections=4))
    try:
        async with opened.read(ACME), opened.read(ACME), opened.read(OTHER), opened.read(OTHER):
            pass
        await asyncio.to_thread(running.postgres.stop)
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await ask(opened)
        await asyncio.to_thread(running.postgres.start)
        assert [await ask(opened) for _ in range(4)] == [str(ACME)] * 4

        async with opened.read(ACME), opened.read(ACME), opened.read(OTHER):
            pass
        await asyncio.to_thread(running.postgres.stop)  # and now nobody asks while it is away
        await asyncio.to_thread(running.postgres.start)
        assert [await ask(opened) for _ in range(4)] == [str(ACME)] * 4
    finally:
        await opened.close()
        await asyncio.to_thread(running.stop)


async def test_a_deadlock_is_tried_again(database: Database) -> None:
    attempts = 0

    async def work() -> str:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            async with database.read(ACME) as connection:
                await connection.execute("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$")
        return "done"

    assert await database.retried(work) == "done"
    assert attempts == 3


async def test_what_is_no_deadlock_is_not_tried_again(database: Database) -> None:
    attempts = 0

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        async with database.read(ACME) as connection:
            await connection.execute("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '57014'; END $$")

    with pytest.raises(StoreUnavailable):
        await database.retried(work)
    assert attempts == 1


async def test_a_standby_that_cannot_be_written_to_is_the_stores_unavailability(database: Database) -> None:
    with pytest.raises(StoreUnavailable):
        await in_transaction(database, "SET TRANSACTION READ ONLY", "DELETE FROM placement")


async def test_the_directory_is_asked_on_any_connection(single: Database) -> None:
    async with single.read(ACME) as connection:
        first = await backend(connection)
    async with single.directory() as connection:
        assert await backend(connection) == first


async def _find_nobody(database: Database) -> None:
    async with database.directory() as connection:
        await one(connection, "SELECT 1")
        raise DomainNotLocal("elsewhere.test")


async def test_a_refusal_of_the_directory_leaves_the_connection_usable(single: Database) -> None:
    async with single.directory() as connection:
        first = await backend(connection)
    with pytest.raises(DomainNotLocal):
        await _find_nobody(single)
    async with single.directory() as connection:
        assert await backend(connection) == first
