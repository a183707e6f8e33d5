"""Mailboxes: making, renaming, deleting, subscribing (RFC 3501 §6.3.3 to §6.3.9)."""

from dataclasses import replace

import pytest

from mailserver.services import mailboxes
from mailserver.services.changes import changes_since
from storage import flags as stored_flags
from storage.database import Database
from storage.errors import (
    InboxProtected,
    MailboxExists,
    MailboxHasChildren,
    MailboxNameInvalid,
    MailboxNotFound,
    MailboxNotSelectable,
    SpecialUseRefused,
    TooManyMailboxes,
)
from storage.housekeeping import finish_deleting_mailboxes
from storage.store import MailStore
from storage.types import Mailbox
from tenants.policies import Keeping
from tenants.types import AccountId
from tests.conftest import Announcements, Company, plain_message
from tests.someone import ADD, DELETED, Someone

FIRST = ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]


async def create(ada: Someone, name: str) -> Mailbox:
    return await mailboxes.create(ada.store, ada.who, name)


async def delete(ada: Someone, name: str) -> None:
    await mailboxes.delete(ada.store, ada.who, name)


async def rename(ada: Someone, old: str, new: str) -> None:
    await mailboxes.rename(ada.store, ada.who, old, new)


async def listed(ada: Someone) -> dict[str, Mailbox]:
    every = await mailboxes.list_mailboxes(ada.store, ada.who)
    assert len({box.name for box in every}) == len(every), "a name is listed twice"
    return {box.name: box for box in every}


async def test_an_account_starts_with_its_folders(ada: Someone) -> None:
    found = await listed(ada)
    assert sorted(found) == FIRST
    assert found["Sent"].special_use == "\\Sent"
    assert len({box.uidvalidity for box in found.values()}) == 6
    assert all(box.is_subscribed and box.is_selectable for box in found.values())


async def test_the_first_look_makes_the_folders(store: MailStore, company: Company) -> None:
    known = await company.person()
    stranger = Someone(store, replace(known, account_id=AccountId(known.account_id + 500_000)))
    assert (await stranger.box("inbox")).name == "INBOX"
    another = Someone(store, replace(known, account_id=AccountId(known.account_id + 600_000)))
    assert (await create(another, "First")).name == "First"
    assert sorted(await another.names()) == sorted([*FIRST, "First"])


async def test_a_mailbox_is_made_with_the_superior_names_it_lacks(ada: Someone) -> None:
    made = await create(ada, "a/b/c")
    assert (made.messages, made.uidnext, made.is_selectable) == (0, 1, True)
    assert {"a", "a/b", "a/b/c"} <= set(await ada.names())


async def test_a_trailing_delimiter_is_no_part_of_the_name(ada: Someone) -> None:
    assert (await create(ada, "a/")).name == "a"


@pytest.mark.parametrize("name", ["Sent", "INBOX", "inbox", "Inbox"])
async def test_what_exists_is_not_made_again(ada: Someone, name: str) -> None:
    with pytest.raises(MailboxExists):
        await create(ada, name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "a//b",
        "/a",
        "a\nb",
        "a\0b",
        "100%",
        "a*",
        "a\ud800",
        "\u2028",
        "x" * 1001,
        "中" * 334,
        "/".join("a" * 21),
    ],
)
async def test_names_that_cannot_be_are_refused(ada: Someone, name: str) -> None:
    with pytest.raises(MailboxNameInvalid):
        await create(ada, name)


@pytest.mark.parametrize("name", ["a\0b", "a\ud800", "", "x" * 5000])
async def test_names_that_cannot_be_are_not_found(ada: Someone, name: str) -> None:
    with pytest.raises(MailboxNotFound):
        await ada.box(name)
    with pytest.raises(MailboxNotFound):
        await delete(ada, name)
    with pytest.raises(MailboxNotFound):
        await rename(ada, name, "b")
    await mailboxes.unsubscribe(ada.store, ada.who, name)


async def test_one_name_however_its_accents_are_written(ada: Someone) -> None:
    made = await create(ada, "Cafe\u0301/信件")
    assert made.name == "Caf\u00e9/信件"
    assert (await ada.box("Cafe\u0301/信件")).id == made.id


