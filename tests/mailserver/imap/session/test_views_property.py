"""Random deeds through several sessions at once: every client, believing what it is told, ends with what a fresh SELECT
shows, and so does every cache of a QRESYNC client, however old, once it has come back.

Each test prints its seed; WAYPOST_SEED gives it again. WAYPOST_SOAK=1 does 300 times as much.
"""

import asyncio
import itertools
import os
import random
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field, replace

import psycopg
import pytest

from mailserver.imap.session.conversation import Services
from mailserver.imap.session.state import State
from mailserver.services import mailboxes
from mailserver.services.delivery import Deliveries
from mailserver.services.opening import Pictures
from storage.store import MailStore
from storage.types import Modseq
from tenants.types import AccountId, Principal, TenantId
from tests.conftest import NOON, RunningServices, as_recipient, plain_message
from tests.imap_cache import ImapCache, Kept, Speaks
from tests.imap_deeds import next_deed
from tests.people import Person
from tests.transcripts.runner import Client, connect

IS_SOAK = os.environ.get("WAYPOST_SOAK") == "1"
RUNS = 300 if IS_SOAK else 4
ROUNDS = 120
CHECK_EVERY = 30
FULL = 60  # messages in a mailbox, from which on it is rather emptied
KINDS = ((Speaks.PLAIN, False), (Speaks.CONDSTORE, False), (Speaks.QRESYNC, False), (Speaks.QRESYNC, True))


