"""Runs a transcript against a real session over real Postgres; everything is as in the server but the socket.

A transcript is one behaviour, in lines:

    # a remark
    = signed in                      set-up, see `_SET_UP`; `2 = …` is for the second client, as are C2: and S2:
    C: a1 SELECT INBOX               the client sends this line
    L: Subject: hi                   … or this line of a message; `{*}` and `{*+}` in the command count them
    M:  (\\Seen) {*}                 … or what stands between one message and the next
    S: * 3 EXISTS                    the server must say exactly this line, and nothing before it
    S: * OK [UIDVALIDITY <v>] <...>  <name> stands for a word, the same one wherever it comes again; <...> for any text

At the end the server must have nothing more to say.
"""

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from mailserver.imap.config import ImapConfig, framing_limits, framing_limits_before_sign_in
from mailserver.imap.session.conversation import Conversation, Services
from mailserver.imap.session.dialogue import Dialogue
from mailserver.imap.session.session import Session
from mailserver.imap.session.state import State
from mailserver.imap.wire.compression import Compression
from mailserver.observability.logs import get_logger
from mailserver.services import mailboxes, messages
from mailserver.services.recovering import recover
from storage.types import FlagChange, FlagOperation, Flags, SystemFlag, Uid
from tenants.types import Principal
from tests.conftest import NOON, plain_message
from tests.people import Person

PATIENCE_S = 10.0
MESSAGE_LIMIT_OCTETS = 4096
_NAMED = re.compile(r"<([a-z][a-z-]*|\.\.\.)>")
_LINE = re.compile(r"(?:(C|S|L|M)(\d?): ?(.*)|(?:(\d) )?= (.*))")

FLAGS = {f"\\{flag.name.title()}": flag for flag in SystemFlag if flag.name}


class TranscriptFailed(AssertionError):
    pass


@dataclass(slots=True)
class Client:
    """One connection, without the connection."""

    dialogue: Dialogue
    talk: Conversation
    woken: asyncio.Event
    lines: list[str] = field(default_factory=list)
    rest: bytes = b""
    compression: Compression | None = None

    async def send(self, data: bytes) -> None:
        self.dialogue.receive(data if self.compression is None else self.compression.deflate(data))
        await self.turn()

    async def turn(self) -> None:
        self.woken.clear()
        async for octets in self.dialogue.turn():
            self.rest += octets if self.compression is None else inflated(self.compression, octets)
        if self.dialogue.wants_tls:
            self.dialogue.begin_tls()
        *lines, self.rest = self.rest.split(b"\r\n")
        self.lines += [line.decode("utf-8", "surrogateescape") for line in lines]

    async def next_line(self) -> str:
        async with asyncio.timeout(PATIENCE_S):
            while not self.lines:
                await self.woken.wait()
                await self.turn()
        return self.lines.pop(0)


def inflated(compression: Compression, octets: bytes) -> bytes:
    compression.receive(octets)
    return b"".join(iter(compression.inflate, b""))


def connect(services: Services, *, is_encrypted: bool = False, sign_in_failures: int = 3) -> Client:
    woken = asyncio.Event()
    talk = Conversation(
        services=services,
        peer="192.0.2.7",
        log=get_logger(),
        wake=woken.set,
        now=lambda: NOON,
        sign_in_failures_left=sign_in_failures,
        is_encrypted=is_encrypted,
        can_encrypt=True,
        append_limit_octets=MESSAGE_LIMIT_OCTETS,
        mechanisms=("SCRAM-SHA-256", "PLAIN"),
    )
    config = ImapConfig()
    dialogue = Dialogue(
        Session(talk, clock=lambda: 0.0),
        limits=framing_limits_before_sign_in(config),
        limits_signed_in=framing_limits(config, message_limit_octets=MESSAGE_LIMIT_OCTETS),
    )
    return Client(dialogue, talk, woken, [dialogue.greeting().decode().rstrip("\r\n")])


