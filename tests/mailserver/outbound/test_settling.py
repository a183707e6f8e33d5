"""The ends of attempts reach the queue, also beside one that cannot be written."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from mailserver.outbound.settling import Settler
from storage import outbox, outgoing_enqueue, outgoing_lists
from storage.outgoing_acts import Chosen
from storage.outgoing_enqueue import SendingLimits
from storage.outgoing_types import Ending, Envelope, Lane, LastReply, QueuedRecipient, Settlement, Submitter
from storage.store import MailStore
from tests.conftest import Company, plain_message


async def test_one_end_that_postgres_will_not_have_keeps_no_other_from_being_written(
    store: MailStore, company: Company
) -> None:
    await outgoing_enqueue.enqueue(
        store.database,
        await store.keys.of(company.tenant_id),
        Submitter(company.tenant_id, None),
        Envelope("ann@a.test", tuple(QueuedRecipient(f"{name}@far.example") for name in ("bob", "cat", "dan"))),
        memoryview(plain_message()),
        queued_at=datetime.now(UTC),
        limits=SendingLimits(9, 9, 9, 9),
    )
    bob, cat, dan = sorted(
        await outbox.lease(store.database, {Lane(company.tenant_id, "far.example"): 9}, lease_s=60),
        key=lambda each: each.ordinal,
    )
    taken = LastReply(250, "2.0.0", "Taken", "mx")
    beyond_smallint = replace(taken, code=99_999)
    written: list[Settlement] = []

    def on_settled(settlements: Sequence[Settlement]) -> None:
        written.extend(settlements)

    settler = Settler(store.database, report_wait_s=0.0, on_settled=on_settled)
    settler.put([Settlement(bob, Ending.DELIVERED, taken), Settlement(cat, Ending.HELD, beyond_smallint)])
    settler.put([Settlement(dan, Ending.DELIVERED, taken)])
    settler.start()
    await settler.close(5.0)
    assert [each.recipient.address for each in written] == ["bob@far.example", "cat@far.example", "dan@far.example"]
    rows = await outgoing_lists.list_recipients(store.database, Chosen(company.tenant_id), 10)
    assert [row.address for row in rows] == ["cat@far.example"]
