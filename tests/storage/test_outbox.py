"""The queue: what is put in comes out once, leases fence, limits and holds bind."""

import asyncio
import itertools
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from storage import outbox, outgoing_acts, outgoing_enqueue, outgoing_lists, outgoing_reports
from storage.database import Database
from storage.errors import ContentDamaged, MessageGone, SendingLimitReached
from storage.outgoing_acts import Chosen
from storage.outgoing_content import last_chunk, read_chunk
from storage.outgoing_enqueue import NewOutgoing, SendingLimits
from storage.outgoing_types import (
    Ending,
    Envelope,
    EventKind,
    HeldReason,
    Lane,
    LastReply,
    LeasedRecipient,
    Notify,
    OutgoingId,
    QueuedRecipient,
    QueueState,
    ReportKind,
    ReportWork,
    ReturnContent,
    Settlement,
    Submitter,
)
from storage.store import MailStore
from tenants.types import AccountId
from tests.conftest import Company, RunningServices, new_company, owner_connection, plain_message

MANY = SendingLimits(10_000, 10_000, 10_000, 10_000)
ANN = AccountId(77)
LEASE_S = 60.0
_numbers = itertools.count(1)


class Box:
    """The queue as one tenant uses it."""

    def __init__(self, store: MailStore, company: Company) -> None:
        self.store = store
        self.database = store.database
        self.tenant_id = company.tenant_id

    async def put(
        self,
        *addresses: str,
        octets: bytes = plain_message(),
        account_id: AccountId | None = ANN,
        limits: SendingLimits = MANY,
        notify: Notify | None = None,
        reverse_path: str = "ann@company.test",
        held: HeldReason | None = None,
        first_attempt_at: datetime | None = None,
        lease_s: float = 0.0,
    ) -> OutgoingId:
        envelope = Envelope(
            reverse_path, tuple(QueuedRecipient(each, f"rfc822;{each}", notify) for each in addresses), "envid"
        )
        return await outgoing_enqueue.enqueue(
            self.database,
            await self.store.keys.of(self.tenant_id),
            Submitter(self.tenant_id, account_id),
            envelope,
            memoryview(octets),
            queued_at=datetime.now(UTC),
            limits=limits,
            held=held,
            first_attempt_at=first_attempt_at,
            lease_s=lease_s,
        )

    async def message(self, account_id: AccountId | None, recipients: int) -> NewOutgoing:
        """Its octets are its reverse path, which no other has."""
        reverse_path = f"p{next(_numbers)}@company.test"
        return await outgoing_enqueue.prepare(
            await self.store.keys.of(self.tenant_id),
            Submitter(self.tenant_id, account_id),
            Envelope(reverse_path, tuple(QueuedRecipient(f"r{n}@far.example") for n in range(recipients))),
            memoryview(reverse_path.encode()),
            queued_at=datetime.now(UTC),
        )

    async def put_together(
        self, *messages: NewOutgoing, limits: SendingLimits = MANY
    ) -> list[OutgoingId | SendingLimitReached]:
        return await outgoing_enqueue.enqueue_together(self.database, messages, limits=limits, held=None)

    async def lease(
        self, domain: str = "far.example", room: int = 100, lease_s: float = LEASE_S
    ) -> list[LeasedRecipient]:
        return await outbox.lease(self.database, {Lane(self.tenant_id, domain): room}, lease_s=lease_s)

    async def settle(self, *settlements: Settlement) -> list[Settlement]:
        return await outbox.settle(self.database, settlements, report_wait_s=0.0)

    async def listed(self, **chosen: object) -> list[outgoing_lists.ListedRecipient]:
        return await outgoing_lists.list_recipients(self.database, Chosen(self.tenant_id, **chosen), 1000)  # type: ignore[arg-type]

    async def due(self) -> dict[str, datetime | None]:
        lanes = await outbox.find_lanes(self.database, Lane(self.tenant_id, ""), 1000)
        return {each.domain: each.due_at for each in lanes if each.tenant_id == self.tenant_id}

    async def events(self, outgoing_id: OutgoingId) -> list[EventKind]:
        found = await outgoing_lists.list_events(self.database, self.tenant_id, outgoing_id, 100)
        return [EventKind(each.kind) for each in found]


@pytest.fixture
def box(store: MailStore, company: Company) -> Box:
    return Box(store, company)


def delivered(recipient: LeasedRecipient, report: ReportKind = ReportKind.NONE) -> Settlement:
    return Settlement(recipient, Ending.DELIVERED, LastReply(250, "2.0.0", "Taken", "mx.far.example"), report)


def deferred(recipient: LeasedRecipient, wait_s: float, report: ReportKind = ReportKind.NONE) -> Settlement:
    at = datetime.now(UTC) + timedelta(seconds=wait_s)
    return Settlement(recipient, Ending.DEFERRED, LastReply(450, "4.2.0", "Later", "mx"), report, next_attempt_at=at)


