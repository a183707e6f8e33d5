r"""Every transcript in pop3/, held with a session on real services; octets as they would go over the socket.

MESSAGES 120 200      the INBOX holds messages of so many octets
MESSAGE Subject: …    and this one; \r \n are understood
CLEAR                 the connection is not encrypted yet
IN                    greeting and sign-in, not shown
C: / S:               the client says, the server says exactly; a last … stands for anything, alone for any lines
TLS / HANG UP / OVER  TLS begins, the client goes, the server has hung up
LEFT 1 2              uids that the INBOX then holds
"""

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailserver.imap.session.conversation import Services as ImapServices
from mailserver.observability.logs import get_logger
from mailserver.pop3.conversation import Conversation, Services
from mailserver.pop3.dialogue import Dialogue
from mailserver.pop3.session import Session
from mailserver.services import messages
from mailserver.services.maildrop import open_maildrop
from storage.database import Database
from storage.store import MailStore
from storage.types import Flags
from tests.conftest import RunningServices
from tests.imap_services import imap_services
from tests.people import Person, new_person

TRANSCRIPTS = sorted((Path(__file__).parent / "pop3").glob("*.txt"))
NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
async def imap(store: MailStore, database: Database) -> AsyncIterator[ImapServices]:
    async with imap_services(store, database) as services:
        yield services


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
async def test_the_server_says_what_the_transcript_says(
    path: Path, imap: ImapServices, services: RunningServices
) -> None:
    person = await asyncio.to_thread(new_person, services)
    text = await asyncio.to_thread(path.read_text)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    await fill(imap.store, person, lines)
    player = await begin(Services(imap.store, imap.logins), person, is_encrypted="CLEAR" not in lines)
    for line in lines:
        await player.play(line)
    assert player.heard == [], "the server said more than the transcript"


async def fill(store: MailStore, person: Person, lines: list[str]) -> None:
    octets = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "MESSAGES":
            octets += [sized(int(number)) for number in rest.split()]
        elif word == "MESSAGE":
            octets.append(rest.replace("\\r", "\r").replace("\\n", "\n").encode())
    for each in octets:
        await messages.append(store, person.principal, "INBOX", each, flags=Flags(), received_at=NOON)


def sized(octets: int) -> bytes:
    return b"Subject: made to measure\r\n\r\n".ljust(octets - 2, b"x") + b"\r\n"


async def begin(services: Services, person: Person, *, is_encrypted: bool) -> "Player":
    talk = Conversation(
        services=services,
        peer="192.0.2.7",
        log=get_logger(),
        sign_in_failures_left=5,
        is_encrypted=is_encrypted,
        can_encrypt=True,
    )
    dialogue = Dialogue(Session(talk, bad_commands=3), hostname="mail.demo.test", line_octets=1024)
    drop = await open_maildrop(services.store, person.principal)
    words = {
        "user": person.address,
        "password": person.password,
        "plain": plain(person.address, person.password),
        "wrong": plain(person.address, "guess"),
        "uidvalidity": str(drop.uidvalidity),
    }
    return Player(dialogue, words, services, person, dialogue.greeting().decode().splitlines())


def plain(user: str, password: str) -> str:
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


@dataclass(slots=True)
class Player:
    """`heard` are lines of the server that nobody has compared yet."""

    dialogue: Dialogue
    words: dict[str, str]
    services: Services
    person: Person
    heard: list[str]

    async def play(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        for name, value in self.words.items():
            rest = rest.replace(f"{{{name}}}", value)
        match word:
            case "C:":
                await self.say(rest)
            case "S:":
                self.expect(rest)
            case "IN":
                self.heard.clear()
                await self.say(f"AUTH PLAIN {self.words['plain']}")
                assert self.heard.pop(0).startswith("+OK")
            case "TLS":
                assert self.dialogue.wants_tls
                self.dialogue.begin_tls()
            case "HANG":
                self.dialogue.close()
            case "OVER":
                assert self.dialogue.over
            case "LEFT":
                left = await open_maildrop(self.services.store, self.person.principal)
                assert [str(each.uid) for each in left.messages] == rest.split()
            case "MESSAGES" | "MESSAGE" | "CLEAR" | "":
                pass
            case _:
                raise AssertionError(f"no such line in a transcript: {line}")

    async def say(self, line: str) -> None:
        self.dialogue.receive(f"{line}\r\n".encode())
        octets = b"".join([each async for each in self.dialogue.turn()])
        self.heard += octets.decode().split("\r\n")[:-1]

    def expect(self, line: str) -> None:
        if line == "…":
            while self.heard and self.heard[0] != ".":
                self.heard.pop(0)
            return
        assert self.heard, f"nothing more was said; expected {line!r}"
        said = self.heard.pop(0)
        assert said == line or (line.endswith("…") and said.startswith(line[:-1])), f"{said!r} instead of {line!r}"