@pytest.fixture
def seed() -> int:
    found = int(os.environ.get("WAYPOST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"WAYPOST_SEED={found}")
    return found


def one_of(names: list[str], dice: random.Random) -> str:
    """Mostly one of the first two, so that clients meet."""
    return dice.choice(names[:2] if dice.random() < 0.7 else names)


@dataclass(slots=True)
class Believer:
    """A client with one connection after the other."""

    services: Services
    who: Principal
    speaks: Speaks
    is_rev2: bool
    cache: ImapCache = field(init=False)
    client: Client = field(init=False)
    is_idling: bool = False
    tags: Iterator[int] = field(default_factory=itertools.count)
    kept: dict[str, list[Kept]] = field(default_factory=dict)
    kept_amid_expunges: dict[str, list[Kept]] = field(default_factory=dict)
    name: str = ""

    async def connect(self) -> None:
        self.client = connect(self.services)
        self.client.lines.clear()
        self.client.talk.is_encrypted = True
        self.client.talk.who = self.who
        self.client.talk.state = State.AUTHENTICATED
        self.is_idling = False
        self.cache = ImapCache(self.speaks, self.is_rev2)
        if self.speaks == Speaks.QRESYNC:
            await self.say("ENABLE QRESYNC" + (" IMAP4rev2" if self.is_rev2 else ""))

    async def say(self, command: str) -> list[str]:
        self.cache.begin(command)
        await self.client.send(f"t{next(self.tags)} {command}\r\n".encode())
        return self.listen()

    def listen(self) -> list[str]:
        lines, self.client.lines = list(self.client.lines), []
        for line in lines:
            self.cache.hear(line)
        return lines

    async def select(self, name: str, dice: random.Random, kept: Kept | None = None) -> None:
        history = self.kept.setdefault(name, [])
        if kept is None and history and dice.random() < 0.8:
            kept = dice.choice(history[-3:])
        self.name = name
        await self.say(f"{dice.choice(('SELECT', 'SELECT', 'EXAMINE'))} {name}{self.cache.resume(kept, dice)}")

    async def catch_up(self) -> None:
        """Ask of what came."""
        if self.cache.first_unknown is not None:
            await self.say(f"FETCH {self.cache.first_unknown}:* (UID FLAGS)")

    def remember(self) -> None:
        """The connection might break here."""
        if self.cache.is_selected and self.speaks == Speaks.QRESYNC:
            self.kept.setdefault(self.name, []).append(self.cache.kept())
            if self.client.talk.selected.has_ghosts:
                self.kept_amid_expunges.setdefault(self.name, []).append(self.cache.kept())

    async def step(self, dice: random.Random, names: list[str]) -> None:
        if self.cache.is_over:
            await self.connect()
        if self.is_idling:
            await self._in_idle(dice)
        elif not self.cache.is_selected:
            await self.select(one_of(names, dice), dice)
        else:
            await self._one_deed(dice, names)
        if not self.cache.is_over and not self.is_idling:
            self.remember()

    async def _in_idle(self, dice: random.Random) -> None:
        await self.client.turn()
        self.listen()
        if not self.cache.is_over and dice.random() < 0.4:
            await self.end_idle()

    async def end_idle(self) -> None:
        self.is_idling = False
        await self.client.send(b"DONE\r\n")
        self.listen()

    async def _one_deed(self, dice: random.Random, names: list[str]) -> None:
        chance = dice.random()
        if chance < 0.06:
            self.is_idling = True
            await self.say("IDLE")
        elif chance < 0.1:
            await self.say(dice.choice(("CLOSE", "UNSELECT")))
        elif chance < 0.16:
            await self.select(one_of(names, dice), dice)
        elif chance < 0.19:
            self.client.dialogue.session.close()  # the connection breaks
            await self.connect()
        elif len(self.cache.messages) > FULL and chance < 0.5:
            half = len(self.cache.messages) // 2
            await self.say(f"STORE 1:{half} +FLAGS.SILENT (\\Deleted)")
            await self.say("EXPUNGE")
        elif chance < 0.5 and self.cache.first_unknown is not None:
            await self.catch_up()
        else:
            await self.say(next_deed(self.cache, dice, names))


@dataclass(slots=True)
class House:
    """The account, its mailboxes by name, and everybody who has something to do with them."""

    services: Services
    who: Principal
    dice: random.Random
    believers: list[Believer]
    owner_url: str
    names: list[str] = field(default_factory=lambda: ["INBOX", "Work", "Box"])
    moved: Iterator[int] = field(default_factory=itertools.count)
    letters: Iterator[int] = field(default_factory=itertools.count)

    async def deliver(self) -> None:
        letter = plain_message(next(self.letters))
        await Deliveries(self.services.store).deliver(
            letter, [as_recipient(self.who)], reverse_path="", received_at=NOON
        )

    async def rename_and_recreate(self) -> None:
        """Whoever has it selected goes on under the new name; of the old name there is another mailbox."""
        new = f"Moved{next(self.moved)}"
        old = self.dice.choice(["Work", "Box", "INBOX"])
        await mailboxes.rename(self.services.store, self.who, old, new)
        if old != "INBOX":
            await mailboxes.create(self.services.store, self.who, old)
            for believer in self.believers:
                if believer.name == old:
                    believer.name = new
                    believer.kept[new] = believer.kept.pop(old, [])
        self.names.append(new)

    async def delete(self) -> None:
        if len(self.names) > 3:
            await mailboxes.delete(self.services.store, self.who, self.names.pop())

    async def cut_the_log(self) -> None:
        """What is older is no longer known, as after `storage.change_retention`."""
        who = {"tenant": self.who.tenant_id, "account": self.who.account_id, "behind": self.dice.randint(0, 12)}
        async with await psycopg.AsyncConnection.connect(self.owner_url) as owner:
            await owner.execute(
                "UPDATE account_state SET oldest_modseq = greatest(oldest_modseq, modseq - %(behind)s)"
                " WHERE tenant_id = %(tenant)s AND account_id = %(account)s",
                who,
            )
            await owner.execute(
                "DELETE FROM change c USING account_state a"
                " WHERE a.tenant_id = %(tenant)s AND a.account_id = %(account)s"
                " AND c.tenant_id = a.tenant_id AND c.account_id = a.account_id AND c.modseq < a.oldest_modseq",
                who,
            )

    async def round(self) -> None:
        deeds: list[Awaitable[None]] = [
            believer.step(self.dice, self.names)
            for believer in self.dice.sample(self.believers, self.dice.choice((1, 1, 2, 3)))
        ]
        if self.dice.random() < 0.15:
            deeds.append(self.deliver())
        chance = self.dice.random()
        if chance < 0.02:
            await self.rename_and_recreate()
        elif chance < 0.04:
            await self.delete()
        elif chance < 0.06:
            await self.cut_the_log()
        await asyncio.gather(*deeds)

    async def truth(self, name: str) -> dict[int, frozenset[str]]:
        """What a fresh SELECT shows, to somebody who shares nothing with the others."""
        stranger = Believer(replace(self.services, pictures=Pictures()), self.who, Speaks.PLAIN, is_rev2=False)
        await stranger.connect()
        await stranger.say(f"EXAMINE {name}")
        await stranger.catch_up()
        stranger.client.dialogue.session.close()
        return stranger.cache.picture()

    async def check(self) -> None:
        for believer in self.believers:
            if believer.is_idling:
                await believer.end_idle()
            if not believer.cache.is_over:
                await believer.say("NOOP")
            if believer.cache.is_over or not believer.cache.is_selected:
                continue
            now = await self.truth(believer.name)
            believed = {message.uid: message.flags for message in believer.cache.messages}
            wrong = {uid: words for uid, words in believed.items() if uid and words is not None and words != now[uid]}
            assert not wrong, (wrong, now, believer.cache.said)
            await believer.catch_up()
            assert believer.cache.picture() == now, believer
            believer.remember()
        for name in self.names:
            await self.come_back(name, await self.truth(name))
            self.check_picture(name)

    async def come_back(self, name: str, now: dict[int, frozenset[str]]) -> None:
        """A client with an old cache of the mailbox synchronises it."""
        for believer in self.believers:
            history = believer.kept.get(name)
            if not history:
                continue
            chosen = self.dice.sample(history[-25:], min(3, len(history)))
            for kept in (history[0], *chosen, *believer.kept_amid_expunges.pop(name, ())[-3:]):
                returning = Believer(self.services, self.who, Speaks.QRESYNC, believer.is_rev2)
                await returning.connect()
                await returning.select(name, self.dice, kept)
                told = {message.uid: message.flags for message in returning.cache.messages if message.uid}
                wrong = {uid: words for uid, words in told.items() if words is not None and words != now.get(uid)}
                assert not wrong, (wrong, now, kept, returning.cache.said)
                await returning.catch_up()
                assert returning.cache.picture() == now, (kept, returning.cache.said)
                returning.client.dialogue.session.close()

    def check_picture(self, name: str) -> None:
        """What the process keeps holds together."""
        picture = self.services.pictures.named(self.who, name)
        if picture is not None:
            assert len(picture.uids) == len(picture.flags)
            assert picture.keywords.keys() <= set(picture.uids)


def hints_that_get_lost(services: Services, dice: random.Random) -> Services:
    """As if Redis dropped some: whoever does not look himself is not told."""

    def announce(tenant_id: TenantId, account_id: AccountId, modseq: Modseq) -> None:
        if dice.random() < 0.6:
            services.watchers.announce(tenant_id, account_id, modseq)

    store: MailStore = replace(services.store, announce=announce)
    return replace(services, store=store)


@pytest.mark.parametrize("number", range(RUNS))
async def test_all_sessions_end_with_what_is_there(
    number: int, seed: int, imap: Services, person: Person, services: RunningServices
) -> None:
    dice = random.Random(f"{seed} {number}")
    imap = hints_that_get_lost(imap, random.Random(f"{seed} {number} hints"))
    who = person.principal
    for name in ("Work", "Box"):
        await mailboxes.create(imap.store, who, name)
    believers = [Believer(imap, who, speaks, is_rev2) for speaks, is_rev2 in KINDS]
    house = House(imap, who, dice, believers, services.owner_url)
    for believer in believers:
        await believer.connect()
    for _ in range(4):
        await house.deliver()
    for index in range(ROUNDS):
        await house.round()
        if index % CHECK_EVERY == CHECK_EVERY - 1:
            await house.check()
    for believer in believers:
        believer.client.dialogue.session.close()