def failed(recipient: LeasedRecipient) -> Settlement:
    return Settlement(recipient, Ending.FAILED, LastReply(550, "5.1.1", "Nobody", "mx"), ReportKind.FAILED)


async def test_what_is_queued_is_leased_with_its_envelope_and_settled_away(box: Box) -> None:
    outgoing_id = await box.put("bob@far.example", "cat@FAR.example", "dan@near.example", notify=Notify.SUCCESS)
    bob, cat = sorted(await box.lease(), key=lambda each: each.ordinal)
    assert (bob.address, cat.address, cat.domain) == ("bob@far.example", "cat@FAR.example", "far.example")
    assert bob.original_recipient == "rfc822;bob@far.example"
    assert bob.notify is Notify.SUCCESS
    assert bob.message is cat.message
    assert (bob.message.id, bob.message.reverse_path, bob.message.envelope_id) == (
        outgoing_id,
        "ann@company.test",
        "envid",
    )
    assert len(await box.settle(delivered(bob), delivered(cat))) == 2
    (dan,) = await box.lease("near.example")
    assert [each.address for each in await box.listed()] == ["dan@near.example"]
    await box.settle(delivered(dan))
    assert await box.listed() == []
    with pytest.raises(MessageGone):
        await read_chunk(box.database, await box.store.keys.of(box.tenant_id), dan.message, 0)
    assert await box.events(outgoing_id) == [EventKind.QUEUED, *[EventKind.DELIVERED] * 3]


async def test_a_leased_recipient_is_leased_by_nobody_else_until_the_lease_is_over(box: Box) -> None:
    await box.put("bob@far.example")
    (first,) = await box.lease()
    assert await box.lease() == []
    assert (await box.due())["far.example"] is None
    await outbox.renew(box.database, [first], lease_s=0.0)
    (second,) = await box.lease()
    assert second.token == first.token + 1


async def test_who_lost_the_lease_settles_nothing(box: Box) -> None:
    await box.put("bob@far.example")
    (late,) = await box.lease(lease_s=0.0)
    (owner,) = await box.lease()
    assert await box.settle(delivered(late)) == []
    assert len(await box.listed()) == 1
    assert len(await box.settle(delivered(owner))) == 1
    assert await box.settle(delivered(owner)) == []


async def test_a_renewed_lease_lasts(box: Box) -> None:
    await box.put("bob@far.example")
    leased = await box.lease(lease_s=0.0)
    await outbox.renew(box.database, leased, lease_s=LEASE_S)
    assert await box.lease() == []


async def test_a_lease_that_another_has_is_not_renewed(box: Box) -> None:
    await box.put("bob@far.example")
    late = await box.lease(lease_s=0.0)
    await box.lease(lease_s=0.0)
    await outbox.renew(box.database, late, lease_s=LEASE_S)
    assert len(await box.lease()) == 1


async def test_a_renewal_tells_which_leases_are_still_ours(box: Box) -> None:
    await box.put("bob@far.example", "cat@far.example")
    ours = await box.lease(lease_s=0.0)
    (theirs,) = await box.lease(room=1)
    kept = await outbox.renew(box.database, ours, lease_s=LEASE_S)
    assert [each.ordinal for each in kept] == [each.ordinal for each in ours if each.ordinal != theirs.ordinal]


async def test_leases_that_nobody_settled_are_counted_until_somebody_settles(box: Box) -> None:
    await box.put("bob@far.example")
    for count in (1, 2, 3):
        (bob,) = await box.lease(lease_s=0.0)
        assert bob.unsettled_leases == count
    await box.settle(Settlement(bob, Ending.RETURNED, LastReply()))
    (bob,) = await box.lease()
    assert bob.unsettled_leases == 3
    await box.settle(deferred(bob, 0.0))
    (bob,) = await box.lease()
    assert bob.unsettled_leases == 1


async def test_one_row_without_its_message_keeps_no_other_from_being_leased(
    box: Box, services: RunningServices
) -> None:
    lost = await box.put("bob@far.example")
    await box.put("cat@far.example")
    with owner_connection(services) as owner:
        owner.execute("DELETE FROM outgoing WHERE id = %s", (lost,))
    assert [each.address for each in await box.lease()] == ["cat@far.example"]
    with owner_connection(services) as owner:
        owner.execute("DELETE FROM outgoing_recipient WHERE outgoing_id = %s", (lost,))


