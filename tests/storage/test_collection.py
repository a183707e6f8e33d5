"""Collecting blobs that nothing uses never takes one that a delivery has just claimed (DESIGN §3, message octets)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from storage.blobs.hot import HotBlobs
from storage.database import Database
from storage.housekeeping import collect_blobs
from storage.keys import TenantKeys
from storage.store import MailStore
from storage.types import BlobDigest
from tests.conftest import Company, RunningServices, plain_message
from tests.someone import ADD, DELETED, Someone

Backend = psycopg.AsyncConnection[tuple[Any, ...]]
LONG = bytes(range(256)) * 10_000  # several chunks


@pytest.fixture
async def ada(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person("ada"))


@pytest.fixture
async def keys(store: MailStore, company: Company) -> TenantKeys:
    return await store.keys.of(company.tenant_id)


@pytest.fixture
async def pair(services: RunningServices, company: Company) -> AsyncIterator[tuple[Backend, Backend]]:
    """Two connections of the tenant: of a delivery, and of the collection."""
    async with (
        await psycopg.AsyncConnection.connect(services.app_url, autocommit=True) as delivery,
        await psycopg.AsyncConnection.connect(services.app_url, autocommit=True) as collection,
    ):
        for connection in (delivery, collection):
            await connection.execute("SELECT set_config('waypost.tenant', %s, false)", (str(company.tenant_id),))
        yield delivery, collection


async def age(connection: Backend, digest: BlobDigest) -> None:
    await connection.execute("UPDATE blob SET touched_at = now() - interval '2 days' WHERE digest = %s", (digest,))


async def until_waiting(connection: Backend, blocked: Backend) -> None:
    """Until `blocked` waits for a lock of somebody."""
    while True:
        cursor = await connection.execute("SELECT cardinality(pg_blocking_pids(%s))", (blocked.info.backend_pid,))
        if await cursor.fetchone() != (0,):
            return


async def chunks(connection: Backend, digest: BlobDigest) -> int:
    cursor = await connection.execute("SELECT count(*) FROM blob_content WHERE digest = %s", (digest,))
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def test_what_nothing_uses_goes_with_its_chunks(keys: TenantKeys, pair: tuple[Backend, Backend]) -> None:
    delivery, collection = pair
    blobs = HotBlobs()
    digest = await blobs.put(delivery, keys, LONG)
    assert await blobs.delete(collection, keys, [digest]) == 0, "it was claimed a moment ago"
    await age(delivery, digest)
    assert await blobs.delete(collection, keys, [digest]) == 1
    assert await chunks(delivery, digest) == 0


async def test_what_a_message_uses_stays_however_old(
    ada: Someone, keys: TenantKeys, pair: tuple[Backend, Backend]
) -> None:
    await ada.receive()
    blobs = HotBlobs(grace_s=0)
    cursor = await pair[0].execute("SELECT digest FROM blob")
    digests = [BlobDigest(row[0]) for row in await cursor.fetchall()]
    await pair[0].execute("UPDATE blob SET touched_at = now() - interval '9 years'")
    assert await blobs.delete(pair[1], keys, digests) == 0
    await ada.flag("INBOX", [1], ADD, DELETED)
    await ada.expunge()
    await ada.empty_bin()
    assert await blobs.delete(pair[1], keys, digests) == len(digests) == 1


@pytest.mark.parametrize("octets", [b"small", LONG], ids=["one chunk", "several chunks"])
async def test_claimed_first_the_blob_stays(keys: TenantKeys, pair: tuple[Backend, Backend], octets: bytes) -> None:
    """The delivery has claimed an old blob and not yet committed; the collection waits for it and then spares it."""
    delivery, collection = pair
    blobs = HotBlobs()
    digest = await blobs.put(delivery, keys, octets)
    await age(delivery, digest)
    await delivery.execute("BEGIN")
    assert await blobs.put(delivery, keys, octets) == digest
    collecting = asyncio.create_task(blobs.delete(collection, keys, [digest]))
    await until_waiting(delivery, collection)
    await delivery.execute("COMMIT")
    assert await collecting == 0
    assert await blobs.read(delivery, keys, digest, 0, len(octets)) == octets


@pytest.mark.parametrize("octets", [b"small", LONG], ids=["one chunk", "several chunks"])
async def test_collected_first_the_blob_is_written_anew(
    keys: TenantKeys, pair: tuple[Backend, Backend], octets: bytes
) -> None:
    """The collection has deleted the blob and not yet committed; the delivery waits for it and then writes it again."""
    delivery, collection = pair
    blobs = HotBlobs()
    digest = await blobs.put(delivery, keys, octets)
    await age(delivery, digest)
    await collection.execute("BEGIN")
    assert await blobs.delete(collection, keys, [digest]) == 1
    claiming = asyncio.create_task(blobs.put(delivery, keys, octets))
    await until_waiting(collection, delivery)
    await collection.execute("COMMIT")
    assert await claiming == digest
    assert await blobs.read(delivery, keys, digest, 0, len(octets)) == octets


async def test_a_collection_that_is_rolled_back_takes_nothing(keys: TenantKeys, pair: tuple[Backend, Backend]) -> None:
    delivery, collection = pair
    blobs = HotBlobs()
    digest = await blobs.put(delivery, keys, LONG)
    await age(delivery, digest)
    await collection.execute("BEGIN")
    assert await blobs.delete(collection, keys, [digest]) == 1
    claiming = asyncio.create_task(blobs.put(delivery, keys, LONG))
    await until_waiting(collection, delivery)
    await collection.execute("ROLLBACK")
    assert await claiming == digest
    assert await chunks(delivery, digest) == 3
    assert await blobs.read(delivery, keys, digest, 0, len(LONG)) == LONG


async def test_two_deliveries_of_the_same_content_write_it_once(
    keys: TenantKeys, pair: tuple[Backend, Backend]
) -> None:
    first, second = pair
    blobs = HotBlobs()
    await first.execute("BEGIN")
    digest = await blobs.put(first, keys, LONG)
    same = asyncio.create_task(blobs.put(second, keys, LONG))
    await until_waiting(first, second)
    await first.execute("COMMIT")
    assert await same == digest
    assert await chunks(first, digest) == 3


async def test_upkeep_collects_across_tenants_what_is_old_and_unused(
    ada: Someone, database: Database, company: Company, pair: tuple[Backend, Backend]
) -> None:
    await ada.receive(plain_message(1))
    await ada.receive(plain_message(2, body="another"))
    await ada.flag("INBOX", [1], ADD, DELETED)
    await ada.expunge()
    await ada.empty_bin()
    await pair[0].execute("UPDATE blob SET touched_at = now() - interval '2 days'")
    assert await collect_blobs(database, ada.store.keys, HotBlobs(), page=1) >= 1
    cursor = await pair[0].execute("SELECT count(*) FROM blob")
    assert await cursor.fetchone() == (1,)
    assert await ada.octets() == [plain_message(2, body="another")]
