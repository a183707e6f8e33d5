"""What senders are still to be told: claimed, told once, and over."""

from datetime import UTC, datetime

from storage import outgoing_acts, outgoing_enqueue, outgoing_reports
from storage.database import Database
from storage.outgoing_acts import Chosen
from storage.outgoing_types import (
    Envelope,
    EventKind,
    LastReply,
    Notify,
    QueuedRecipient,
    QueueState,
    ReportKind,
    ReportWork,
    ReturnContent,
    Submitter,
)
from tests.conftest import plain_message
from tests.storage.queue_box import Box, deferred, delivered, failed


async def claims(box: Box) -> list[ReportWork]:
    found = await outgoing_reports.claim(box.database, 1000, lease_s=0.0)
    return [work for work in found if work.message.tenant_id == box.tenant_id]


async def end(box: Box, work: ReportWork) -> bool:
    async with box.database.transaction(box.tenant_id) as connection:
        return await outgoing_reports.end(connection, work)


async def test_recipients_that_end_alike_share_a_report_and_leave_with_it(box: Box) -> None:
    outgoing_id = await box.put("bob@far.example", "cat@far.example", "dan@far.example", "eve@far.example")
    bob, cat, dan, eve = sorted(await box.lease(), key=lambda each: each.ordinal)
    await box.settle(failed(bob), failed(cat), delivered(dan, ReportKind.RELAYED), delivered(eve))
    assert await box.lease() == []
    works = {work.kind: work for work in await claims(box)}
    assert [each.address for each in works[ReportKind.FAILED].recipients] == ["bob@far.example", "cat@far.example"]
    assert works[ReportKind.FAILED].recipients[0].reply == LastReply(550, "5.1.1", "Nobody", "mx")
    assert [each.address for each in works[ReportKind.RELAYED].recipients] == ["dan@far.example"]
    assert await end(box, works[ReportKind.FAILED])
    assert await end(box, works[ReportKind.RELAYED])
    assert not await end(box, works[ReportKind.FAILED])
    assert await box.listed() == []
    assert (await box.events(outgoing_id))[-2:] == [EventKind.REPORTED] * 2


async def test_a_report_claimed_again_after_a_crash_has_the_same_id(box: Box) -> None:
    await box.put("bob@far.example", "cat@far.example")
    bob, cat = sorted(await box.lease(), key=lambda each: each.ordinal)
    await box.settle(failed(bob))
    (first,) = await claims(box)
    await box.settle(failed(cat))
    again, other = sorted(await claims(box), key=lambda work: work.id)
    assert again.id == first.id
    assert [each.address for each in again.recipients] == ["bob@far.example"]
    assert [each.address for each in other.recipients] == ["cat@far.example"]


async def test_a_delay_is_told_once_and_the_mail_goes_on(box: Box) -> None:
    await box.put("bob@far.example")
    (bob,) = await box.lease()
    await box.settle(deferred(bob, 0.0, ReportKind.DELAYED))
    (work,) = await claims(box)
    assert work.kind is ReportKind.DELAYED
    assert await end(box, work)
    (again,) = await box.lease()
    assert again.is_delay_told
    await box.settle(failed(again))
    (final,) = await claims(box)
    assert final.kind is ReportKind.FAILED
    assert final.id != work.id


async def test_a_report_that_took_long_does_not_end_the_lease_of_the_next_attempt(box: Box) -> None:
    await box.put("bob@far.example")
    (bob,) = await box.lease()
    await box.settle(deferred(bob, 0.0, ReportKind.DELAYED))
    (work,) = await claims(box)
    (next_attempt,) = await box.lease()
    assert await end(box, work)
    assert await box.lease() == []
    assert await box.settle(delivered(next_attempt))
    assert await box.listed() == []


async def test_what_an_administrator_bounces_is_reported_or_just_ends(box: Box) -> None:
    await box.put("bob@far.example")
    await box.put("bob@far.example", reverse_path="")
    await box.put("bob@far.example", notify=Notify.NEVER)
    await box.put("cat@near.example")
    await box.lease("near.example")
    assert await outgoing_acts.bounce(box.database, Chosen(box.tenant_id), "not to be sent") == 3
    (work,) = await claims(box)
    assert work.recipients[0].reply.text == "not to be sent"
    assert [each.address for each in await box.listed(state=QueueState.QUEUED)] == ["cat@near.example"]


async def test_the_envelope_of_a_report_keeps_what_the_sender_asked(box: Box, database: Database) -> None:
    envelope = Envelope(
        "ann@company.test", (QueuedRecipient("bob@far.example"),), None, ReturnContent.HEADERS, needs_utf8=True
    )
    keys = await box.store.keys.of(box.tenant_id)
    async with database.transaction(box.tenant_id) as connection:
        await outgoing_enqueue.enqueue_within(
            connection,
            keys,
            Submitter(box.tenant_id, None),
            envelope,
            memoryview(plain_message()),
            queued_at=datetime.now(UTC),
            held=None,
        )
    (bob,) = await box.lease()
    assert (bob.message.return_content, bob.message.needs_utf8, bob.message.account_id) == (
        ReturnContent.HEADERS,
        True,
        None,
    )
