"""Copies that arrive together share a transaction, and nothing but that."""

import asyncio
from dataclasses import replace

import psycopg
import pytest

from mailserver.services.ingest import ingest
from mailserver.services.joining import Joiner
from storage import placing
from storage.errors import OverQuota
from storage.placing import Order
from storage.store import Joins, MailStore
from storage.types import Destination, Placed
from tests.conftest import NOON, Company, plain_message
from tests.someone import Someone


@pytest.fixture
async def ada(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person("ada"))


async def order(ada: Someone, number: int, *, quota_octets: int | None = None) -> Order:
    keys = await ada.store.keys.of(ada.who.tenant_id)
    # a body of its own each: two transactions that bring the same blob wait for each other, whatever their accounts
    message = await placing.prepare(keys, await ingest(plain_message(number, body=f"Lunch at {number}?"), NOON))
    return Order(message, Destination(ada.who.account_id, None, quota_octets=quota_octets))


def poisoned(good: Order) -> Order:
    """Text that Postgres does not take."""
    facts = replace(good.message.facts, subject="a\0b")
    return replace(good, message=replace(good.message, facts=facts))


async def transactions(ada: Someone) -> int:
    """How many transactions placed what the tenant has: its rows carry the id of theirs."""
    async with ada.store.database.read(ada.who.tenant_id) as connection:
        cursor = await connection.execute("SELECT count(DISTINCT xmin::text) FROM placement")
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])


async def test_what_waits_goes_in_one_transaction(ada: Someone) -> None:
    joiner = Joiner(ada.store)
    orders = [await order(ada, number) for number in range(30)]
    results = await asyncio.gather(*(joiner.place(ada.who.tenant_id, each) for each in orders))
    assert [result.uid for result in results if isinstance(result, Placed)] == list(range(1, 31))
    assert await transactions(ada) == 1


async def test_people_of_a_tenant_share_a_transaction(ada: Someone, company: Company) -> None:
    joiner = Joiner(ada.store)
    everyone = [ada, *[Someone(ada.store, await company.person(f"p{number}")) for number in range(9)]]
    orders = [await order(everyone[number % 10], number) for number in range(40)]
    same = replace(orders[7], destination=orders[3].destination)  # equal content, for somebody else
    results = await asyncio.gather(*(joiner.place(ada.who.tenant_id, each) for each in [*orders, same]))
    assert [result.account_id for result in results if isinstance(result, Placed)] == [
        each.destination.account_id for each in [*orders, same]
    ]
    assert [await each.uids() for each in everyone[:4]] == [[1, 2, 3, 4]] * 3 + [[1, 2, 3, 4, 5]]
    assert await transactions(ada) == 1


async def test_processes_that_bring_the_same_to_the_same_people_do_not_lock_each_other_out(
    ada: Someone, company: Company
) -> None:
    """Two joiners with stores of their own, as in two processes; contents and accounts come in opposite orders."""
    everyone = [Someone(ada.store, await company.person(f"p{number}")) for number in range(6)]
    orders = [await order(everyone[number % 6], number % 5) for number in range(60)]
    other = replace(ada.store, joins=Joins())
    one, two = Joiner(ada.store), Joiner(other)
    results = await asyncio.gather(
        *(one.place(ada.who.tenant_id, each) for each in orders),
        *(two.place(ada.who.tenant_id, each) for each in reversed(orders)),
    )
    assert all(isinstance(result, Placed) for result in results)
    assert [len(await each.uids()) for each in everyone] == [20] * 6


async def test_each_who_joins_has_an_answer_of_his_own(ada: Someone) -> None:
    joiner = Joiner(ada.store)
    orders = [await order(ada, number, quota_octets=1 if number % 3 == 1 else None) for number in range(9)]
    results = await asyncio.gather(*(joiner.place(ada.who.tenant_id, each) for each in orders))
    assert [type(result) for result in results] == [Placed, OverQuota, Placed] * 3
    assert await ada.uids() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("position", [0, 1, 4])
async def test_one_bad_message_fails_alone(ada: Someone, position: int) -> None:
    joiner = Joiner(ada.store)
    orders = [await order(ada, number) for number in range(5)]
    orders[position] = poisoned(orders[position])
    results = await asyncio.gather(*(joiner.place(ada.who.tenant_id, each) for each in orders), return_exceptions=True)
    assert [number for number, result in enumerate(results) if isinstance(result, psycopg.Error)] == [position]
    assert len(await ada.uids()) == 4


async def test_who_stops_waiting_gets_no_copy_and_holds_nobody_up(ada: Someone) -> None:
    joiner = Joiner(ada.store)
    orders = [await order(ada, number) for number in range(4)]
    tasks = [asyncio.create_task(joiner.place(ada.who.tenant_id, each)) for each in orders]
    await asyncio.sleep(0)
    tasks[2].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [Placed, Placed, asyncio.CancelledError, Placed]
    assert len(await ada.uids()) == 3


async def test_when_all_who_wait_have_gone_the_next_is_served(ada: Someone) -> None:
    joiner = Joiner(ada.store)
    orders = [await order(ada, number) for number in range(3)]
    tasks = [asyncio.create_task(joiner.place(ada.who.tenant_id, each)) for each in orders]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(await joiner.place(ada.who.tenant_id, await order(ada, 9)), Placed)


async def test_accounts_do_not_wait_for_each_other(ada: Someone, company: Company) -> None:
    bob = Someone(ada.store, await company.person("bob"))
    joiner = Joiner(ada.store)
    mine, his = await order(ada, 1), await order(bob, 2)
    async with ada.store.database.transaction(ada.who.tenant_id) as connection:
        await connection.execute("SELECT FROM account_state WHERE account_id = %s FOR UPDATE", (ada.who.account_id,))
        waiting = asyncio.create_task(joiner.place(ada.who.tenant_id, mine))
        assert await bob.uids() == []  # a round trip, in which mine has begun
        assert isinstance(await joiner.place(bob.who.tenant_id, his), Placed)
        assert not waiting.done()
    assert isinstance(await waiting, Placed)


async def test_nothing_is_kept_of_accounts_that_are_quiet(ada: Someone) -> None:
    joiner = Joiner(ada.store)
    await asyncio.gather(*[joiner.place(ada.who.tenant_id, await order(ada, number)) for number in range(3)])
    async with asyncio.timeout(5):
        while not ada.store.joins.placing.is_quiet:  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0)