async def test_what_is_deferred_waits_for_its_time(box: Box) -> None:
    await box.put("bob@far.example")
    (bob,) = await box.lease()
    await box.settle(deferred(bob, 3600))
    assert await box.lease() == []
    (row,) = await box.listed()
    assert (row.attempts, row.reply_code, row.reply_text, row.is_leased) == (1, 450, "Later", False)
    await box.put("cat@far.example")
    (cat,) = await box.lease()
    await box.settle(deferred(cat, 0.0))
    (again,) = await box.lease()
    assert again.attempts == 1


async def test_what_is_given_back_is_due_at_once_and_counts_no_attempt(box: Box) -> None:
    outgoing_id = await box.put("bob@far.example")
    (bob,) = await box.lease()
    await box.settle(Settlement(bob, Ending.RETURNED, LastReply()))
    (again,) = await box.lease()
    assert again.attempts == 0
    assert await box.events(outgoing_id) == [EventKind.QUEUED]


async def test_many_processes_lease_everything_once(box: Box) -> None:
    for _ in range(20):
        await box.put(*(f"person{number}@far.example" for number in range(25)))
    seen: Counter[tuple[int, int]] = Counter()

    async def work() -> None:
        while leased := await box.lease(room=random.randint(1, 40)):
            seen.update((each.message.id, each.ordinal) for each in leased)
            await box.settle(*(delivered(each) for each in leased))

    await asyncio.gather(*(work() for _ in range(4)))
    assert len(seen) == 500
    assert set(seen.values()) == {1}
    await outgoing_acts.forget_orphans(box.database)
    assert await box.listed() == []


async def test_a_message_whose_last_recipients_ended_at_once_is_forgotten_by_upkeep(
    box: Box, services: RunningServices
) -> None:
    outgoing_id = await box.put("bob@far.example")
    with owner_connection(services) as owner:
        owner.execute("DELETE FROM outgoing_recipient WHERE outgoing_id = %s", [outgoing_id])
    assert await outgoing_acts.forget_orphans(box.database) >= 1
    with owner_connection(services) as owner:
        for table, column in (("outgoing", "id"), ("outgoing_content", "outgoing_id")):
            left = owner.execute(f"SELECT count(*) FROM {table} WHERE {column} = %s".encode(), [outgoing_id])  # noqa: S608
            assert left.fetchone() == (0,)


@pytest.mark.parametrize("octets", [0, 1, 1_048_576, 1_048_577, 3_000_000])
async def test_octets_come_back_as_they_were(box: Box, octets: int) -> None:
    content = random.Random(octets).randbytes(octets)
    await box.put("bob@far.example", octets=content)
    (bob,) = await box.lease()
    keys = await box.store.keys.of(box.tenant_id)
    chunks = [await read_chunk(box.database, keys, bob.message, n) for n in range(last_chunk(octets) + 1)]
    assert b"".join(chunks) == content


async def test_content_is_sealed_and_swapped_chunks_are_noticed(box: Box, services: RunningServices) -> None:
    octets = b"Subject: plain\r\n\r\n" + b"secret words " * 200_000
    outgoing_id = await box.put("bob@far.example", octets=octets)
    (bob,) = await box.lease()
    with owner_connection(services) as owner:
        rows = owner.execute("SELECT sealed FROM outgoing_content WHERE outgoing_id = %s", [outgoing_id]).fetchall()
        assert len(rows) == 3
        assert not any(b"secret words" in bytes(row[0]) for row in rows)  # type: ignore[arg-type]
        owner.execute(
            "UPDATE outgoing_content SET sealed = (SELECT sealed FROM outgoing_content WHERE outgoing_id = %(id)s"
            " AND chunk = 1) WHERE outgoing_id = %(id)s AND chunk = 0",
            {"id": outgoing_id},
        )
    keys = await box.store.keys.of(box.tenant_id)
    with pytest.raises(ContentDamaged):
        await read_chunk(box.database, keys, bob.message, 0)


async def test_what_is_queued_with_a_lease_leaves_only_when_let_go(box: Box) -> None:
    outgoing_id = await box.put("bob@far.example", lease_s=60.0)
    assert await box.lease() == []
    await outbox.let_go(box.database, box.tenant_id, outgoing_id)
    assert len(await box.lease()) == 1


async def test_what_is_withdrawn_is_gone_and_counts_for_no_limit(box: Box) -> None:
    limits = SendingLimits(2, 2, 2, 2)
    outgoing_id = await box.put("bob@far.example", "cat@far.example", limits=limits, lease_s=60.0)
    await outbox.withdraw(box.database, box.tenant_id, outgoing_id)
    assert await box.listed() == []
    await box.put("bob@far.example", "cat@far.example", limits=limits)


# -- limits