async def test_inbox_is_one_however_it_is_written_also_above_others(ada: Someone) -> None:
    made = await create(ada, "inbox/Friends")
    assert made.name == "INBOX/Friends"
    assert (await ada.box("iNbOx/Friends")).id == made.id
    assert sorted(name for name in await ada.names() if name.upper().startswith("INBOX")) == ["INBOX", "INBOX/Friends"]


async def test_a_name_that_only_looks_like_inbox_is_another(ada: Someone) -> None:
    assert (await create(ada, "ınbox")).id != (await ada.box("INBOX")).id


async def test_there_are_so_many_mailboxes_and_no_more(ada: Someone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailboxes, "MAILBOXES_PER_ACCOUNT", 8)
    await create(ada, "7")
    with pytest.raises(TooManyMailboxes):
        await create(ada, "a/b")
    await create(ada, "8")
    with pytest.raises(TooManyMailboxes):
        await create(ada, "9")
    await rename(ada, "8", "eight")
    with pytest.raises(TooManyMailboxes):
        await rename(ada, "eight", "a/eight")
    with pytest.raises(TooManyMailboxes):
        await rename(ada, "INBOX", "old")


async def test_deleting_takes_the_messages_and_gives_back_their_quota(ada: Someone) -> None:
    await create(ada, "a")
    await ada.append("a", plain_message(1))
    await ada.append("a", plain_message(2), DELETED)
    await delete(ada, "a")
    assert "a" not in await ada.names()
    assert (await ada.usage()).used_octets == 0


async def test_deleting_spares_messages_that_stand_elsewhere_too(ada: Someone) -> None:
    await create(ada, "a")
    await ada.append("a", plain_message(1))
    await ada.copy("a", [1], "Archive")
    await delete(ada, "a")
    assert await ada.octets("Archive") == [plain_message(1)]


async def test_inbox_cannot_be_deleted(ada: Someone) -> None:
    with pytest.raises(InboxProtected):
        await delete(ada, "inBox")


async def test_a_mailbox_made_anew_has_another_uidvalidity(ada: Someone) -> None:
    first = await create(ada, "a")
    await delete(ada, "a")
    second = await create(ada, "a")
    assert second.uidvalidity > first.uidvalidity
    assert second.id != first.id


async def test_who_watches_a_deleted_mailbox_learns_it(ada: Someone) -> None:
    made = await create(ada, "a")
    cursor = (await ada.contents("a")).account_modseq
    await delete(ada, "a")
    assert (await changes_since(ada.store, ada.who, made.id, cursor)).is_deleted


async def test_a_name_with_inferiors_stays_but_holds_nothing(ada: Someone) -> None:
    await create(ada, "a/b")
    await ada.append("a", plain_message(1))
    await delete(ada, "a")
    left = (await listed(ada))["a"]
    assert (left.is_selectable, left.messages, left.is_deleted) == (False, 0, False)
    assert (await ada.usage()).used_octets == 0
    with pytest.raises(MailboxHasChildren):
        await delete(ada, "a")
    with pytest.raises(MailboxNotSelectable):
        await mailboxes.find_selectable(ada.store, ada.who, "a")
    with pytest.raises(MailboxNotSelectable):
        await ada.append("a", plain_message(1))


async def test_a_name_that_lost_its_inferiors_can_be_deleted(ada: Someone) -> None:
    await create(ada, "a/b")
    await delete(ada, "a")
    await delete(ada, "a/b")
    await delete(ada, "a")
    assert not {"a", "a/b"} & set(await ada.names())


async def test_a_name_becomes_a_mailbox_again_and_a_new_one(ada: Someone) -> None:
    first = await create(ada, "a")
    await create(ada, "a/b")
    await ada.append("a", plain_message(1))
    await delete(ada, "a")
    again = await create(ada, "a")
    assert again.is_selectable
    assert again.uidvalidity > first.uidvalidity
    assert (await ada.append("a", plain_message(2))).uid == 1


