"""An SMTP host for tests: a real socket, manners as asked for, and a record of what it took.

    async with SmtpPeer() as peer:                         # takes everything
    async with SmtpPeer(replies={Stage.RCPT: "550 5.1.1 Nobody"}) as peer:
    async with SmtpPeer(acts={Stage.DATA: Act.HANG}, host="127.0.0.3", port=first.port) as peer:

Replies and acts may be changed at any time; an act comes instead of the reply of its stage.
"""

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Self


class Stage(Enum):
    GREETING = "220 peer.test ESMTP"
    EHLO = ""  # from the extensions
    HELO = "250 peer.test"
    STARTTLS = "220 2.0.0 Go ahead"
    TLS = "-"  # the handshake
    AUTH = "235 2.7.0 Welcome"
    RSET = "250 2.0.0 Forgotten"
    MAIL = "250 2.1.0 Sender OK"
    RCPT = "250 2.1.5 Recipient OK"
    DATA = "354 Go on"
    CONTENT = "--"  # within the message, after its first octets
    END = "250 2.0.0 Taken as {number}"
    QUIT = "221 2.0.0 Bye"


class Act(Enum):
    HANG = auto()
    TRICKLE = auto()  # a reply that never ends, an octet now and then
    ENDLESS_LINE = auto()  # as fast as it goes
    ENDLESS_REPLY = auto()
    FLOOD = auto()  # whole replies nobody asked for, as fast as it goes
    GARBAGE = auto()
    HALF_A_REPLY = auto()  # then closes
    CLOSE = auto()
    RESET = auto()
    LONG_REPLY = auto()  # of many lines, then goes on as usual


@dataclass(frozen=True, slots=True)
class Taken:
    """One message that reached its end of data. `is_answered`: the reply left, so it is the peer's now."""

    mail: str
    recipients: tuple[str, ...]
    content: bytes
    connection: int
    is_encrypted: bool
    is_answered: bool


ActOf = Callable[[Stage, int, int], Act | None]
"""(stage, number of the connection, number of the message on it, both from 1) → what to do."""


@dataclass
class SmtpPeer:
    host: str = "127.0.0.1"
    port: int = 0
    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "SIZE 1000000")
    replies: dict[Stage, str] = field(default_factory=dict)
    recipient_replies: dict[str, str] = field(default_factory=dict)
    acts: dict[Stage, Act] = field(default_factory=dict)
    act_of: ActOf | None = None
    recipients_limit: int = 10_000
    takes_data_for_nobody: bool = False  # 354 though every recipient was refused
    tls: ssl.SSLContext | None = None  # STARTTLS is offered with it
    is_implicit_tls: bool = False
    offers_starttls: bool = False  # also without a certificate
    taken: list[Taken] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    batches: list[bytes] = field(default_factory=list)  # what each read brought, outside of messages
    connections: int = 0
    open: int = 0
    most_open: int = 0
    is_quiet: asyncio.Event = field(default_factory=asyncio.Event)  # no connection is open

    async def __aenter__(self) -> Self:
        listening = socket.create_server((self.host, self.port))
        self.port = listening.getsockname()[1]
        context = self.tls if self.is_implicit_tls else None
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._accept, sock=listening, ssl=context, limit=2**20)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def contents(self) -> list[bytes]:
        """Of the messages that are the peer's."""
        return [each.content for each in self.taken if each.is_answered]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio leaves it out for sockets it did not make
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self.is_quiet.clear()
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, _Over):
                await _Talk(self, reader, writer, self.connections).run()
        finally:
            self.open -= 1
            if not self.open:
                self.is_quiet.set()
            writer.close()


class _Over(Exception):
    """The connection ends here."""


