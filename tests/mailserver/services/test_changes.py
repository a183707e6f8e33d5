"""Whatever happens to an account: counts, quota and the change log always tell the same story as the mailboxes."""

import contextlib
import random
from dataclasses import dataclass, field

import pytest

from mailserver.services import mailboxes
from mailserver.services.changes import changes_since
from storage.database import Database
from storage.errors import MailboxExists, MailboxNotFound, OverQuota
from storage.store import MailStore
from storage.types import Flags, MailboxId, Modseq, SystemFlag
from tests.conftest import Company, plain_message
from tests.someone import ADD, ANSWERED, DELETED, FLAGGED, REMOVE, REPLACE, SEEN, Someone, flags

STEPS = 120
Shown = dict[int, tuple[Flags, int]]  # uid to flags and modseq


async def shown(ada: Someone, name: str) -> Shown:
    return {row.uid: (Flags(row.flags, row.keywords), row.modseq) for row in await ada.rows(name)}


@dataclass
class Seen:
    """A session's picture of a mailbox, as of a cursor."""

    mailbox_id: MailboxId
    cursor: Modseq
    messages: Shown


@dataclass
class History:
    """What sessions saw at several times in the past."""

    ada: Someone
    pictures: list[Seen] = field(default_factory=list)

    async def look(self, name: str) -> None:
        loaded = await self.ada.contents(name)
        self.pictures.append(Seen(loaded.mailbox.id, loaded.account_modseq, await shown(self.ada, name)))

    async def catch_up(self, choose: random.Random) -> None:
        """From some older picture, what changed since must lead to what is there now."""
        picture = choose.choice(self.pictures)
        found = await changes_since(self.ada.store, self.ada.who, picture.mailbox_id, picture.cursor)
        names = {box.id: box for box in await mailboxes.list_mailboxes(self.ada.store, self.ada.who)}
        box = names.get(picture.mailbox_id)
        if box is None or box.is_deleted:
            assert found.is_deleted
            return
        assert found.is_complete
        assert not found.is_deleted
        told = [each[0] for each in (*found.arrived, *found.changed)] + list(found.expunged)
        assert len(set(told)) == len(told), "a uid is told twice"
        assert not {uid for uid, _, _ in found.arrived} & picture.messages.keys()
        assert {uid for uid, _, _ in found.changed} <= picture.messages.keys()
        now = {uid: value for uid, value in picture.messages.items() if uid not in set(found.expunged)}
        now |= {uid: (value, modseq) for uid, value, modseq in (*found.arrived, *found.changed)}
        assert now == await shown(self.ada, box.name)
        assert found.highest_modseq in (box.modseq, None)
        if found.highest_modseq is None:
            assert box.modseq <= picture.cursor


async def check_counts(ada: Someone) -> None:
    """Mailbox counts, quota and the flags rule, each against the rows themselves."""
    sizes: dict[int, int] = {}
    common: dict[int, Flags] = {}
    for box in await mailboxes.list_mailboxes(ada.store, ada.who):
        if box.is_deleted:
            continue
        rows = await ada.rows(box.name)
        assert box.messages == len(rows)
        assert box.unseen == sum(1 for row in rows if SEEN not in row.flags)
        assert box.uidnext > max((row.uid for row in rows), default=0)
        assert box.modseq >= max((row.modseq for row in rows), default=0)
        for row in rows:
            sizes[row.message_id] = row.octets
            value = Flags(row.flags & ~DELETED, row.keywords)
            assert common.setdefault(row.message_id, value) == value, "flags differ between placements"
    used = await ada.usage()
    assert (used.used_octets, used.used_messages) == (sum(sizes.values()), len(sizes))
    async with ada.store.database.read(ada.who.tenant_id) as connection:
        for table, column in (("message", "id"), ("message_blob", "message_id")):
            left = (
                f"SELECT count(*) FROM {table} WHERE {column} NOT IN "  # noqa: S608
                "(SELECT message_id FROM placement UNION ALL SELECT message_id FROM recoverable)"
            )
            cursor = await connection.execute(left.encode())
            assert await cursor.fetchone() == (0,), f"{table} holds rows of nothing"


