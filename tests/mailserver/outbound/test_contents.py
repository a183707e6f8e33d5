"""The octets of queued messages as exchanges ask for them: each gets its own, however they are read."""

import asyncio
from datetime import UTC, datetime

import pytest

from mailserver.outbound.contents import Contents
from storage import outbox, outgoing_enqueue
from storage.errors import MessageGone
from storage.outgoing_enqueue import SendingLimits
from storage.outgoing_types import Envelope, Lane, QueuedMessage, QueuedRecipient, Submitter
from storage.store import MailStore
from tests.conftest import Company, RunningServices, new_company, owner_connection, plain_message

LIMIT_OCTETS = 10_000_000
SIZES = (0, 10, 70_000, 1_500_000, 2_100_000)


async def queued(store: MailStore, company: Company, octets: bytes) -> QueuedMessage:
    await outgoing_enqueue.enqueue(
        store.database,
        await store.keys.of(company.tenant_id),
        Submitter(company.tenant_id, None),
        Envelope("", (QueuedRecipient("bob@far.example"),)),
        memoryview(octets),
        queued_at=datetime.now(UTC),
        limits=SendingLimits(0, 0, 0, 0),
    )
    (leased,) = await outbox.lease(store.database, {Lane(company.tenant_id, "far.example"): 1}, lease_s=60)
    return leased.message


async def read(contents: Contents, message: QueuedMessage) -> bytes:
    return b"".join([piece async for piece in contents.opener(message)()])


@pytest.mark.parametrize("limit_octets", [0, 100_000, LIMIT_OCTETS])
async def test_messages_of_two_tenants_read_at_once_come_each_as_it_was(
    store: MailStore, company: Company, services: RunningServices, limit_octets: int
) -> None:
    other = await new_company(services, store.database)
    octets = [plain_message(n, body="x" * size) for n, size in enumerate(SIZES)]
    messages = [await queued(store, of, each) for of in (company, other) for each in octets]
    contents = Contents(store, limit_octets)
    for _ in range(2):
        assert await asyncio.gather(*(read(contents, message) for message in messages)) == octets * 2
    await contents.close()


async def test_a_message_that_left_the_queue_meanwhile_takes_none_with_it(
    store: MailStore, company: Company, services: RunningServices
) -> None:
    gone, there = [await queued(store, company, plain_message(n)) for n in range(2)]
    with owner_connection(services) as owner:
        owner.execute("DELETE FROM outgoing_content WHERE outgoing_id = %s", [gone.id])
    contents = Contents(store, LIMIT_OCTETS)
    results = await asyncio.gather(read(contents, gone), read(contents, there), return_exceptions=True)
    assert isinstance(results[0], MessageGone)
    assert results[1] == plain_message(1)


async def test_recipients_of_a_message_share_what_was_read(
    store: MailStore, company: Company, services: RunningServices
) -> None:
    message = await queued(store, company, plain_message())
    contents = Contents(store, LIMIT_OCTETS)
    assert await asyncio.gather(*(read(contents, message) for _ in range(3))) == [plain_message()] * 3
    with owner_connection(services) as owner:
        owner.execute("DELETE FROM outgoing_content WHERE outgoing_id = %s", [message.id])
    assert await read(contents, message) == plain_message()


async def test_who_stops_waiting_keeps_the_octets_from_nobody_else(store: MailStore, company: Company) -> None:
    message = await queued(store, company, plain_message())
    contents = Contents(store, LIMIT_OCTETS)
    leaving, staying = [asyncio.ensure_future(read(contents, message)) for _ in range(2)]
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == plain_message()
    assert leaving.cancelled()
