"""Who works by IMAP: believes what they are told, and changes mailboxes too."""

import random
import re
from dataclasses import dataclass, replace

from mailserver.imap.session.conversation import Services
from mailserver.services.opening import Pictures
from tenants.types import Principal
from tests.account_deeds import NAMES
from tests.imap_cache import Kept, Speaks
from tests.mailserver.imap.session.test_views_property import Believer

NEW_NAMES = (*NAMES, "Box")
_MAILBOX_ID = re.compile(r"\[MAILBOXID \((\w+)\)\]")
_UIDVALIDITY = re.compile(r"\[UIDVALIDITY (\d+)\]")
_MESSAGE = re.compile(r"\* \d+ FETCH \((.*)\)")
_UID = re.compile(r"\bUID (\d+)")
_FLAGS = re.compile(r"FLAGS \(([^)]*)\)")
_IDS = re.compile(r"\bEMAILID \((\w+)\).*\bTHREADID \((\w+)\)|\bTHREADID \((\w+)\).*\bEMAILID \((\w+)\)")


@dataclass
class ImapPerson(Believer):
    """`box_id` is what the server called the mailbox that is selected: names move, it does not."""

    box_id: str = ""

    async def say(self, command: str) -> list[str]:
        lines = await super().say(command)
        assert not any("[SERVERBUG]" in line for line in lines), self.cache.said
        if command.startswith(("SELECT", "EXAMINE")):
            found = [match[1] for line in lines if (match := _MAILBOX_ID.search(line))]
            self.box_id = found[0] if found else ""
        return lines

    async def work(self, dice: random.Random, names: list[str]) -> None:
        if dice.random() > 0.3 or self.is_idling or self.cache.is_over:
            await self.step(dice, names)
            return
        if self.cache.messages and dice.random() < 0.5:
            await self.sweep(dice, names)
            return
        name, new = dice.choice(names), dice.choice(NEW_NAMES)
        commands = (f"CREATE {new}", f"CREATE {new}", f"DELETE {dice.choice(NEW_NAMES)}", f"RENAME {name} {new}")
        await self.say(dice.choice((*commands, f"SUBSCRIBE {name}", f"UNSUBSCRIBE {name}")))
        self.remember_unless_over()

    async def sweep(self, dice: random.Random, names: list[str]) -> None:
        """Some messages go, for good or to another mailbox."""
        number = dice.randint(1, len(self.cache.messages))
        if dice.random() < 0.4:
            await self.say(f"MOVE {number} {dice.choice(names)}")
        else:
            await self.say(f"STORE {number} +FLAGS (\\Deleted)")
            if not self.cache.is_over:
                await self.say("EXPUNGE")
        self.remember_unless_over()

    def remember_unless_over(self) -> None:
        if not self.cache.is_over:
            self.remember()

    async def look(self) -> None:
        """Hear all that there is to hear."""
        if self.is_idling:
            await self.end_idle()
        if not self.cache.is_over:
            await self.say("NOOP")
        if not self.cache.is_over and self.cache.is_selected:
            await self.catch_up()

    def picture(self) -> dict[int, frozenset[str]]:
        return {uid: folded(flags) for uid, flags in self.cache.picture().items()}

    def go(self) -> None:
        self.client.dialogue.session.close()


def folded(flags: frozenset[str]) -> frozenset[str]:
    """To the case of a keyword nothing is promised."""
    return frozenset(map(str.lower, flags))


@dataclass(frozen=True, slots=True)
class Placed:
    flags: frozenset[str]
    email_id: str
    thread_id: str


@dataclass(frozen=True, slots=True)
class Box:
    """A mailbox as somebody sees it who was never here before."""

    id: str
    name: str
    uidvalidity: int
    messages: dict[int, Placed]

    @property
    def picture(self) -> dict[int, frozenset[str]]:
        return {uid: folded(each.flags) for uid, each in self.messages.items()}


async def read_box(services: Services, who: Principal, name: str) -> Box:
    """By a process that has seen nothing yet."""
    stranger = ImapPerson(replace(services, pictures=Pictures()), who, Speaks.PLAIN, is_rev2=False)
    await stranger.connect()
    opened = "\n".join(await stranger.say(f"EXAMINE {name}"))
    lines = await stranger.say("UID FETCH 1:* (UID FLAGS EMAILID THREADID)")
    stranger.go()
    uidvalidity = _UIDVALIDITY.search(opened)
    assert uidvalidity is not None, (name, opened)
    messages: dict[int, Placed] = {}
    for line in lines:
        if (message := _MESSAGE.match(line)) is None:
            continue
        uid, flags, ids = _UID.search(message[1]), _FLAGS.search(message[1]), _IDS.search(message[1])
        assert uid is not None, line
        assert flags is not None, line
        assert ids is not None, line
        email_id, thread_id = (ids[1], ids[2]) if ids[1] else (ids[4], ids[3])
        messages[int(uid[1])] = Placed(frozenset(flags[1].split()) - {"\\Recent"}, email_id, thread_id)
    assert list(messages) == sorted(messages), name
    return Box(stranger.box_id, name, int(uidvalidity[1]), messages)


async def come_back(person: ImapPerson, name: str, kept: Kept, dice: random.Random, now: Box) -> None:
    """Somebody with an old cache of the mailbox synchronises it (RFC 7162 §3.2.5)."""
    returning = ImapPerson(person.services, person.who, Speaks.QRESYNC, person.is_rev2)
    await returning.connect()
    await returning.select(name, dice, kept)
    assert returning.cache.is_selected, returning.cache.said
    told = {message.uid: message.flags for message in returning.cache.messages if message.uid}
    wrong = {uid for uid, words in told.items() if words is not None and folded(words) != now.picture.get(uid)}
    assert not wrong, (wrong, now, kept, returning.cache.said)
    await returning.catch_up()
    assert returning.picture() == now.picture, (kept, returning.cache.said)
    assert returning.cache.uidvalidity == now.uidvalidity
    returning.go()