class Life:
    """Random acts of one person; each leaves the account in order, refused or not."""

    def __init__(self, ada: Someone, choose: random.Random) -> None:
        self.ada = ada
        self.choose = choose
        self.sent = 0

    async def act(self) -> None:
        acts = {
            self.receive: 6, self.append: 3, self.store: 7, self.copy: 5, self.move: 4, self.expunge: 3,
            self.create: 1, self.rename: 2, self.delete: 1,
        }  # fmt: skip
        (chosen,) = self.choose.choices(list(acts), list(acts.values()))
        with contextlib.suppress(MailboxExists, MailboxNotFound, OverQuota):
            await chosen()

    async def some_box(self) -> str:
        return self.choose.choice([n for n in await self.ada.names() if n not in ("Drafts", "Junk", "Sent")])

    async def some_uids(self, name: str) -> list[int]:
        uids = await self.ada.uids(name)
        return self.choose.sample([*uids, 9999], self.choose.randint(1, min(4, len(uids) + 1)))

    def some_flags(self) -> list[SystemFlag | str]:
        chances: list[SystemFlag | str] = [SEEN, ANSWERED, FLAGGED, DELETED, DELETED, "work", "Work", "home"]
        return self.choose.sample(chances, self.choose.randint(0, 3))

    def message(self) -> bytes:
        self.sent += 1
        return plain_message(self.choose.randint(1, self.sent), body="x" * self.choose.randint(1, 40))

    async def receive(self) -> None:
        await self.ada.receive(self.message())

    async def append(self) -> None:
        await self.ada.append(await self.some_box(), self.message(), *self.some_flags())

    async def store(self) -> None:
        name = await self.some_box()
        since = self.choose.choice([None, None, self.choose.randint(1, 100)])
        await self.ada.flag(
            name, await self.some_uids(name), self.choose.choice([REPLACE, ADD, REMOVE]), *self.some_flags(),
            unchanged_since=since,
        )  # fmt: skip

    async def copy(self) -> None:
        name = await self.some_box()
        await self.ada.copy(name, await self.some_uids(name), await self.some_box())

    async def move(self) -> None:
        name = await self.some_box()
        await self.ada.move(name, await self.some_uids(name), await self.some_box())

    async def expunge(self) -> None:
        name = await self.some_box()
        await self.ada.expunge(name, self.choose.choice([None, await self.some_uids(name)]))

    async def create(self) -> None:
        await mailboxes.create(self.ada.store, self.ada.who, self.choose.choice(["a", "b", "a/c"]))

    async def rename(self) -> None:
        old, new = await self.some_box(), self.choose.choice(["a", "b", "d", "e"])
        if not new.startswith(old) and old not in ("Archive", "Trash"):
            await mailboxes.rename(self.ada.store, self.ada.who, old, new)

    async def delete(self) -> None:
        name = self.choose.choice(["a/c", "b", "d", "e"])
        if any(each.startswith(name + "/") for each in await self.ada.names()):
            return
        await mailboxes.delete(self.ada.store, self.ada.who, name)


@pytest.mark.parametrize("seed", range(4))
async def test_the_story_is_one_whatever_happens(
    seed: int, store: MailStore, database: Database, company: Company
) -> None:
    choose = random.Random(seed)
    lives = [
        Life(Someone(store, await company.person("ada")), choose),
        Life(Someone(store, await company.person("bob", quota_octets=3000)), choose),
    ]
    histories = [History(life.ada) for life in lives]
    for step in range(STEPS):
        which = choose.randrange(2)
        life, history = lives[which], histories[which]
        await history.look(await life.some_box())
        await life.act()
        await history.catch_up(choose)
        if step % 10 == 9:
            for each in lives:
                await check_counts(each.ada)
    for life, history in zip(lives, histories, strict=True):
        for _ in range(10):
            await history.catch_up(choose)
        await check_counts(life.ada)


async def test_what_came_and_went_meanwhile_is_gone_to_whoever_heard_of_it(ada: Someone) -> None:
    cursor = (await ada.contents()).account_modseq
    await ada.append("INBOX", plain_message(), DELETED)
    await ada.expunge()
    found = await ada.changes("INBOX", cursor)
    assert (found.arrived, found.changed, found.expunged) == ([], [], [1])
    assert found.highest_modseq == (await ada.box()).modseq


async def test_several_changes_of_a_message_are_told_as_the_last(ada: Someone) -> None:
    await ada.receive()
    cursor = (await ada.contents()).account_modseq
    for value in (SEEN, FLAGGED, ANSWERED):
        (last,) = await ada.flag("INBOX", [1], ADD, value)
    found = await ada.changes("INBOX", cursor)
    assert found.changed == [(1, flags(SEEN, FLAGGED, ANSWERED), last.modseq)]


async def test_what_happens_elsewhere_moves_the_cursor_and_nothing_else(ada: Someone) -> None:
    cursor = (await ada.contents()).account_modseq
    placed = await ada.append("Archive", plain_message())
    found = await ada.changes("INBOX", cursor)
    assert (found.modseq, found.highest_modseq) == (placed.modseq, None)


async def test_below_the_oldest_modseq_kept_the_answer_says_that_it_is_not_whole(ada: Someone) -> None:
    await ada.receive()
    async with ada.store.database.read(ada.who.tenant_id) as connection:
        await connection.execute(
            "UPDATE account_state SET oldest_modseq = 10 WHERE account_id = %s", (ada.who.account_id,)
        )
    assert [(await ada.changes("INBOX", Modseq(n))).is_complete for n in (8, 9, 10)] == [False, True, True]
