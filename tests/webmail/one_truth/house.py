"""An account with everybody who has something to do with it, people and upkeep."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import psycopg

from mailserver.assembly import Parts
from mailserver.imap.session.conversation import Services
from mailserver.listeners import Endpoint, bind
from mailserver.services import mailboxes, recovering
from mailserver.services.account_views import AccountViews
from mailserver.services.exchanges import SubmissionSignIn
from mailserver.services.indexing import index_account
from mailserver.smtp.config import Door
from mailserver.smtp.ports import Services as SmtpServices
from mailserver.smtp.server import SmtpServer
from storage.blobs.hot import HotBlobs
from storage.epochs import start_epoch
from storage.errors import StorageError
from storage.housekeeping import collect_blobs
from tests.account_deeds import Deeds
from tests.conftest import NOON, RunningServices
from tests.imap_cache import Kept
from tests.mailserver.imap.session.test_views_property import KINDS
from tests.someone import Someone
from tests.storage.tiers.conftest import Attic
from tests.webmail.jmap.client import Jmap
from tests.webmail.one_truth.imap_people import Box, ImapPerson, come_back, read_box
from tests.webmail.one_truth.jmap_people import KINDS as TYPES
from tests.webmail.one_truth.jmap_people import JmapPerson, Records, everything
from tests.webmail.one_truth.truth import assert_one_truth
from webmail.jmap.http.application import open_door

TIMEOUT_S = 30.0
OLD_CACHES = 3  # of those that a client kept of a mailbox, so many are tried beside the first


@asynccontextmanager
async def letter_doors(parts: Parts) -> AsyncIterator[Mapping[Door, int]]:
    """The doors at which letters are handed in, and their ports."""
    services = SmtpServices(
        resolve=parts.arrivals.resolve,
        take=parts.arrivals.take,
        take_each=parts.arrivals.take_each,
        sign_in=SubmissionSignIn(parts.logins),
        sender_addresses=parts.recipients.sender_addresses,
    )
    server = SmtpServer(parts.config.smtp, services, tls=None)
    ports = {}
    for door in (Door.MX, Door.LMTP):
        (listening,) = bind(Endpoint("127.0.0.1", 0))
        ports[door] = listening.getsockname()[1]
        await server.listen(door, listening)
    try:
        yield ports
    finally:
        await server.drain(0)


async def hand_in(door: Door, port: int, recipient: str, letter: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    hello = b"LHLO c.test" if door is Door.LMTP else b"HELO c.test"
    stuffed = (b"\r\n" + letter).replace(b"\r\n.", b"\r\n..")[2:]
    mail = (b"MAIL FROM:<p@elsewhere.test>", b"RCPT TO:<%s>" % recipient.encode(), b"DATA", stuffed + b".")
    async with asyncio.timeout(TIMEOUT_S):
        assert (await reader.readline()).startswith(b"220 ")
        for line in (hello, *mail):
            writer.write(line + b"\r\n")
            while (reply := await reader.readline())[3:4] == b"-":
                pass
            assert reply[:1] in (b"2", b"3"), (line, reply)
        writer.write(b"QUIT\r\n")
        await reader.read()
    writer.close()
    await writer.wait_closed()


@dataclass
class House:
    parts: Parts
    processes: list[Jmap]
    attic: Attic
    owner_url: str
    ports: Mapping[Door, int]
    dice: random.Random
    deeds: Deeds
    imap: list[ImapPerson] = field(default_factory=list)
    jmap: list[JmapPerson] = field(default_factory=list)
    locks: dict[int, asyncio.Lock] = field(default_factory=dict)

    @property
    def one(self) -> Someone:
        return self.attic.one

    async def open(self) -> None:
        for _ in range(4):
            await self.deliver(self.dice)
        await self.sign_in_by_imap()
        self.jmap = [JmapPerson(self.processes), JmapPerson(self.processes[::-1])]
        for person in self.jmap:
            await person.arrive()

    async def sign_in_by_imap(self) -> None:
        """Half of them at another process; those who were here keep their caches."""
        processes = [
            Services(self.parts.store, self.parts.logins, self.parts.watchers, self.parts.searches) for _ in range(2)
        ]
        kept = [(person.kept, person.kept_amid_expunges) for person in self.imap] or [({}, {}) for _ in KINDS]
        self.imap = []
        for number, ((speaks, is_rev2), caches) in enumerate(zip(KINDS, kept, strict=True)):
            person = ImapPerson(processes[number % 2], self.one.who, speaks, is_rev2)
            person.kept, person.kept_amid_expunges = caches
            await person.connect()
            self.imap.append(person)

    def close(self) -> None:
        for person in self.imap:
            person.go()

    # What happens, beside other things

    async def something(self) -> None:
        dice = random.Random(self.dice.getrandbits(64))
        deeds: dict[Callable[[random.Random], Awaitable[None]], int] = {
            self.by_imap: 10,
            self.by_jmap: 8,
            self.synchronise: 8,
            self.deliver: 5,
            self.upkeep: 4,
        }
        await dice.choices(list(deeds), list(deeds.values()))[0](dice)

    def one_at_a_time(self, person: object) -> asyncio.Lock:
        """Nobody says two things at once on one connection."""
        return self.locks.setdefault(id(person), asyncio.Lock())

    async def by_imap(self, dice: random.Random) -> None:
        person = dice.choice(self.imap)
        async with self.one_at_a_time(person):
            for _ in range(dice.randint(1, 6)):
                await person.work(dice, await self.one.names())

    async def by_jmap(self, dice: random.Random) -> None:
        person = dice.choice(self.jmap)
        async with self.one_at_a_time(person):
            for _ in range(dice.randint(1, 4)):
                await person.work(dice)

    async def synchronise(self, dice: random.Random) -> None:
        person = dice.choice(self.jmap)
        async with self.one_at_a_time(person):
            await person.synchronise(dice)

    async def deliver(self, dice: random.Random) -> None:
        letter = self.deeds.letter()
        if dice.random() < 0.3:
            await self.one.receive(letter, received_at=NOON + timedelta(minutes=dice.randrange(10_000)))
            return
        door = dice.choice(list(self.ports))
        await hand_in(door, self.ports[door], str(self.one.who.address), letter)

    # Upkeep

    async def upkeep(self, dice: random.Random) -> None:
        await dice.choice(
            (self.tier, self.compact, self.index, self.empty_bin, self.recover, self.cut_the_log, self.collect)
        )(dice)

    async def tier(self, dice: random.Random) -> None:
        await self.attic.tier(cold_after_days=dice.choice((5, 30)))

    async def compact(self, dice: random.Random) -> None:
        await self.attic.compact()

    async def index(self, dice: random.Random) -> None:
        who = self.one.who
        most = dice.choice((2, None))
        await index_account(self.one.store, who.tenant_id, who.account_id, most_messages=most)

    async def empty_bin(self, dice: random.Random) -> None:
        await self.one.empty_bin()

    async def recover(self, dice: random.Random) -> None:
        with contextlib.suppress(StorageError):
            await recovering.recover(self.one.store, self.one.who)

    async def collect(self, dice: random.Random) -> None:
        store = self.one.store
        await collect_blobs(store.database, store.keys, HotBlobs(grace_s=0))

    async def cut_the_log(self, dice: random.Random) -> None:
        """What is older is no longer known, as after `storage.change_retention`."""
        who = self.one.who
        values = {"tenant": who.tenant_id, "account": who.account_id, "behind": dice.randint(0, 40)}
        async with await psycopg.AsyncConnection.connect(self.owner_url) as owner:
            await owner.execute(
                "UPDATE account_state SET oldest_modseq = greatest(oldest_modseq, modseq - %(behind)s)"
                " WHERE tenant_id = %(tenant)s AND account_id = %(account)s",
                values,
            )
            await owner.execute(
                "DELETE FROM change c USING account_state a"
                " WHERE a.tenant_id = %(tenant)s AND a.account_id = %(account)s"
                " AND c.tenant_id = a.tenant_id AND c.account_id = a.account_id AND c.modseq < a.oldest_modseq",
                values,
            )

    # What nothing else may happen beside

    async def something_alone(self) -> None:
        if self.dice.random() < 0.12:
            await self.begin_epoch()
            return
        self.attic.age(40)
        await self.attic.tier()

    async def begin_epoch(self) -> None:
        """As after a restore that lost nothing: no sessions are open, no process remembers mailboxes."""
        self.close()
        who = self.one.who
        async with self.one.store.database.transaction(who.tenant_id) as connection:
            await start_epoch(connection, who.tenant_id, who.account_id)
        await self.sign_in_by_imap()

    # What must be so at any moment

    async def check(self) -> None:
        for person in self.imap:
            await person.look()
        listed = await mailboxes.list_mailboxes(self.one.store, self.one.who)
        names = [box.name for box in listed if box.is_selectable and not box.is_deleted]
        boxes = {name: await read_box(self.imap[0].services, self.one.who, name) for name in names}
        by_id = {box.id: box for box in boxes.values()}
        for person in self.imap:
            if person.cache.is_over or not person.cache.is_selected:
                continue
            now = by_id[person.box_id].picture
            assert person.picture() == now, (person.cache.said, person.picture(), now)
            person.remember()
        for box in boxes.values():
            await self.come_back(box)
        assert_one_truth(list(boxes.values()), await self.told(), self.origins())

    def origins(self) -> dict[str, str]:
        found = self.attic.sql("SELECT id, coalesce(origin_id, id) FROM message WHERE tenant_id = {t}")
        return {f"M{message}": f"M{origin}" for message, origin in found}

    async def come_back(self, box: Box) -> None:
        for person in self.imap:
            history: list[Kept] = person.kept.get(box.name, [])
            if not history:
                continue
            chosen = self.dice.sample(history[-25:], min(OLD_CACHES, len(history[-25:])))
            for kept in (history[0], *chosen, *person.kept_amid_expunges.pop(box.name, ())[-2:]):
                await come_back(person, box.name, kept, self.dice, box)

    async def told(self) -> dict[str, Records]:
        """What a process says that has seen nothing yet; the others say so too, and all caches are that."""
        fresh = open_door(replace(self.parts, account_views=AccountViews(self.parts.store)))
        told: dict[str, Records] = {}
        for kind in TYPES:
            told[kind], state = await everything(replace(self.processes[0], application=fresh), kind)
            for process in self.processes:
                assert await everything(process, kind) == (told[kind], state)
        for person in self.jmap:
            await person.synchronise_all(self.dice)
            for cache in person.caches:
                now = told[cache.kind]
                wrong = {
                    each: (cache.records.get(each), now.get(each))
                    for each in cache.records.keys() | now.keys()
                    if each not in cache.records or cache.records[each] != now.get(each)
                }
                assert not wrong, (cache.kind, cache.state, wrong)
        return told


async def new_house(
    parts: Parts,
    processes: list[Jmap],
    owner: "psycopg.Connection[tuple[Any, ...]]",
    services: RunningServices,
    ports: Mapping[Door, int],
    dice: random.Random,
) -> House:
    assert parts.objects is not None
    someone = Someone(parts.store, processes[0].person.principal)
    keys = await parts.store.keys.of(someone.who.tenant_id)
    attic = Attic(someone, parts.objects, keys, owner, services.secrets)
    for days in range(7, 180, 7):
        with contextlib.suppress(psycopg.Error):  # where content of another test rests
            attic.make_week(days)
    house = House(parts, processes, attic, services.owner_url, ports, dice, Deeds(someone, dice.getrandbits(64)))
    await house.open()
    return house