async def test_emptying_a_deleted_mailbox_never_touches_the_one_made_in_its_place(
    ada: Someone, database: Database
) -> None:
    """The process ends after the name is gone and before the messages are; the name is used again; upkeep comes."""
    await create(ada, "a/b")
    await ada.append("a", plain_message(1))
    old = await ada.box("a")
    async with mailboxes._locked(ada.store, ada.who) as (connection, modseq):  # DELETE, without what follows it
        who = ada.who
        await mailboxes.stored.bury(connection, who.tenant_id, who.account_id, old.id, modseq)
        await mailboxes.stored.insert(
            connection, who.tenant_id, who.account_id, "a", modseq, seq=1, is_selectable=False
        )
    await create(ada, "a")
    await ada.append("a", plain_message(2))
    assert await finish_deleting_mailboxes(database) == 1
    assert await ada.octets("a") == [plain_message(2)]
    assert (await ada.usage()).used_messages == 1


async def test_a_mailbox_that_lives_cannot_be_emptied(ada: Someone) -> None:
    placed = await ada.receive()
    async with ada.store.database.read(ada.who.tenant_id) as connection:
        removed = await stored_flags.expunge(
            connection,
            ada.who.tenant_id,
            ada.who.account_id,
            placed.mailbox_id,
            None,
            keeping=Keeping(),
            everything=True,
        )
    assert removed == ([], None)
    assert await ada.uids() == [1]


async def test_renaming_takes_the_inferiors_along(ada: Someone) -> None:
    made = await create(ada, "a/b/c")
    await ada.append("a/b/c", plain_message(1))
    await rename(ada, "a/b", "x/y")
    assert {"a", "x", "x/y", "x/y/c"} <= set(await ada.names())
    assert not {"a/b", "a/b/c"} & set(await ada.names())
    moved = await ada.box("x/y/c")
    assert (moved.id, moved.uidvalidity, moved.messages) == (made.id, made.uidvalidity, 1)


async def test_renaming_leaves_names_alone_that_only_begin_alike(ada: Someone) -> None:
    await create(ada, "a")
    await create(ada, "ab")
    await rename(ada, "a", "x")
    assert "ab" in await ada.names()


async def test_names_swap_through_a_third(ada: Someone) -> None:
    first, second = await create(ada, "a"), await create(ada, "b")
    for old, new in (("a", "c"), ("b", "a"), ("c", "b")):
        await rename(ada, old, new)
    assert ((await ada.box("a")).id, (await ada.box("b")).id) == (second.id, first.id)


async def test_what_cannot_be_renamed_stays(ada: Someone) -> None:
    await create(ada, "a/b")
    with pytest.raises(MailboxExists):
        await rename(ada, "a", "Sent")
    with pytest.raises(MailboxExists):
        await rename(ada, "a", "inbox")
    with pytest.raises(MailboxNotFound):
        await rename(ada, "nothing", "x")
    with pytest.raises(MailboxNameInvalid):
        await rename(ada, "a", "a/b/x")
    with pytest.raises(MailboxNameInvalid):
        await rename(ada, "a", "x" * 1000)  # a itself would fit, a/b does not
    assert {"a", "a/b"} <= set(await ada.names())
    assert "x" * 1000 not in await ada.names()


async def test_renaming_inbox_gives_its_messages_away(ada: Someone) -> None:
    await ada.receive(plain_message(1))
    await ada.receive(plain_message(2))
    await create(ada, "INBOX/below")
    before = await ada.box("INBOX")
    await rename(ada, "inbox", "old mail")
    assert await ada.octets("old mail") == [plain_message(1), plain_message(2)]
    inbox = await ada.box("INBOX")
    assert (inbox.id, inbox.uidvalidity, inbox.messages) == (before.id, before.uidvalidity, 0)
    assert "INBOX/below" in await ada.names()
    assert (await ada.receive()).uid == 3


async def test_a_deleted_mailbox_stays_subscribed_until_it_is_unsubscribed(ada: Someone) -> None:
    await create(ada, "a")
    await mailboxes.subscribe(ada.store, ada.who, "a")
    await delete(ada, "a")
    left = (await listed(ada))["a"]
    assert (left.is_deleted, left.is_subscribed) == (True, True)
    await mailboxes.unsubscribe(ada.store, ada.who, "a")
    assert "a" not in await listed(ada)


