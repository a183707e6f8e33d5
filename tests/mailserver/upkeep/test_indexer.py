"""New mail is indexed without anybody asking, by hints or by looking, and the index is looked after."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from mailserver.hints import HintSender
from mailserver.services.text_search import Where, find
from mailserver.upkeep.index_jobs import HOUR_S, LOOSE, WORTH_IT_OCTETS, index_jobs, is_loose
from mailserver.upkeep.indexer import WORK, Indexer, IndexingConfig
from storage import message_text
from storage.leases import leased
from storage.message_text import IndexSize
from storage.store import MailStore
from storage.types import Modseq
from tests.conftest import Company, RunningServices, plain_message
from tests.someone import Someone

NEVER_S = 3600.0
QUICK = IndexingConfig(gather_s=0.05, poll_s=NEVER_S, poll_away_s=0.5)


@asynccontextmanager
async def at_work(store: MailStore, redis: Redis | None, config: IndexingConfig = QUICK) -> AsyncIterator[Indexer]:
    indexer = Indexer(store, redis, config)
    indexer.start()
    try:
        yield indexer
    finally:
        await indexer.drain(5.0)


async def until_indexed(ada: Someone) -> None:
    """The index knows everything that this person has."""
    async with asyncio.timeout(30):
        while True:
            async with ada.store.database.read(ada.who.tenant_id) as connection:
                stands = await message_text.standing(connection, ada.who.tenant_id, ada.who.account_id)
            if stands is not None and not stands.is_behind:
                return
            await asyncio.sleep(0.02)


async def tell_again(sender: HintSender, ada: Someone) -> None:
    while True:
        sender.publish(ada.who.tenant_id, ada.who.account_id, Modseq(1))
        await asyncio.sleep(0.1)


@pytest.fixture
async def redis(services: RunningServices) -> AsyncIterator[Redis]:
    client: Redis = Redis.from_url(services.redis_url)
    yield client
    await client.aclose()


async def test_a_hint_is_enough(store: MailStore, company: Company, redis: Redis) -> None:
    sender = HintSender(redis)
    sender.start()
    hinting = replace(store, announce=sender.publish)
    ada = Someone(hinting, await company.person("ada"))
    try:
        async with at_work(store, redis):
            await ada.receive(plain_message(1))
            told = asyncio.create_task(tell_again(sender, ada))  # the first hint may come before anybody listens
            await until_indexed(ada)
            told.cancel()
    finally:
        await sender.close()


async def test_without_hints_it_looks_by_itself(store: MailStore, company: Company) -> None:
    ada = Someone(store, await company.person("ada"))
    async with at_work(store, None):
        for number in range(3):
            await ada.receive(plain_message(number))
            await until_indexed(ada)
    assert len(await find(store, ada.who, Where.TEXT, "noon") or ()) == 3


async def test_two_processes_share_the_work_and_a_lease_that_is_held_elsewhere_is_waited_for(
    store: MailStore, company: Company
) -> None:
    ada = Someone(store, await company.person("ada"))
    await ada.receive(plain_message(1))
    async with at_work(store, None), at_work(store, None):
        has_come = False
        while not has_come:
            async with leased(store.database, ada.who.tenant_id, WORK) as lease:
                if lease is not None:
                    await ada.receive(plain_message(2))
                    has_come = True
            await asyncio.sleep(0.02)
        await until_indexed(ada)
    assert len(await find(store, ada.who, Where.TEXT, "noon") or ()) == 2


async def test_the_jobs_tell_how_large_the_index_is_and_what_was_read_again(store: MailStore) -> None:
    tend, again = index_jobs(store, IndexingConfig(reindex_hour=2), clock=lambda: 2 * HOUR_S)
    assert "octets of index" in str(await tend.run())
    assert "messages" in str(await again.run())


def test_an_index_is_loose_when_it_is_far_larger_than_its_words() -> None:
    assert not is_loose(IndexSize(index_octets=WORTH_IT_OCTETS, table_octets=1, rows=1))
    assert is_loose(IndexSize(index_octets=WORTH_IT_OCTETS + 1, table_octets=1, rows=1))
    words = 10 * WORTH_IT_OCTETS
    assert not is_loose(IndexSize(index_octets=int(words * LOOSE), table_octets=words, rows=1))
    assert is_loose(IndexSize(index_octets=int(words * LOOSE) + 1, table_octets=words, rows=1))
