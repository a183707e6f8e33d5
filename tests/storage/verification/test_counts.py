"""Counts that are wrong are put right under the account's lock, as a change that sessions see."""

import asyncio

import pytest

from storage.types import Modseq
from storage.verification.findings import Kind
from tests.conftest import Announcements, plain_message
from tests.someone import ADD, DELETED, SEEN, Someone
from tests.storage.verification.damage import Damager

COUNTS = frozenset({"counts"})


async def fill(ada: Someone) -> None:
    for number in range(5):
        await ada.receive(plain_message(number, body="x" * number))
    await ada.flag("INBOX", [1, 2], ADD, SEEN)
    await ada.flag("INBOX", [2, 3], ADD, DELETED)
    await ada.append("Sent", plain_message(9), SEEN)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        ("UPDATE account_state SET used_octets = used_octets + 1", Kind.ACCOUNT_COUNTS),
        ("UPDATE account_state SET used_messages = 0", Kind.ACCOUNT_COUNTS),
        ("UPDATE account_state SET binned_octets = 7", Kind.ACCOUNT_COUNTS),
        ("UPDATE mailbox SET messages = messages + 1", Kind.MAILBOX_COUNTS),
        ("UPDATE mailbox SET unseen = 2", Kind.MAILBOX_COUNTS),
        ("UPDATE mailbox SET deleted = deleted + 1", Kind.MAILBOX_COUNTS),
        ("UPDATE mailbox SET octets = octets + 1", Kind.MAILBOX_COUNTS),
        ("UPDATE mailbox SET uidnext = 5", Kind.MAILBOX_UIDNEXT),
        ("UPDATE mailbox SET modseq = 1", Kind.MAILBOX_MODSEQ),
        ("UPDATE account_state SET modseq = 2", Kind.ACCOUNT_MODSEQ),
        ("UPDATE account_state SET next_uidvalidity = 2", Kind.ACCOUNT_UIDVALIDITY),
    ],
)
async def test_a_wrong_count_is_put_right(
    ada: Someone, damager: Damager, announcements: Announcements, damage: str, kind: Kind
) -> None:
    await fill(ada)
    assert (await damager.look()).findings == []
    before = await ada.box()
    (highest,) = (await damager.sql("SELECT modseq FROM account_state WHERE tenant_id = {t}"))[0]
    only = " AND name = 'INBOX'" if "mailbox" in damage else ""
    await damager.sql(f"{damage} WHERE tenant_id = {{t}}{only}")
    looked = await damager.look(parts=COUNTS, repairs_counts=False)
    assert [(each.kind, each.is_repaired) for each in looked.findings] == [(kind, False)]
    announcements.heard.clear()

    looked = await damager.look(parts=COUNTS)
    assert [(each.kind, each.is_repaired) for each in looked.findings] == [(kind, True)]
    after = await ada.box()
    assert (after.messages, after.unseen, after.deleted, after.octets) == (
        before.messages,
        before.unseen,
        before.deleted,
        before.octets,
    )
    assert after.uidnext == before.uidnext
    assert announcements.heard == [(ada.who.tenant_id, ada.who.account_id, Modseq(highest + 1))]
    if kind.name.startswith("MAILBOX"):
        changes = await ada.changes("INBOX", Modseq(highest))
        assert changes.highest_modseq == highest + 1
    assert (await damager.look()).findings == []
    assert (await ada.receive(plain_message(77))).uid == before.uidnext


async def test_what_waits_in_the_bin_counts_by_itself(ada: Someone, damager: Damager) -> None:
    await fill(ada)
    await ada.expunge()
    assert (await damager.look()).findings == []
    state = "SELECT used_messages, binned_messages, binned_octets FROM account_state WHERE tenant_id = {t}"
    before = await damager.sql(state)
    await damager.sql(
        "UPDATE account_state SET used_messages = 6, binned_messages = 0, binned_octets = 0 WHERE tenant_id = {t}"
    )
    assert (await damager.look()).kinds == [Kind.ACCOUNT_COUNTS]
    assert await damager.sql(state) == before
    assert before[0][:2] == (4, 2)


async def test_a_placement_whose_message_is_gone_is_told_of(ada: Someone, damager: Damager) -> None:
    await fill(ada)
    await damager.sql("DELETE FROM message WHERE tenant_id = {t} AND preview = %s", "xx")
    looked = await damager.look()
    assert Kind.PLACEMENT_WITHOUT_MESSAGE in looked.kinds
    assert Kind.BLOB_USE_WITHOUT_MESSAGE not in looked.kinds, "its placement says whose it is"
    left = [each.kind for each in (await damager.look()).findings]
    assert left == [Kind.PLACEMENT_WITHOUT_MESSAGE]


async def test_counting_beside_deliveries_and_expunges_tells_of_nothing(ada: Someone, damager: Damager) -> None:
    is_over = False

    async def be_busy(first: int) -> None:
        number = first
        while not is_over:
            number += 1
            placed = await ada.receive(plain_message(number, body=f"{number}"))
            if number % 3 == 0:
                await ada.flag("INBOX", [placed.uid], ADD, DELETED)
                await ada.expunge()
            if number % 7 == 0:
                await ada.empty_bin()

    busy = [asyncio.create_task(be_busy(at * 100_000)) for at in range(4)]
    found = [each for _ in range(5) for each in (await damager.look(rebuilds=True)).findings]
    is_over = True
    await asyncio.gather(*busy)
    assert found == []
