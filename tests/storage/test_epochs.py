"""After a restore nothing that clients saw of the lost time is given out again, and whoever asks gets what is there."""

import re
from collections.abc import AsyncIterator

import psycopg
import pytest

from storage.epochs import (
    MAIL_ID_LEAP,
    MODSEQ_LEAP,
    UID_LEAP,
    AccountAt,
    Epoch,
    Lost,
    LostTime,
    NotTheSameMail,
    leap_ids,
    start_epoch,
)
from storage.store import MailStore
from storage.types import Modseq, Uid
from tests.conftest import Company, RunningServices, plain_message
from tests.someone import ADD, DELETED, FLAGGED, SEEN, Someone, flags
from tests.storage.statements import STATEMENTS, numbered, parameters, title

Owner = psycopg.AsyncConnection[tuple[object, ...]]


@pytest.fixture
async def ada(store: MailStore, company: Company) -> Someone:
    someone = Someone(store, await company.person("ada"))
    for number in range(1, 6):
        await someone.receive(plain_message(number))
    await someone.flag("INBOX", [2], ADD, SEEN, "work")
    return someone


@pytest.fixture
async def owner(services: RunningServices) -> AsyncIterator[Owner]:
    async with await psycopg.AsyncConnection.connect(services.owner_url, autocommit=True) as connection:
        yield connection


async def begin(ada: Someone, lost: Lost | None = None) -> Epoch:
    async with ada.store.database.read(ada.who.tenant_id) as connection:
        started = await start_epoch(connection, ada.who.tenant_id, ada.who.account_id, lost)
    assert started is not None
    return started


async def standing(ada: Someone) -> AccountAt:
    shown = await ada.contents()
    return AccountAt(ada.who.tenant_id, ada.who.account_id, shown.epoch, shown.account_modseq)


async def lost_since(owner: Owner, then: AccountAt) -> Lost:
    return (await LostTime(owner).of([then]))[then.tenant_id, then.account_id]


async def test_numbers_leap_and_messages_stay(ada: Someone) -> None:
    before, box, shown = await standing(ada), await ada.box(), await ada.flags_of()
    started = await begin(ada)
    assert started.epoch == before.epoch + 1
    assert started.modseq == before.modseq + MODSEQ_LEAP
    assert started.mailboxes == len(await ada.names())
    after = await ada.box()
    assert (after.uidnext, after.uidvalidity) == (box.uidnext + UID_LEAP, box.uidvalidity)
    assert after.modseq == started.modseq
    assert await ada.flags_of() == shown
    assert (await ada.receive()).uid == box.uidnext + UID_LEAP
    assert await ada.uids() == [1, 2, 3, 4, 5, box.uidnext + UID_LEAP]


async def test_a_mailbox_made_later_has_a_uidvalidity_that_the_lost_time_did_not_use(ada: Someone) -> None:
    await ada.append("INBOX", plain_message(9))
    before = max([(await ada.box(name)).uidvalidity for name in await ada.names()])
    await begin(ada)
    async with ada.store.database.read(ada.who.tenant_id) as connection:
        rows = await connection.execute(
            "SELECT next_uidvalidity FROM account_state WHERE tenant_id = %s AND account_id = %s",
            (ada.who.tenant_id, ada.who.account_id),
        )
        assert await rows.fetchone() == (before + 1 + UID_LEAP,)


@pytest.mark.parametrize("ahead", [-3, 0, 1, 1_000_000])
async def test_who_asks_from_before_or_from_the_lost_time_is_not_answered_from_the_log(
    ada: Someone, ahead: int
) -> None:
    cursor = Modseq((await standing(ada)).modseq + ahead)
    started = await begin(ada)
    assert not (await ada.changes("INBOX", cursor)).is_complete
    assert not (await ada.changes("INBOX", Modseq(started.modseq - 1))).is_complete


async def test_every_message_bears_the_new_modseq(ada: Someone) -> None:
    started = await begin(ada)
    assert {row.modseq for row in await ada.rows()} == {started.modseq}


async def test_from_the_new_epoch_on_the_log_answers(ada: Someone) -> None:
    started = await begin(ada)
    assert (await ada.changes("INBOX", started.modseq)).highest_modseq is None
    await ada.flag("INBOX", [3], ADD, FLAGGED)
    found = await ada.changes("INBOX", started.modseq)
    assert found.is_complete
    assert [(uid, now) for uid, now, _ in found.changed] == [(3, flags(FLAGGED))]
    assert not found.expunged
    assert not found.arrived


