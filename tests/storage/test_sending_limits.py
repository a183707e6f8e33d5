"""What people and tenants may send: every limit binds, together and alone."""

from collections import Counter

import pytest

from storage import outgoing_acts
from storage.errors import SendingLimitReached
from storage.outgoing_content import read_chunk
from storage.outgoing_enqueue import SendingLimits
from storage.outgoing_types import (
    QueueState,
)
from tenants.types import AccountId
from tests.conftest import RunningServices, owner_connection
from tests.storage.queue_box import ANN, Box


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