async def test_a_mailbox_takes_over_the_subscription_of_its_predecessor(ada: Someone) -> None:
    await create(ada, "a")
    await mailboxes.subscribe(ada.store, ada.who, "a")
    await delete(ada, "a")
    assert (await create(ada, "a")).is_subscribed
    assert not (await listed(ada))["a"].is_deleted
    await delete(ada, "a")
    await create(ada, "b")
    await rename(ada, "b", "a")
    assert (await listed(ada))["a"].is_subscribed


async def test_a_name_that_stays_for_its_inferiors_stays_subscribed_once(ada: Someone) -> None:
    await create(ada, "a/b")
    await mailboxes.subscribe(ada.store, ada.who, "a")
    await delete(ada, "a")
    left = (await listed(ada))["a"]
    assert (left.is_selectable, left.is_subscribed, left.is_deleted) == (False, True, False)


async def subscribed(ada: Someone) -> set[str]:
    return {name for name, box in (await listed(ada)).items() if box.is_subscribed}


async def test_a_subscription_stays_with_the_name_when_a_mailbox_is_renamed(ada: Someone) -> None:
    await create(ada, "a/b")
    await mailboxes.subscribe(ada.store, ada.who, "a")
    await mailboxes.subscribe(ada.store, ada.who, "a/b")
    await rename(ada, "a", "x")
    assert {"a", "a/b"} <= await subscribed(ada)
    assert not {"x", "x/b"} & await subscribed(ada)
    await rename(ada, "x", "a")
    assert {"a", "a/b"} <= await subscribed(ada)


async def test_renaming_to_and_fro_leaves_one_tombstone(ada: Someone, database: Database) -> None:
    await create(ada, "a")
    for _ in range(3):
        await mailboxes.subscribe(ada.store, ada.who, "a")
        await rename(ada, "a", "b")
        await rename(ada, "b", "a")
    async with database.read(ada.who.tenant_id) as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM mailbox WHERE account_id = %s AND name = 'a'", (ada.who.account_id,)
        )
        assert await cursor.fetchone() == (2,)


async def test_a_mailbox_is_made_for_special_uses_that_no_other_has(ada: Someone) -> None:
    await delete(ada, "Drafts")
    await delete(ada, "Sent")
    made = await mailboxes.create(ada.store, ada.who, "Both", uses=["\\Drafts", "\\Sent"])
    assert made.special_use == "\\Drafts \\Sent"
    for use in ("\\Sent", "\\Trash", "\\All", "\\Nothing"):
        with pytest.raises(SpecialUseRefused):
            await mailboxes.create(ada.store, ada.who, "Another", uses=[use])
    assert "Another" not in await ada.names()


async def test_only_what_exists_can_be_subscribed_to(ada: Someone) -> None:
    with pytest.raises(MailboxNotFound):
        await mailboxes.subscribe(ada.store, ada.who, "nothing")


async def test_every_change_of_a_mailbox_moves_a_modseq_and_is_told(ada: Someone, announcements: Announcements) -> None:
    seen = [(await ada.box()).modseq]
    for change in (
        create(ada, "a"),
        mailboxes.subscribe(ada.store, ada.who, "a"),
        rename(ada, "a", "b"),
        mailboxes.unsubscribe(ada.store, ada.who, "a"),
        delete(ada, "b"),
    ):
        await change
        assert announcements.heard[-1][:2] == (ada.who.tenant_id, ada.who.account_id)
        seen.append(announcements.heard[-1][2])
    assert seen == sorted(set(seen))


async def test_subscribing_again_is_not_told(ada: Someone, announcements: Announcements) -> None:
    await mailboxes.subscribe(ada.store, ada.who, "Sent")
    assert announcements.heard == []


async def test_flags_survive_a_rename(ada: Someone) -> None:
    await create(ada, "a")
    await ada.append("a", plain_message(1), "work")
    await rename(ada, "a", "b")
    await ada.flag("b", [1], ADD, DELETED)
    assert (await ada.expunge("b")).uids == [1]