class _Talk:
    def __init__(self, peer: SmtpPeer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self._peer = peer
        self._reader = reader
        self._writer = writer
        self._connection = number
        self._messages = 0
        self._mail = ""
        self._recipients: list[str] = []
        self._is_encrypted = peer.is_implicit_tls
        self._buffer = b""

    async def run(self) -> None:
        await self._answer(Stage.GREETING)
        while True:
            line = await self._read_line()
            self._peer.commands.append(line)
            await self._handle(line)

    async def _handle(self, line: str) -> None:
        match line.split(" ")[0].upper():
            case "EHLO":
                await self._answer(Stage.EHLO)
            case "HELO":
                await self._answer(Stage.HELO)
            case "STARTTLS":
                await self._start_tls()
            case "AUTH":
                await self._authenticate(line)
            case "RSET":
                self._mail, self._recipients = "", []
                await self._answer(Stage.RSET)
            case "MAIL":
                self._messages += 1
                self._mail = line
                if not await self._answer(Stage.MAIL):
                    self._mail = ""
            case "RCPT":
                await self._recipient(line)
            case "DATA":
                await self._message()
            case "QUIT":
                await self._answer(Stage.QUIT)
                raise _Over
            case _:
                await self._say("500 5.5.2 What?")

    async def _recipient(self, line: str) -> None:
        found = re.search("<(.*)>", line)
        address = found[1] if found else ""
        if not self._mail:
            await self._say("503 5.5.1 MAIL first")
        elif len(self._recipients) >= self._peer.recipients_limit:
            await self._say("452 4.5.3 Too many recipients")
        elif reply := self._peer.recipient_replies.get(address):
            if reply.startswith("2"):
                self._recipients.append(line)
            await self._say(reply)
        elif await self._answer(Stage.RCPT):
            self._recipients.append(line)

    async def _message(self) -> None:
        if not self._recipients and not self._peer.takes_data_for_nobody:
            await self._say("554 5.5.1 No valid recipients")
            return
        if not await self._answer(Stage.DATA):
            return
        if self._act(Stage.CONTENT) is not None or Stage.CONTENT in self._peer.replies:
            await self._fill()
            await self._answer(Stage.CONTENT)
            await self._until_hung_up()
        content = await self._read_content()
        number = len(self._peer.taken) + 1
        is_taken = self._reply(Stage.END).startswith("2") and self._act(Stage.END) is None
        self._peer.taken.append(
            Taken(self._mail, tuple(self._recipients), content, self._connection, self._is_encrypted, is_taken)
        )
        self._mail, self._recipients = "", []
        await self._answer(Stage.END, number=number)

    async def _start_tls(self) -> None:
        if not await self._answer(Stage.STARTTLS):
            return
        await self._do(self._act(Stage.TLS))
        assert self._peer.tls is not None
        self._buffer = b""
        await self._writer.start_tls(self._peer.tls)
        self._is_encrypted = True

    async def _authenticate(self, line: str) -> None:
        if line.upper() == "AUTH LOGIN":
            for challenge in ("334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"):
                await self._say(challenge)
                self._peer.commands.append(await self._read_line())
        await self._answer(Stage.AUTH)

    def _act(self, stage: Stage) -> Act | None:
        if self._peer.act_of is not None:
            return self._peer.act_of(stage, self._connection, self._messages)
        return self._peer.acts.get(stage)

    def _reply(self, stage: Stage) -> str:
        if stage is Stage.EHLO and stage not in self._peer.replies:
            offered = list(self._peer.extensions)
            if (self._peer.tls is not None or self._peer.offers_starttls) and not self._is_encrypted:
                offered.append("STARTTLS")
            lines = ["peer.test", *offered]
            return "\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])
        return self._peer.replies.get(stage, stage.value)

    async def _answer(self, stage: Stage, *, number: int = 0) -> bool:
        """Whether that was a yes."""
        await self._do(self._act(stage))
        reply = self._reply(stage)
        if not reply.startswith("-"):
            await self._say(reply.format(number=number) if stage is Stage.END else reply)
        if reply.startswith("421"):
            raise _Over
        return reply[0] in "23"

    async def _do(self, act: Act | None) -> None:
        match act:
            case None:
                return
            case Act.HANG:
                await self._until_hung_up()
            case Act.TRICKLE:
                await self._endlessly(b"250-", b"x", pause_s=0.02)
            case Act.ENDLESS_LINE:
                await self._endlessly(b"250-", b"x" * 16_384)
            case Act.ENDLESS_REPLY:
                await self._endlessly(b"", b"250-more\r\n" * 1_000)
            case Act.FLOOD:
                await self._endlessly(b"", b"250 ok\r\n" * 1_000)
            case Act.GARBAGE:
                self._writer.write(b"\x16\x03\x01\x00\xff nonsense \xfe\xff\r\n" * 3)
                await self._until_hung_up()
            case Act.HALF_A_REPLY:
                self._writer.write(b"250-half\r\n25")
                await self._writer.drain()
            case Act.LONG_REPLY:
                self._writer.write(b"".join(b"250-line %d %s\r\n" % (number, b"x" * 60) for number in range(300)))
                return
            case Act.RESET:
                raw = self._writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._writer.transport.abort()
            case Act.CLOSE:
                pass
        raise _Over

    async def _until_hung_up(self) -> None:
        while await self._reader.read(65_536):
            pass

    async def _endlessly(self, first: bytes, more: bytes, *, pause_s: float = 0.0) -> None:
        self._writer.write(first)
        while True:
            self._writer.write(more)
            await self._writer.drain()
            await asyncio.sleep(pause_s)

    async def _say(self, reply: str) -> None:
        self._writer.write(reply.encode() + b"\r\n")
        await self._writer.drain()

    async def _fill(self) -> None:
        data = await self._reader.read(65_536)
        if not data:
            raise _Over
        self._buffer += data

    async def _read_line(self) -> str:
        while b"\r\n" not in self._buffer:
            await self._fill()
            self._peer.batches.append(self._buffer)
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode()

    async def _read_content(self) -> bytes:
        """The octets before the end, dots taken off."""
        pieces = [b"\r\n" + self._buffer]
        tail = pieces[0][-8:]
        while b"\r\n.\r\n" not in tail:
            await self._fill_alone(pieces)
            tail = (tail + pieces[-1])[-(len(pieces[-1]) + 8) :]
        content, _, self._buffer = b"".join(pieces).partition(b"\r\n.\r\n")
        return (content + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]

    async def _fill_alone(self, pieces: list[bytes]) -> None:
        data = await self._reader.read(65_536)
        if not data:
            raise _Over
        pieces.append(data)
