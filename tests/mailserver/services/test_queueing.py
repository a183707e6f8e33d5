"""Queueing: what is made durable for other systems, and who is told of it."""

import asyncio
from datetime import UTC, datetime

import pytest

from mailserver.services.queueing import QueueConfig, Queueing, without_return_path
from storage import outbox
from storage.errors import SendingLimitReached
from storage.outgoing_acts import Chosen
from storage.outgoing_content import read_chunk
from storage.outgoing_lists import list_recipients
from storage.outgoing_types import Envelope, HeldReason, Lane, OutgoingId, QueuedRecipient, QueueState, Submitter
from storage.store import MailStore
from tenants.types import AccountId
from tests.conftest import Company, plain_message


@pytest.mark.parametrize(
    ("octets", "left"),
    [
        (b"Return-Path: <ann@company.test>\r\nSubject: x\r\n\r\n", b"Subject: x\r\n\r\n"),
        (b"Return-Path: <>\r\n", b""),
        (
            b"Subject: x\r\nReturn-Path: <ann@company.test>\r\n\r\n",
            b"Subject: x\r\nReturn-Path: <ann@company.test>\r\n\r\n",
        ),
        (b"Return-Path: never ends", b"Return-Path: never ends"),
        (b"", b""),
    ],
)
def test_the_return_path_of_our_own_door_does_not_leave(octets: bytes, left: bytes) -> None:
    assert bytes(without_return_path(memoryview(octets))) == left


async def test_what_is_queued_is_durable_and_the_role_outbound_hears_of_its_lanes(
    store: MailStore, company: Company
) -> None:
    heard: list[Lane] = []
    queueing = Queueing(store, QueueConfig(), is_outbound_on=True, wake=heard.extend)
    who = Submitter(company.tenant_id, AccountId(7))
    envelope = Envelope("ann@company.test", tuple(map(QueuedRecipient, ("b@far.test", "c@Far.test", "d@near.test"))))
    outgoing_id = await queueing.enqueue(
        who, envelope, b"Return-Path: <ann@company.test>\r\n" + plain_message(), received_at=datetime.now(UTC)
    )
    assert set(heard) == {Lane(company.tenant_id, "far.test"), Lane(company.tenant_id, "near.test")}
    leased = await outbox.lease(store.database, {Lane(company.tenant_id, "far.test"): 5}, lease_s=60)
    assert {each.message.id for each in leased} == {outgoing_id}
    keys = await store.keys.of(company.tenant_id)
    assert await read_chunk(store.database, keys, leased[0].message, 0) == plain_message()


async def test_messages_that_are_queued_at_the_same_moment_are_all_durable(store: MailStore, company: Company) -> None:
    queueing = Queueing(store, QueueConfig(person_recipients_an_hour=4), is_outbound_on=True, wake=lambda _lanes: None)

    async def submit(number: int) -> OutgoingId:
        who = Submitter(company.tenant_id, AccountId(7 + number % 5))
        envelope = Envelope(f"p{number}@company.test", (QueuedRecipient(f"b{number}@far.test"),))
        return await queueing.enqueue(who, envelope, plain_message(number), received_at=datetime.now(UTC))

    results = await asyncio.gather(*map(submit, range(30)), return_exceptions=True)
    queued = {outgoing_id: number for number, outgoing_id in enumerate(results) if isinstance(outgoing_id, int)}
    assert [type(each) for each in results if not isinstance(each, int)] == [SendingLimitReached] * 10
    leased = await outbox.lease(store.database, {Lane(company.tenant_id, "far.test"): 50}, lease_s=60)
    assert {each.message.id: each.address for each in leased} == {
        outgoing_id: f"b{number}@far.test" for outgoing_id, number in queued.items()
    }


async def test_a_refused_message_leaves_nothing(store: MailStore, company: Company) -> None:
    heard: list[Lane] = []
    queueing = Queueing(store, QueueConfig(person_recipients_an_hour=1), is_outbound_on=True, wake=heard.extend)
    envelope = Envelope("ann@company.test", (QueuedRecipient("b@far.test"), QueuedRecipient("c@far.test")))
    with pytest.raises(SendingLimitReached):
        await queueing.enqueue(
            Submitter(company.tenant_id, AccountId(7)), envelope, plain_message(), received_at=datetime.now(UTC)
        )
    assert await list_recipients(store.database, Chosen(company.tenant_id), 10) == []
    assert heard == []


async def test_while_outbound_is_off_mail_is_held(store: MailStore, company: Company) -> None:
    queueing = Queueing(store, QueueConfig(), is_outbound_on=False, wake=lambda _lanes: None)
    envelope = Envelope("ann@company.test", (QueuedRecipient("b@far.test"),))
    who = Submitter(company.tenant_id, AccountId(7))
    await queueing.enqueue(who, envelope, plain_message(), received_at=datetime.now(UTC))
    (row,) = await list_recipients(store.database, Chosen(company.tenant_id), 10)
    assert (row.state, row.held_reason) == (QueueState.HELD, HeldReason.OUTBOUND_OFF)
