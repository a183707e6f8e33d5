"""The queue: what is put in comes out once, and leases fence."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from storage import outbox, outgoing_acts
from storage.errors import ContentDamaged, MessageGone
from storage.outgoing_content import last_chunk, read_chunk
from storage.outgoing_enqueue import SendingLimits
from storage.outgoing_types import (
    Ending,
    EventKind,
    Lane,
    LastReply,
    Notify,
    Settlement,
)
from tests.conftest import RunningServices, owner_connection
from tests.storage.queue_box import LEASE_S, Box, deferred, delivered


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
