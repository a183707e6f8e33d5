"""An account in memory is what the database has, however it came to be known."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from mailserver.services import mailboxes
from mailserver.services.account_view import AccountView, Counts
from mailserver.services.account_views import AccountViews
from storage.epochs import start_epoch
from storage.store import MailStore
from storage.types import Mailbox, MailboxId, MessageId
from tests.account_deeds import Deeds
from tests.conftest import Company, plain_message
from tests.someone import ADD, DELETED, DRAFT, FLAGGED, REMOVE, SEEN, Someone

SEEDS = range(200 if os.environ.get("WAYPOST_SOAK") == "1" else 4)


@pytest.fixture
async def someone(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person())


def shown(view: AccountView) -> dict[str, Any]:
    """All that anybody can see of an account, in values that compare."""
    messages = [view.id_at(slot) for slot in view.everything]
    return {
        "order": messages,
        "states": {each.name: getattr(view.states, each.name) for each in fields(view.states)},
        "mailboxes": {each.id: (each.name, each.special_use, each.is_subscribed) for each in view.mailboxes.values()},
        "homes": {each: view.mailbox_ids_of(each) for each in messages},
        "flags": {each: view.flags_of(each) for each in messages},
        "keywords": {each: view.keywords_of(each) for each in messages},
        "threads": {thread: view.emails_of_thread(thread) for each in messages if (thread := view.thread_of(each))},
        "uids": {
            box: [(uid, view.id_at(slot)) for uid, slot in zip(contents.uids, contents.slots, strict=True)]
            for box, contents in view.boxes.items()
            if contents.uids
        },
        "orders": {box: [view.id_at(slot) for slot in each.order] for box, each in view.boxes.items() if each.order},
        "counts": {box: view.counts(box) for box in view.mailboxes},
    }


def counted(view: AccountView, box: MailboxId) -> Counts:
    """As RFC 8621 §2 words it, Email by Email."""
    here = [view.id_at(slot) for slot in view.everything if box in view.mailbox_ids_of(view.id_at(slot))]
    threads = {view.thread_of(each) for each in here}

    def is_unread(each: MessageId) -> bool:
        return not view.flags_of(each) & (SEEN | DRAFT)

    def counts_for(each: MessageId) -> bool:
        boxes = view.mailbox_ids_of(each)
        return view.trash in boxes if box == view.trash else boxes != (view.trash,)

    unread = [
        thread for thread in threads if thread and any(map(_both(is_unread, counts_for), view.emails_of_thread(thread)))
    ]
    return Counts(len(here), sum(map(is_unread, here)), len(threads), len(unread))


def _both(first: Callable[[MessageId], bool], second: Callable[[MessageId], bool]) -> Callable[[MessageId], bool]:
    return lambda each: first(each) and second(each)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_view_that_is_led_on_is_the_one_that_is_loaded(someone: Someone, store: MailStore, seed: int) -> None:
    views = AccountViews(store)
    deeds = Deeds(someone, seed)
    for _ in range(12):
        await deeds.some(4)
        led_on, loaded = await views.of(someone.who), await AccountViews(store).of(someone.who)
        assert shown(led_on) == shown(loaded)
        assert {box: led_on.counts(box) for box in led_on.mailboxes} == {
            box: counted(led_on, box) for box in led_on.mailboxes
        }


async def test_whoever_reads_while_others_write_sees_every_moment_in_its_order(
    someone: Someone, store: MailStore
) -> None:
    views = AccountViews(store)
    writers = [asyncio.create_task(Deeds(someone, 500 + number).some(25)) for number in range(3)]

    async def read() -> None:
        before = await views.of(someone.who)
        while not all(writer.done() for writer in writers):
            view = await views.of(someone.who)
            assert view.modseq >= before.modseq
            assert len(view.everything) == len(set(view.everything))
            before = view

    await asyncio.gather(*writers, read(), read(), read())
    assert shown(await views.of(someone.who)) == shown(await AccountViews(store).of(someone.who))


async def test_an_old_picture_stays_as_it_was(someone: Someone, store: MailStore) -> None:
    views, deeds = AccountViews(store), Deeds(someone, 99)
    kept: list[tuple[AccountView, dict[str, Any]]] = []
    for _ in range(10):
        await deeds.some(3)
        view = await views.of(someone.who)
        kept.append((view, shown(view)))
    assert all(shown(view) == before for view, before in kept)


async def test_nothing_that_happened_is_nothing_new(someone: Someone, store: MailStore) -> None:
    await someone.receive()
    views = AccountViews(store)
    assert await views.of(someone.who) is await views.of(someone.who)


async def test_two_people_who_load_one_account_share_it(someone: Someone, store: MailStore) -> None:
    views = AccountViews(store)
    first, second = await asyncio.gather(views.of(someone.who), views.of(someone.who))
    assert first is second


async def test_who_asks_after_a_change_sees_it_though_an_older_question_is_on_its_way(
    someone: Someone, store: MailStore
) -> None:
    views = AccountViews(store)
    for number in range(5):
        asked = asyncio.create_task(views.of(someone.who))
        await asyncio.sleep(0)
        placed = await someone.receive(plain_message(number))
        assert (await views.of(someone.who)).is_shown(placed.message_id)
        await asked


async def test_a_message_with_deleted_is_not_shown_until_it_is_undeleted(someone: Someone, store: MailStore) -> None:
    """RFC 8621 §4.1.1"""
    views = AccountViews(store)
    placed = await someone.receive()
    assert (await views.of(someone.who)).is_shown(placed.message_id)
    await someone.flag("INBOX", [placed.uid], ADD, DELETED)
    view = await views.of(someone.who)
    assert not view.is_shown(placed.message_id)
    assert view.counts(placed.mailbox_id) == Counts()
    await someone.flag("INBOX", [placed.uid], REMOVE, DELETED)
    view = await views.of(someone.who)
    assert view.mailbox_ids_of(placed.message_id) == (placed.mailbox_id,)
    assert view.counts(placed.mailbox_id) == Counts(1, 1, 1, 1)


async def test_what_is_in_the_trash_counts_as_in_a_thread_of_its_own(someone: Someone, store: MailStore) -> None:
    """The example of RFC 8621 §2: an unread Email in the trash and a read one in the inbox, of one Thread."""
    first = await someone.receive(plain_message(1))
    second = await someone.receive(plain_message(2, in_reply_to="<1@elsewhere.test>"))
    await someone.flag("INBOX", [first.uid], ADD, SEEN)
    await someone.move("INBOX", [second.uid], "Trash")
    view = await AccountViews(store).of(someone.who)
    boxes = {box.name: view.counts(box.id) for box in view.mailboxes.values()}
    assert boxes["INBOX"] == Counts(1, 0, 1, 0)
    assert boxes["Trash"] == Counts(1, 1, 1, 1)


async def test_a_flag_that_counts_for_nothing_moves_emails_alone(someone: Someone, store: MailStore) -> None:
    views = AccountViews(store)
    placed = await someone.receive()
    before = (await views.of(someone.who)).states
    await someone.flag("INBOX", [placed.uid], ADD, FLAGGED)
    after = (await views.of(someone.who)).states
    assert after.email > before.email
    assert (after.thread, after.mailbox) == (before.thread, before.mailbox)


async def test_hiding_a_message_moves_every_type(someone: Someone, store: MailStore) -> None:
    views = AccountViews(store)
    placed = await someone.receive()
    before = (await views.of(someone.who)).states
    await someone.flag("INBOX", [placed.uid], ADD, DELETED)
    after = (await views.of(someone.who)).states
    assert after.email == after.thread == after.mailbox > before.mailbox


async def test_a_new_epoch_begins_anew(someone: Someone, store: MailStore) -> None:
    views = AccountViews(store)
    await someone.receive()
    before = await views.of(someone.who)
    async with store.database.transaction(someone.who.tenant_id) as connection:
        await start_epoch(connection, someone.who.tenant_id, someone.who.account_id)
    after = await views.of(someone.who)
    assert after.epoch == before.epoch + 1
    assert after.states.email > before.states.email
    assert shown(after)["homes"] == shown(before)["homes"]


async def test_of_a_log_that_was_cut_nothing_is_told_from_before(someone: Someone, store: MailStore) -> None:
    views = AccountViews(store)
    before = await views.of(someone.who)
    for number in range(4):
        await someone.receive(plain_message(number))
    loaded = await AccountViews(store).of(someone.who)
    async with store.database.transaction(someone.who.tenant_id) as connection:
        await connection.execute(
            "UPDATE account_state SET oldest_modseq = modseq - 1 WHERE tenant_id = %s AND account_id = %s",
            (someone.who.tenant_id, someone.who.account_id),
        )
    assert await AccountViews(store).log(someone.who, loaded, before.modseq + 1) is None
    assert len(await AccountViews(store).log(someone.who, loaded, loaded.modseq - 1) or ()) == 2
    after = await views.of(someone.who)
    assert after.states.floor == loaded.modseq - 2
    assert (await views.of(someone.who)).states == (await AccountViews(store).of(someone.who)).states


async def test_a_mailbox_that_is_renamed_and_one_that_is_made_are_seen(someone: Someone, store: MailStore) -> None:
    views = AccountViews(store)
    made = await mailboxes.create(store, someone.who, "Work/Old")
    assert names((await views.of(someone.who)).mailboxes)[made.id] == "Work/Old"
    await mailboxes.rename(store, someone.who, "Work", "Play")
    assert names((await views.of(someone.who)).mailboxes)[made.id] == "Play/Old"


def names(found: Any) -> dict[MailboxId, str]:
    boxes: list[Mailbox] = list(found.values())
    return {box.id: box.name for box in boxes}


async def test_accounts_beyond_the_limit_are_forgotten(store: MailStore, company: Company) -> None:
    views = AccountViews(store, limit_octets=20_000)
    people = [await company.person() for _ in range(6)]
    first = await views.of(people[0])
    assert await views.of(people[0]) is first
    for who in people[1:]:
        await views.of(who)
    assert await views.of(people[0]) is not first


async def test_what_is_kept_of_the_log_counts_against_the_limit(
    someone: Someone, store: MailStore, company: Company
) -> None:
    async def flag_often() -> None:
        for _ in range(50):
            await someone.flag("INBOX", [placed.uid], ADD, FLAGGED)
            await someone.flag("INBOX", [placed.uid], REMOVE, FLAGGED)

    placed = await someone.receive()
    views = AccountViews(store, limit_octets=40_000)
    other = await company.person()
    before, first = await views.of(someone.who), await views.of(other)
    await flag_often()
    view = await views.of(someone.who)
    assert len(view.recent) == 100
    assert await views.of(other) is not first

    views = AccountViews(store, limit_octets=40_000)
    first, view = await views.of(other), await views.of(someone.who)
    logged = await views.log(someone.who, view, before.modseq + 1)
    assert logged is not None
    assert len(logged) == 100
    assert await views.of(other) is not first


async def test_of_a_message_in_many_mailboxes_no_sets_on_the_way_there_are_kept(
    someone: Someone, store: MailStore
) -> None:
    placed = await someone.receive()
    views = AccountViews(store)
    await views.of(someone.who)
    for name in ("Archive", "Drafts", "Trash"):
        await someone.copy("INBOX", [placed.uid], name)
    for each in (views, AccountViews(store)):
        view = await each.of(someone.who)
        assert len(view.mailbox_ids_of(placed.message_id)) == 4
        assert [len(mailboxes) for mailboxes in view.homes.sets if len(mailboxes) > 1] == [4]


async def test_an_account_that_was_never_seen_gets_its_first_mailboxes(store: MailStore, company: Company) -> None:
    who = await company.person()
    view = await AccountViews(store).of(who)
    assert {box.name for box in view.mailboxes.values()} >= {"INBOX", "Trash"}