@dataclass(slots=True)
class Transcript:
    services: Services
    person: Person
    named: dict[str, str] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """What transcripts may say of the person: <address>, <password>, and both in the form of SASL PLAIN."""
        address, password = self.person.address, self.person.password
        plain = base64.b64encode(f"\0{address}\0{password}".encode()).decode()
        self.named.update(address=address, password=password, plain=plain)

    @property
    def who(self) -> Principal:
        return self.person.principal

    def client(self, number: str) -> Client:
        number = number or "1"
        if number not in self.clients:
            self.clients[number] = connect(self.services)
        return self.clients[number]

    async def run(self, text: str) -> None:
        lines = text.splitlines()
        for index, line in enumerate(lines):
            if not line.strip() or line.startswith("#"):
                continue
            parsed = _LINE.fullmatch(line)
            if parsed is None:
                raise TranscriptFailed(f"line {index + 1} is no line of a transcript: {line}")
            try:
                await self._step(parsed, lines[index + 1 :])
            except (AssertionError, TimeoutError) as error:
                raise TranscriptFailed(f"line {index + 1}: {line}\n{error!r}") from error
        for number, client in self.clients.items():
            if client.lines:
                raise TranscriptFailed(f"client {number} was also told: {client.lines}")

    async def _step(self, parsed: re.Match[str], following: list[str]) -> None:
        kind, number, text, set_up_number, set_up = parsed.groups()
        client = self.client(number or set_up_number or "")
        if set_up is not None:
            await self._set_up(client, set_up)
        elif kind == "S":
            self._expect(text, await client.next_line())
        else:
            text = _NAMED.sub(lambda match: self.named.get(match[1], match[0]), text)
            text = text.replace("{*", f"{{{_octets_of(following)}")
            is_last_of_message = kind == "L" and not (following and following[0].startswith(("L", "M")))
            end = b"\r\n\r\n" if is_last_of_message else b"\r\n"  # the command's own line end follows its literal
            await client.send(text.encode("utf-8", "surrogateescape") + end)

    def _expect(self, expected: str, said: str) -> None:
        pattern, names = "", []
        position = 0
        for match in _NAMED.finditer(expected):
            pattern += re.escape(expected[position : match.start()])
            position = match.end()
            name = match[1]
            if name == "...":
                pattern += ".*"
            elif name in self.named:
                pattern += re.escape(self.named[name])
            else:
                names.append(name)
                pattern += r"([^ \])]+)"
        found = re.fullmatch(pattern + re.escape(expected[position:]), said)
        if found is None:
            raise AssertionError(f"the server said: {said}")
        self.named.update(zip(names, found.groups(), strict=True))

    async def _set_up(self, client: Client, words: str) -> None:
        for pattern, act in _SET_UP.items():
            if match := re.fullmatch(pattern, words):
                await act(self, client, *match.groups())
                return
        raise AssertionError(f"no such set-up: {words}")


def _octets_of(following: list[str]) -> int:
    """The message that follows a `{*}`: its L: lines, up to the next line that the client sends as a command."""
    octets = 0
    for line in following:
        if line.startswith("L"):
            octets += len(line.partition(":")[2].removeprefix(" ").encode("utf-8", "surrogateescape")) + 2
        elif line.startswith(("C", "M")):
            break
    return octets


async def _greeted(transcript: Transcript, client: Client) -> None:
    client.lines.clear()


async def _encrypted(transcript: Transcript, client: Client) -> None:
    client.talk.is_encrypted = True
    client.lines.clear()


async def _signed_in(transcript: Transcript, client: Client) -> None:
    client.lines.clear()
    client.talk.is_encrypted = True
    client.talk.who = transcript.who
    client.talk.state = State.AUTHENTICATED
    await client.send(b"setup NOOP\r\n")
    assert client.lines == ["setup OK Done"]
    client.lines.clear()


async def _selected(transcript: Transcript, client: Client, name: str) -> None:
    await _signed_in(transcript, client)
    await client.send(f"setup SELECT {name}\r\n".encode())
    assert client.lines[-1].startswith("setup OK"), client.lines
    client.lines.clear()


async def _mailbox(transcript: Transcript, client: Client, name: str) -> None:
    await mailboxes.create(transcript.services.store, transcript.who, name)


async def _messages(transcript: Transcript, client: Client, count: str, name: str) -> None:
    for number in range(1, int(count) + 1):
        await _append(transcript, name, plain_message(number), Flags())


async def _message(transcript: Transcript, client: Client, name: str, flags: str, file: str) -> None:
    octets = (Path(__file__).parent / "messages" / file).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    words = flags.split()
    system = SystemFlag(sum(FLAGS[word] for word in words if word in FLAGS))
    await _append(transcript, name, octets, Flags(system, frozenset(word for word in words if word not in FLAGS)))