@pytest.mark.parametrize(
    ("limits", "hours", "is_tenants"),
    [
        (SendingLimits(3, 9, 9, 9), 1, False),
        (SendingLimits(9, 3, 9, 9), 24, False),
        (SendingLimits(9, 9, 3, 9), 1, True),
        (SendingLimits(9, 9, 9, 3), 24, True),
    ],
)
async def test_recipients_are_counted_against_each_limit(
    box: Box, limits: SendingLimits, hours: int, is_tenants: bool
) -> None:
    await box.put("a@far.example", "b@far.example", limits=limits)
    await box.put("c@far.example", limits=limits)
    with pytest.raises(SendingLimitReached) as refused:
        await box.put("d@far.example", limits=limits)
    assert (refused.value.limit_recipients, refused.value.hours, refused.value.is_tenants) == (3, hours, is_tenants)
    assert len(await box.listed()) == 3


async def test_one_persons_limit_is_not_anothers_but_the_tenants_is_everybodys(box: Box) -> None:
    limits = SendingLimits(1, 1, 2, 2)
    await box.put("a@far.example", limits=limits)
    await box.put("b@far.example", limits=limits, account_id=AccountId(78))
    with pytest.raises(SendingLimitReached) as refused:
        await box.put("c@far.example", limits=limits, account_id=AccountId(79))
    assert refused.value.is_tenants
    await box.put("d@far.example", limits=limits, account_id=None)


async def test_messages_queued_together_are_judged_each_alone_where_they_would_pass_a_limit(box: Box) -> None:
    limits = SendingLimits(2, 2, 9, 9)
    bob = AccountId(78)
    wanted = [(ANN, 2), (ANN, 1), (bob, 1), (None, 5)]
    first, refused, third, fourth = await box.put_together(
        *[await box.message(account_id, count) for account_id, count in wanted], limits=limits
    )
    assert isinstance(refused, SendingLimitReached)
    assert (refused.limit_recipients, refused.hours, refused.is_tenants) == (2, 1, False)
    assert Counter(each.message.id for each in await box.lease()) == {first: 2, third: 1, fourth: 5}
    await box.put_together(await box.message(bob, 1), await box.message(None, 1), limits=limits)
    with pytest.raises(SendingLimitReached):
        await box.put("x@far.example", limits=limits, account_id=bob)


async def test_messages_queued_together_keep_their_own_envelopes_octets_and_holds(box: Box) -> None:
    bob = AccountId(78)
    await outgoing_acts.add_rule(box.database, box.tenant_id, bob, None)
    messages = [await box.message(account_id, count) for account_id, count in ((ANN, 3), (bob, 2), (ANN, 1))]
    first, _, third = await box.put_together(*messages)
    leased = await box.lease()
    assert Counter(each.message.id for each in leased) == {first: 3, third: 1}
    keys = await box.store.keys.of(box.tenant_id)
    for each in leased:
        sent = messages[0] if each.message.id == first else messages[2]
        assert each.address == sent.envelope.recipients[each.ordinal - 1].address
        assert each.message.reverse_path == sent.envelope.reverse_path
        assert await read_chunk(box.database, keys, each.message, 0) == sent.envelope.reverse_path.encode()
    assert [each.state for each in await box.listed(account_id=bob)] == [QueueState.HELD, QueueState.HELD]


async def test_the_last_hour_counts_by_what_of_it_is_within_sixty_minutes(box: Box, services: RunningServices) -> None:
    with owner_connection(services) as owner:
        owner.execute(
            "INSERT INTO sending_count (tenant_id, account_id, hour, shard, recipients)"
            " SELECT %s, %s, date_trunc('hour', now()) - interval '1 hour' * h, 0, 1000 FROM generate_series(1, 30) h",
            [box.tenant_id, ANN],
        )
        row = owner.execute(
            "SELECT s.in_hour, s.in_day, extract(epoch FROM now() - date_trunc('hour', now()))::float8"
            " FROM sent_recipients_v1(%s, %s) s",
            [box.tenant_id, ANN],
        ).fetchone()
    assert row is not None
    in_hour, in_day, seconds = row
    assert in_hour == pytest.approx(1000 * (1 - float(str(seconds)) / 3600), abs=2)
    assert in_day == 23_000


# -- holding


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


# -- reports


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


async def test_lanes_are_found_page_by_page_with_their_next_time(box: Box) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    await box.put("a@a.example", "b@b.example", "c@c.example", first_attempt_at=later)
    await box.put("b@b.example")
    lanes: list[str] = []
    after = Lane(box.tenant_id, "")
    for _ in range(3):
        (found,) = await outbox.find_lanes(box.database, after, 1)
        lanes.append(found.domain)
        after = Lane(after.tenant_id, found.domain)
    assert lanes == ["a.example", "b.example", "c.example"]
    due = await box.due()
    assert due["a.example"] == pytest.approx(later, abs=timedelta(seconds=1))
    assert due["b.example"] is not None
    assert due["b.example"] < later


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
