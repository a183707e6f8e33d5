"""Clients on real connections that believe what they are told (`tests.imap_cache`), and do random things."""

import asyncio
import itertools
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.flows.installation import Installation, Person
from tests.imap_cache import ImapCache, Kept, Speaks
from tests.imap_deeds import next_deed

PATIENCE_S = 60.0
_TAGGED = re.compile(r"b\d+ (OK|NO|BAD)\b")
_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")


@dataclass(slots=True)
class Wire:
    """One connection over TLS."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def line(self) -> str:
        """With its literals, so that no line of a message is taken for one of the server; empty at the end."""
        octets = await self.reader.readline()
        while found := _LITERAL.search(octets):
            octets += await self.reader.readexactly(int(found[1]))
            octets += await self.reader.readline()
        return octets.decode("utf-8", "replace").removesuffix("\r\n")

    def close(self) -> None:
        """As when a cable is pulled."""
        self.writer.transport.abort()


@dataclass(slots=True)
class Believer:
    """`kept` is what was known of each mailbox at some moments: a client may come back with any of it."""

    installation: Installation
    person: Person
    speaks: Speaks
    is_rev2: bool
    dice: random.Random
    cache: ImapCache = field(init=False)
    wire: Wire = field(init=False)
    name: str = ""
    is_idling: bool = False
    kept: dict[str, list[Kept]] = field(default_factory=dict)
    _tags: Iterator[int] = field(default_factory=itertools.count)

    async def connect(self) -> None:
        reader, writer = await asyncio.open_connection(
            "localhost", self.installation.port("imaps"), ssl=self.installation.tls(), limit=1 << 20
        )
        self.wire = Wire(reader, writer)
        await self.wire.line()
        self.is_idling = False
        self.cache = ImapCache(self.speaks, self.is_rev2)
        await self.say(f"LOGIN {self.person.address} {self.person.password}")
        if self.speaks == Speaks.QRESYNC:
            await self.say("ENABLE QRESYNC" + (" IMAP4rev2" if self.is_rev2 else ""))

    async def say(self, command: str) -> None:
        self.cache.begin(command)
        self.wire.writer.write(f"b{next(self._tags)} {command}\r\n".encode())
        await self._listen(until_continuation=command == "IDLE")

    async def _listen(self, *, until_continuation: bool = False) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not self.cache.is_over:
                line = await self.wire.line()
                assert line, ("the connection ended", self.cache.said)
                self.cache.hear(line)
                if _TAGGED.match(line) or (until_continuation and line.startswith("+ ")):
                    return

    async def select(self, name: str, kept: Kept | None = None) -> None:
        history = self.kept.setdefault(name, [])
        if kept is None and history and self.dice.random() < 0.8:
            kept = self.dice.choice(history[-3:])
        self.name = name
        await self.say(
            f"{self.dice.choice(('SELECT', 'SELECT', 'EXAMINE'))} {name}{self.cache.resume(kept, self.dice)}"
        )

    async def catch_up(self) -> None:
        """Ask of what came."""
        if self.cache.first_unknown is not None:
            await self.say(f"FETCH {self.cache.first_unknown}:* (UID FLAGS)")

    async def end_idle(self) -> None:
        self.is_idling = False
        self.wire.writer.write(b"DONE\r\n")
        await self._listen()

    def remember(self) -> None:
        if self.cache.is_selected and self.speaks == Speaks.QRESYNC:
            self.kept.setdefault(self.name, []).append(self.cache.kept())

    async def step(self, names: Sequence[str]) -> None:
        """One random deed."""
        if self.is_idling:
            await asyncio.sleep(0)
            await self.end_idle()
        if self.cache.is_over:
            self.wire.close()
            await self.connect()
        chance = self.dice.random()
        if not self.cache.is_selected or chance < 0.06:
            await self.select(self.dice.choice(names))
        elif chance < 0.1:
            self.is_idling = True
            await self.say("IDLE")
        elif chance < 0.13:
            self.wire.close()
            await self.connect()
        elif chance < 0.4 and self.cache.first_unknown is not None:
            await self.catch_up()
        else:
            await self.say(next_deed(self.cache, self.dice, names))
        if not self.is_idling and not self.cache.is_over:
            self.remember()