async def _big_message(transcript: Transcript, client: Client, octets: str, name: str) -> None:
    line = "All work and no play makes Jack a dull boy, and this line has 78 octets in all.\r\n"
    body = line * (int(octets) // len(line))
    await _append(transcript, name, plain_message(1, body=body), Flags())


async def _letter(transcript: Transcript, client: Client, name: str, flags: str, day: str, fields: str) -> None:
    """Header fields on one line, parted by ` | `; they and the body come as they are written."""
    header = "\r\n".join(fields.split(" | "))
    at = datetime.fromisoformat(f"{day}T12:00:00+00:00") if day else _NOV_2
    words = flags.split()
    system = SystemFlag(sum(FLAGS[word] for word in words if word in FLAGS))
    shown = Flags(system, frozenset(word for word in words if word not in FLAGS))
    await _append(transcript, name, f"{header}\r\n\r\nText.\r\n".encode(), shown, at)


_NOV_2 = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


async def _append(transcript: Transcript, name: str, octets: bytes, flags: Flags, at: datetime = _NOV_2) -> None:
    await messages.append(transcript.services.store, transcript.who, name, octets, flags=flags, received_at=at)


async def _flags(transcript: Transcript, client: Client, name: str, uid: str, flags: str) -> None:
    mailbox = await mailboxes.find(transcript.services.store, transcript.who, name)
    words = flags.split()
    system = SystemFlag(sum(FLAGS[word] for word in words if word in FLAGS))
    change = FlagChange(FlagOperation.REPLACE, Flags(system, frozenset(word for word in words if word not in FLAGS)))
    await messages.change_flags(transcript.services.store, transcript.who, mailbox.id, [Uid(int(uid))], change)


async def _expunged(transcript: Transcript, client: Client, name: str, uid: str) -> None:
    """Another session expunges the message."""
    await _flags(transcript, client, name, uid, "\\Deleted")
    mailbox = await mailboxes.find(transcript.services.store, transcript.who, name)
    await messages.expunge(transcript.services.store, transcript.who, mailbox.id, [Uid(int(uid))])


async def _brought_back(transcript: Transcript, client: Client) -> None:
    """An administrator, or the person elsewhere, empties the bin into the mailboxes."""
    await recover(transcript.services.store, transcript.who)


async def _only_inbox(transcript: Transcript, client: Client) -> None:
    """The other first folders are gone, and nothing is subscribed to."""
    store, who = transcript.services.store, transcript.who
    for mailbox in await mailboxes.list_mailboxes(store, who):
        await mailboxes.unsubscribe(store, who, mailbox.name)
        if mailbox.name != "INBOX":
            await mailboxes.delete(store, who, mailbox.name)


async def _compressed(transcript: Transcript, client: Client) -> None:
    """From here on the client compresses, and takes what comes for compressed."""
    client.compression = Compression()


async def _not_compressed(transcript: Transcript, client: Client) -> None:
    client.compression = None


async def _quota(transcript: Transcript, client: Client, octets: str) -> None:
    """As if the person had signed in with this quota."""
    client.talk.who = replace(transcript.who, quota_octets=int(octets))


async def _subscribed(transcript: Transcript, client: Client, name: str) -> None:
    await mailboxes.subscribe(transcript.services.store, transcript.who, name)


_SET_UP: dict[str, Callable[..., Awaitable[None]]] = {
    r"greeted": _greeted,
    r"encrypted": _encrypted,
    r"signed in": _signed_in,
    r"selected (\S+)": _selected,
    r"mailbox (.+)": _mailbox,
    r"compressed": _compressed,
    r"not compressed": _not_compressed,
    r"a quota of (\d+) octets": _quota,
    r"only INBOX": _only_inbox,
    r"subscribed to (.+)": _subscribed,
    r"(\d+) messages? in (\S+)": _messages,
    r"message in (\S+) \((.*)\) from (\S+)": _message,
    r"letter in (\S+) \((.*?)\) (\d{4}-\d\d-\d\d)?: ?(.+)": _letter,
    r"a message of (\d+) octets in (\S+)": _big_message,
    r"flags of (\S+) uid (\d+) are \((.*)\)": _flags,
    r"what was expunged is brought back": _brought_back,
    r"uid (\d+) of (\S+) is expunged": lambda t, c, uid, name: _expunged(t, c, name, uid),
}
