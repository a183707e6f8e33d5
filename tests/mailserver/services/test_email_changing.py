"""Emails changed by their ids: what becomes of placements, counts, the log and the bin (RFC 8621 §4.6)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mailserver.services import messages
from mailserver.services.appending import prepare
from mailserver.services.email_changing import (
    AccountMoved,
    EmailChange,
    NewEmail,
    Refused,
    add_email,
    change_emails,
    decide,
)
from storage import recoverable
from storage.errors import MailboxNotFound, OverQuota, TooManyKeywords
from storage.rearranging import Placement, Rearrangement
from storage.store import MailStore
from storage.types import MailboxId, MessageId, Uid
from tests.conftest import Announcements, Company, plain_message
from tests.someone import ADD, DELETED, DRAFT, FLAGGED, SEEN, Someone, flags


async def change(who: Someone, *messages: Any, superseded: tuple[MessageId, ...] = (), **what: Any) -> Any:
    changes = [EmailChange(MessageId(getattr(each, "message_id", each)), **what) for each in messages]
    return await change_emails(who.store, who.who, changes, superseded=superseded)


async def counts(who: Someone, name: str) -> tuple[int, int, int, int]:
    box = await who.box(name)
    return box.messages, box.unseen, box.deleted, box.octets


async def binned(who: Someone) -> list[MessageId]:
    async with who.store.database.transaction(who.who.tenant_id) as connection:
        found = await recoverable.oldest(connection, who.who.tenant_id, who.who.account_id, limit=100)
    return [message_id for message_id, _ in found]


async def test_flags_change_in_every_mailbox_at_one_modseq(ada: Someone, announcements: Announcements) -> None:
    one, two = await ada.receive(), await ada.receive(plain_message(2))
    await ada.copy("INBOX", [one.uid], "Archive")
    changed = await change(ada, one, two, add_flags=SEEN | FLAGGED, add_keywords=frozenset({"work"}))
    assert changed.refused == {}
    assert len(changed.modseqs) == 1
    assert announcements.heard[-1][2] == changed.modseqs[0]
    expected = flags(SEEN, FLAGGED, "work")
    assert await ada.flags_of("INBOX") == {one.uid: expected, two.uid: expected}
    assert list((await ada.flags_of("Archive")).values()) == [expected]
    assert (await counts(ada, "INBOX"))[:2] == (2, 0)
    assert (await ada.box("Archive")).modseq == (await ada.box("INBOX")).modseq == changed.modseqs[0]
    since = await ada.changes("INBOX", type(changed.modseqs[0])(changed.modseqs[0] - 1))
    assert [uid for uid, _, _ in since.changed] == [one.uid, two.uid]


async def test_what_changes_nothing_takes_no_modseq(ada: Someone) -> None:
    one = await ada.receive()
    changed = await change(ada, one, remove_flags=FLAGGED, remove_keywords=frozenset({"work"}))
    assert (changed.refused, changed.modseqs) == ({}, [])


async def test_keywords_keep_their_spelling_and_know_no_case(ada: Someone) -> None:
    one = await ada.receive()
    await ada.flag("INBOX", [one.uid], ADD, "Work", "Home")
    await change(ada, one, keywords=frozenset({"work", "new"}))
    assert (await ada.flags_of())[one.uid] == flags("Work", "new")
    await change(ada, one, remove_keywords=frozenset({"work"}))
    assert (await ada.flags_of())[one.uid] == flags("new")


async def test_a_message_moves_with_its_id_and_flags(ada: Someone) -> None:
    one = await ada.receive()
    await ada.flag("INBOX", [one.uid], ADD, FLAGGED, "work")
    inbox, archive = await ada.box("INBOX"), await ada.box("Archive")
    whole = await counts(ada, "INBOX")
    await change(ada, one, remove_mailboxes=frozenset({inbox.id}), add_mailboxes=frozenset({archive.id}))
    assert await counts(ada, "INBOX") == (0, 0, 0, 0)
    assert await counts(ada, "Archive") == whole
    assert await ada.flags_of("Archive") == {1: flags(FLAGGED, "work")}
    assert [row.message_id for row in await ada.rows("Archive")] == [one.message_id]
    assert await binned(ada) == []


async def test_mailboxes_are_replaced_as_a_whole(ada: Someone) -> None:
    one = await ada.receive()
    wanted = frozenset({(await ada.box("Archive")).id, (await ada.box("Trash")).id})
    await change(ada, one, mailboxes=wanted, add_flags=SEEN)
    assert (await ada.uids("INBOX"), await ada.uids("Archive"), await ada.uids("Trash")) == ([], [1], [1])
    assert await ada.flags_of("Trash") == {1: flags(SEEN)}
    assert (await ada.usage()).used_messages == 1


async def test_nothing_is_left_without_a_mailbox(ada: Someone, company: Company, store: MailStore) -> None:
    one = await ada.receive()
    inbox = (await ada.box("INBOX")).id
    bob = Someone(store, await company.person("bob"))
    theirs = (await bob.box("INBOX")).id
    refusals = [
        (await change(ada, one, remove_mailboxes=frozenset({inbox}), add_flags=SEEN)).refused,
        (await change(ada, one, mailboxes=frozenset({theirs}), add_flags=SEEN)).refused,
        (await change(ada, one, add_mailboxes=frozenset({MailboxId(5)}), add_flags=SEEN)).refused,
        (await change(ada, one, add_keywords=frozenset(f"k{n}" for n in range(101)))).refused,
        (await change(bob, one, add_flags=SEEN)).refused,
        (await change(bob, one, is_destroyed=True)).refused,
    ]
    assert [next(iter(each.values())) for each in refusals] == [
        Refused.NO_MAILBOX,
        Refused.MAILBOX_NOT_FOUND,
        Refused.MAILBOX_NOT_FOUND,
        Refused.TOO_MANY_KEYWORDS,
        Refused.NOT_FOUND,
        Refused.NOT_FOUND,
    ]
    assert await ada.flags_of() == {one.uid: flags()}


async def test_one_that_is_refused_leaves_the_others_their_change(ada: Someone) -> None:
    one = await ada.receive()
    changed = await change(ada, one, MessageId(5), add_flags=SEEN)
    assert changed.refused == {MessageId(5): Refused.NOT_FOUND}
    assert await ada.flags_of() == {one.uid: flags(SEEN)}


async def test_what_is_destroyed_leaves_every_mailbox_for_the_bin(ada: Someone) -> None:
    one = await ada.receive()
    await ada.copy("INBOX", [one.uid], "Archive")
    await change(ada, one, is_destroyed=True)
    assert await counts(ada, "INBOX") == await counts(ada, "Archive") == (0, 0, 0, 0)
    assert await binned(ada) == [one.message_id]
    usage = await ada.usage()
    assert (usage.used_messages, usage.used_octets) == (0, 0)
    assert await ada.empty_bin() == 1


async def test_a_superseded_draft_is_not_kept(ada: Someone) -> None:
    one = await ada.append("Drafts", plain_message(1), DRAFT)
    two = await ada.append("Drafts", plain_message(2), DRAFT)
    await change(ada, one, two, is_destroyed=True, superseded=(one.message_id,))
    assert await binned(ada) == [two.message_id]
    assert (await ada.usage()).used_messages == 0


async def test_messages_that_imap_marked_deleted_are_not_there(ada: Someone) -> None:
    one, two = await ada.receive(), await ada.receive(plain_message(2))
    await ada.copy("INBOX", [two.uid], "Archive")
    await ada.flag("INBOX", [one.uid, two.uid], ADD, DELETED)
    inbox = (await ada.box("INBOX")).id
    changed = await change(ada, one, two, add_flags=SEEN)
    assert changed.refused == {one.message_id: Refused.NOT_FOUND}
    assert (await ada.flags_of())[two.uid] == flags(SEEN, DELETED)
    await change(ada, two, add_mailboxes=frozenset({inbox}))
    assert (await ada.flags_of())[two.uid] == flags(SEEN)
    assert (await ada.box()).deleted == 1


def test_a_mailbox_that_is_being_emptied_is_none() -> None:
    message, live, dead = MessageId(1), MailboxId(1), MailboxId(2)
    placements = [Placement(message, box, Uid(1), flags()) for box in (live, dead)]
    wanted = Rearrangement()
    assert decide(EmailChange(message, add_flags=SEEN), placements, {live: True}, wanted) is None
    assert [(each.mailbox_id, each.flags) for each in wanted.changed] == [(live, flags(SEEN)), (dead, flags(SEEN))]
    alone = decide(EmailChange(message, add_flags=SEEN), placements[1:], {live: True}, Rearrangement())
    assert alone is Refused.NOT_FOUND


async def test_many_messages_change_at_one_modseq(ada: Someone) -> None:
    placed = [await ada.receive(plain_message(number)) for number in range(60)]
    archive, trash = await ada.box("Archive"), await ada.box("Trash")
    changed = await change(ada, *placed, mailboxes=frozenset({archive.id, trash.id}), add_flags=SEEN)
    assert len(changed.modseqs) == 1
    assert len(await ada.uids("Archive")) == len(await ada.uids("Trash")) == 60
    assert await counts(ada, "INBOX") == (0, 0, 0, 0)
    assert (await counts(ada, "Archive"))[:2] == (60, 0)


async def test_what_was_meant_for_an_older_state_is_not_done(ada: Someone) -> None:
    one = await ada.receive()
    known = (await ada.box()).modseq
    changes = [EmailChange(one.message_id, add_flags=SEEN)]
    await ada.flag("INBOX", [one.uid], ADD, FLAGGED)
    with pytest.raises(AccountMoved):
        await change_emails(ada.store, ada.who, changes, unchanged_since=known)
    assert await ada.flags_of() == {one.uid: flags(FLAGGED)}
    now = (await ada.box()).modseq
    changed = await change_emails(ada.store, ada.who, changes, unchanged_since=known, own=[now])
    assert (await ada.flags_of())[one.uid] == flags(SEEN, FLAGGED)
    await change_emails(ada.store, ada.who, [EmailChange(one.message_id)], unchanged_since=changed.modseqs[0])


async def new_email(who: Someone, octets: bytes, *names: str, **more: Any) -> NewEmail:
    boxes = [(await who.box(name)).id for name in names]
    prepared = await prepare(who.store, who.who, octets, datetime(2026, 1, 1, tzinfo=UTC))
    return NewEmail(prepared, boxes, flags(*more.get("flags", ())))


async def test_a_new_message_stands_in_all_its_mailboxes(ada: Someone) -> None:
    octets = plain_message(1)
    email = await new_email(ada, octets, "Drafts", "Archive", "INBOX", flags=[SEEN, DRAFT, "work"])
    added = await add_email(ada.store, ada.who, email)
    for name in ("Drafts", "Archive", "INBOX"):
        assert await ada.flags_of(name) == {1: flags(SEEN, DRAFT, "work")}
        assert [row.message_id for row in await ada.rows(name)] == [added.message_id]
        assert await counts(ada, name) == (1, 0, 0, len(octets))
    assert (await ada.usage()).used_octets == len(octets)
    content = await messages.open_content(ada.store, ada.who, added.message_id)
    assert await content.read(0, content.octets) == octets


@pytest.mark.parametrize("names", [("Drafts",), ("Drafts", "INBOX")])
async def test_a_new_message_that_is_refused_leaves_nothing(
    store: MailStore, company: Company, names: tuple[str, ...]
) -> None:
    poor = Someone(store, await company.person("poor", quota_octets=10))
    with pytest.raises(OverQuota):
        await add_email(store, poor.who, await new_email(poor, plain_message(1), *names))
    ada = Someone(store, await company.person("ada"))
    email = await new_email(ada, plain_message(1), *names)
    with pytest.raises(MailboxNotFound):
        await add_email(store, ada.who, NewEmail(email.message, [*email.mailboxes[1:], MailboxId(5)], email.flags))
    many = await new_email(ada, plain_message(1), *names, flags=[f"k{n}" for n in range(101)])
    with pytest.raises(TooManyKeywords):
        await add_email(store, ada.who, many)
    assert await ada.uids("Drafts") == await ada.uids("INBOX") == []
    assert (await ada.usage()).used_messages == 0
