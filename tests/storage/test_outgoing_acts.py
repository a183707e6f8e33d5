"""What administrators do with queued mail: holds bind, acts reach what was chosen."""

from datetime import UTC, datetime, timedelta

from storage import outgoing_acts
from storage.outgoing_acts import Chosen
from storage.outgoing_types import (
    EventKind,
    HeldReason,
    QueueState,
)
from tenants.types import AccountId
from tests.conftest import RunningServices, new_company
from tests.storage.queue_box import ANN, Box, deferred, delivered


async def test_held_mail_is_not_leased_until_it_is_released(box: Box) -> None:
    outgoing_id = await box.put("bob@far.example", held=HeldReason.OUTBOUND_OFF)
    assert await box.lease() == []
    assert await box.due() == {}
    assert await outgoing_acts.release(box.database, Chosen(box.tenant_id)) == 1
    assert len(await box.lease()) == 1
    assert await box.events(outgoing_id) == [EventKind.QUEUED, EventKind.RELEASED]


async def test_a_rule_holds_what_is_queued_after_it(box: Box) -> None:
    await outgoing_acts.add_rule(box.database, box.tenant_id, ANN, None)
    await box.put("bob@far.example")
    await box.put("bob@far.example", account_id=AccountId(78))
    held, queued = await box.listed()
    assert (held.state, held.held_reason) == (QueueState.HELD, HeldReason.ADMINISTRATOR)
    assert queued.state == QueueState.QUEUED
    assert await outgoing_acts.drop_rules(box.database, box.tenant_id, ANN, None) == 1
    await box.put("bob@far.example")
    assert (await box.listed())[2].state == QueueState.QUEUED


async def test_a_rule_for_a_domain_holds_its_recipients_alone(box: Box) -> None:
    await outgoing_acts.add_rule(box.database, box.tenant_id, None, "far.example")
    await box.put("bob@far.example", "bob@near.example")
    assert [each.state for each in await box.listed()] == [QueueState.HELD, QueueState.QUEUED]


async def test_what_was_held_while_it_was_being_sent_stays_held_unless_it_was_delivered(box: Box) -> None:
    await box.put("bob@far.example", "cat@far.example")
    bob, cat = sorted(await box.lease(), key=lambda each: each.ordinal)
    assert await outgoing_acts.hold(box.database, Chosen(box.tenant_id)) == 2
    await box.settle(delivered(bob), deferred(cat, 0.0))
    (left,) = await box.listed()
    assert (left.address, left.state) == ("cat@far.example", QueueState.HELD)


async def test_scheduled_mail_waits_for_its_time_or_its_release(box: Box) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    await box.put("bob@far.example", first_attempt_at=at)
    (row,) = await box.listed()
    assert (row.state, row.held_reason, row.next_attempt_at) == (QueueState.QUEUED, HeldReason.SCHEDULED, at)
    assert await box.lease() == []
    assert await outgoing_acts.release(box.database, Chosen(box.tenant_id, held_reason=HeldReason.SCHEDULED)) == 1
    assert len(await box.lease()) == 1


async def test_acts_reach_what_was_chosen_and_nothing_else(box: Box, services: RunningServices) -> None:
    other = Box(box.store, await new_company(services, box.database))
    first = await box.put("bob@far.example", "cat@near.example")
    await box.put("bob@far.example", reverse_path="Eve@company.test", account_id=AccountId(78))
    await other.put("bob@far.example")
    acts = outgoing_acts
    assert await acts.hold(box.database, Chosen(box.tenant_id, sender="eve@COMPANY.test")) == 1
    assert await acts.hold(box.database, Chosen(box.tenant_id, outgoing_id=first, recipient="CAT@near.example")) == 1
    assert await acts.hold(box.database, Chosen(box.tenant_id, account_id=AccountId(79))) == 0
    assert [each.state for each in await box.listed()] == [QueueState.QUEUED, QueueState.HELD, QueueState.HELD]
    assert [each.state for each in await other.listed()] == [QueueState.QUEUED]
    assert await acts.remove(box.database, Chosen(box.tenant_id, state=QueueState.HELD)) == 2
    assert [each.address for each in await box.listed(domain="far.example")] == ["bob@far.example"]


async def test_a_retry_is_due_at_once(box: Box) -> None:
    await box.put("bob@far.example")
    (bob,) = await box.lease()
    await box.settle(deferred(bob, 3600))
    assert await outgoing_acts.retry(box.database, Chosen(box.tenant_id)) == 1
    assert len(await box.lease()) == 1