async def test_what_the_lost_time_removed_comes_again_with_new_uids(ada: Someone) -> None:
    box, octets = await ada.box(), await ada.octets()
    started = await begin(ada, Lost([(box.id, Uid(2)), (box.id, Uid(4)), (box.id, Uid(77))]))
    first = box.uidnext + UID_LEAP
    assert started.renumbered == 2
    assert await ada.uids() == [1, 3, 5, first, first + 1]
    assert (await ada.flags_of())[first] == flags(SEEN, "work")
    assert await ada.octets() == [octets[place] for place in (0, 2, 4, 1, 3)]
    assert (await ada.box()).uidnext == first + 2
    assert (await ada.box()).messages == 5


async def test_where_nobody_knows_every_mailbox_gets_a_uidvalidity_of_its_own(ada: Someone) -> None:
    names = await ada.names()
    before = [(await ada.box(name)).uidvalidity for name in names]
    await begin(ada, Lost(is_known=False))
    after = [(await ada.box(name)).uidvalidity for name in names]
    assert len(set(after)) == len(names)
    assert min(after) > max(before) + UID_LEAP - 1
    assert await ada.uids() == [1, 2, 3, 4, 5]


async def test_a_mailbox_at_the_end_of_its_uids_gets_a_new_uidvalidity_instead(ada: Someone, owner: Owner) -> None:
    near = 2**32 - UID_LEAP
    box = await ada.box()
    await owner.execute("UPDATE mailbox SET uidnext = %s WHERE id = %s", (near, box.id))
    await begin(ada)
    after = await ada.box()
    assert after.uidnext == near
    assert after.uidvalidity > box.uidvalidity


async def test_the_database_that_went_on_says_what_was_removed(ada: Someone, owner: Owner) -> None:
    then, box = await standing(ada), await ada.box()
    await ada.receive(plain_message(6))
    await ada.flag("INBOX", [2, 6], ADD, DELETED)
    await ada.expunge()
    await ada.move("INBOX", [4], "Archive")
    assert (await lost_since(owner, then)).is_known
    assert set((await lost_since(owner, then)).removed) == {(box.id, 2), (box.id, 4), (box.id, 6)}
    now = await standing(ada)
    assert await lost_since(owner, now) == Lost([], is_known=True)


async def test_a_log_that_was_cut_since_does_not_say_it(ada: Someone, owner: Owner) -> None:
    then = await standing(ada)
    await owner.execute(
        "UPDATE account_state SET oldest_modseq = modseq + 2, modseq = modseq + 2 WHERE account_id = %s",
        (ada.who.account_id,),
    )
    assert not (await lost_since(owner, then)).is_known


async def test_more_uids_than_the_leap_are_not_given_out_again(ada: Someone, owner: Owner) -> None:
    then, box = await standing(ada), await ada.box()
    await ada.receive(plain_message(6))
    await owner.execute("UPDATE mailbox SET uidnext = uidnext + %s WHERE id = %s", (UID_LEAP, box.id))
    await ada.receive(plain_message(7))
    assert not (await lost_since(owner, then)).is_known


async def test_a_database_that_stands_before_ours_is_no_later_one(ada: Someone, owner: Owner) -> None:
    now = await standing(ada)
    with pytest.raises(NotTheSameMail):
        await lost_since(owner, AccountAt(now.tenant_id, now.account_id, now.epoch, now.modseq + 1))
    with pytest.raises(NotTheSameMail):
        await lost_since(owner, AccountAt(now.tenant_id, now.account_id, now.epoch - 1, now.modseq))


async def test_ids_leap(ada: Someone, owner: Owner) -> None:
    before = (await ada.receive(plain_message(6))).message_id
    await leap_ids(owner)
    after = (await ada.receive(plain_message(7))).message_id
    assert after > before + MAIL_ID_LEAP


def test_no_statement_takes_a_modseq_or_an_id_for_a_small_number(services: RunningServices) -> None:
    """`%(modseq)s + 1` makes an integer of it, which is too small after an epoch or two thousand million changes."""
    small = []
    with psycopg.connect(services.app_url) as connection:
        for query in STATEMENTS:
            if query.role != "waypost_app":
                continue
            connection.pgconn.prepare(b"", numbered(query))
            described = connection.pgconn.describe_prepared(b"")
            for at, name in enumerate(parameters(query)):
                is_large = re.search(r"modseq|uid|(tenant|account|mailbox|message|object|blob|thread)_id", name)
                if is_large and described.param_type(at) in (21, 23):
                    small.append((name, title(query)))
            connection.rollback()
    assert not small
