"""A mailbox is opened in one statement, and what the process knows of it already is not read again."""

import random

import pytest

from mailserver.services import mailboxes
from mailserver.services.messages import Contents
from mailserver.services.opening import Pictures, open_mailbox
from storage import contents as stored
from storage.contents import Picture, advanced
from storage.errors import MailboxNotFound, MailboxNotSelectable
from storage.query import Connection
from storage.store import MailStore
from storage.types import SystemFlag
from tests.conftest import Company, plain_message
from tests.someone import ADD, DELETED, FLAGGED, REMOVE, SEEN, Someone


@pytest.fixture
async def ada(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person("ada"))


async def opened(ada: Someone, pictures: Pictures, name: str = "INBOX", *, claim_recent: bool = False) -> Contents:
    return await open_mailbox(ada.store, pictures, ada.who, name, claim_recent=claim_recent)


def shown(contents: Contents | Picture) -> tuple[list[int], list[int], dict[int, frozenset[str]]]:
    return list(contents.uids), list(contents.flags), contents.keywords


async def test_an_unchanged_mailbox_is_not_read_again(ada: Someone) -> None:
    pictures = Pictures()
    await ada.append("INBOX", plain_message(), SEEN, "work")
    first = await opened(ada, pictures)
    await ada.append("Archive", plain_message())
    second = await opened(ada, pictures)
    assert second.uids is first.uids
    assert second.flags is first.flags
    assert second.keywords is first.keywords
    assert second.account_modseq > first.account_modseq


async def test_what_changed_is_drawn_into_the_picture(ada: Someone) -> None:
    pictures = Pictures()
    for number in range(5):
        await ada.append("INBOX", plain_message(number), "work")
    before = await opened(ada, pictures)
    was = shown(before)
    await ada.flag("INBOX", [1], REMOVE, "work")
    await ada.flag("INBOX", [2, 4], ADD, DELETED)
    await ada.expunge("INBOX", [4])
    await ada.receive()
    after = await opened(ada, pictures)
    assert shown(after) == shown(await ada.contents())
    assert shown(before) == was, "the sessions that hold the picture from before are not to see this"
    assert after.modseq == (await ada.box()).modseq


async def test_the_name_may_lead_to_another_mailbox_now(ada: Someone) -> None:
    pictures = Pictures()
    made = await mailboxes.create(ada.store, ada.who, "Work")
    await ada.append("Work", plain_message())
    await opened(ada, pictures, "Work")
    await mailboxes.rename(ada.store, ada.who, "Work", "Old")
    await mailboxes.create(ada.store, ada.who, "Work")
    assert list((await opened(ada, pictures, "Work")).uids) == []
    renamed = await opened(ada, pictures, "Old")
    assert (renamed.mailbox.id, list(renamed.uids)) == (made.id, [1])


async def test_a_mailbox_that_is_not_there(ada: Someone) -> None:
    pictures = Pictures()
    for name in ("nowhere", "nul\0", "lone\udc80"):
        with pytest.raises(MailboxNotFound):
            await opened(ada, pictures, name)
    await mailboxes.create(ada.store, ada.who, "a/b")
    await mailboxes.delete(ada.store, ada.who, "a")
    with pytest.raises(MailboxNotSelectable):
        await opened(ada, pictures, "a")
    await mailboxes.delete(ada.store, ada.who, "a/b")
    with pytest.raises(MailboxNotFound):
        await opened(ada, pictures, "a/b")


async def test_a_picture_from_before_the_log_is_drawn_anew(ada: Someone, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is one to which more has happened than is worth while."""
    pictures = Pictures()
    for number in range(3):
        await ada.append("INBOX", plain_message(number))
    await opened(ada, pictures)
    await ada.flag("INBOX", [1, 2, 3], ADD, FLAGGED)
    monkeypatch.setattr(stored, "CATCH_UP_ROWS", 2)
    assert shown(await opened(ada, pictures)) == shown(await ada.contents())
    await ada.flag("INBOX", [1], REMOVE, FLAGGED)
    async with ada.store.database.read(ada.who.tenant_id) as connection:
        await forget(connection, ada)
    assert shown(await opened(ada, pictures)) == shown(await ada.contents())


async def forget(connection: Connection, ada: Someone) -> None:
    await connection.execute("UPDATE account_state SET oldest_modseq = modseq + 1")
    await connection.execute("DELETE FROM change")


async def test_a_new_epoch_of_the_account_makes_pictures_worthless(ada: Someone) -> None:
    """After a restore modseqs mean something else."""
    pictures = Pictures()
    await ada.receive()
    await opened(ada, pictures)
    async with ada.store.database.read(ada.who.tenant_id) as connection:
        await connection.execute("UPDATE account_state SET epoch = epoch + 1")
        await connection.execute("UPDATE placement SET flags = 1")
    assert list((await opened(ada, pictures)).flags) == [1]


async def test_recent_goes_to_the_first_that_claims_it(ada: Someone) -> None:
    pictures = Pictures()
    await ada.receive()
    assert (await opened(ada, pictures)).recent_from == 1
    assert (await opened(ada, pictures, claim_recent=True)).recent_from == 1
    assert (await opened(ada, pictures, claim_recent=True)).recent_from == 2


async def test_pictures_are_forgotten_oldest_first(ada: Someone) -> None:
    pictures = Pictures(limit_octets=3500)
    for name in ("INBOX", "Sent", "Drafts"):
        await opened(ada, pictures, name)
    assert pictures.named(ada.who, "Sent") is not None
    await opened(ada, pictures, "Archive")
    assert pictures.named(ada.who, "INBOX") is None
    assert pictures.named(ada.who, "Sent") is not None
    await opened(ada, pictures, "Trash")
    assert pictures.named(ada.who, "Drafts") is None
    assert pictures.named(ada.who, "Archive") is not None


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_happens_the_picture_is_what_is_there(ada: Someone, seed: int) -> None:
    dice = random.Random(seed)
    pictures = Pictures()
    words: list[SystemFlag | str] = [SEEN, FLAGGED, "work", "home"]
    for number in range(6):
        await ada.append("INBOX", plain_message(number))
    first = await opened(ada, pictures)
    start = Picture(
        first.mailbox.id, first.epoch, first.modseq, first.account_modseq, first.day, first.uids, first.flags, {}
    )
    for step in range(25):
        uids = await ada.uids()
        some = dice.sample(uids, dice.randint(0, len(uids)))
        match dice.randint(0, 3):
            case 0:
                await ada.append("INBOX", plain_message(step), dice.choice(words))
            case 1:
                await ada.flag("INBOX", some, dice.choice([ADD, REMOVE]), dice.choice(words))
            case 2:
                await ada.flag("INBOX", some[:2], ADD, DELETED)
                await ada.expunge()
            case _:
                await ada.move("INBOX", some[:1], "Archive")
        if dice.random() < 0.5:
            assert shown(await opened(ada, pictures)) == shown(await ada.contents())
    later = advanced(start, await ada.changes("INBOX", start.account_modseq))
    assert shown(later) == shown(await ada.contents())
    assert later.modseq == (await ada.box()).modseq
