"""An IMAP connection that costs little: it does not parse, it looks for the tagged line.

Tags are random, so that no mail holds one; `check_fetch` and the hits of the searches show that answers are right.
"""

import asyncio
import random
from collections.abc import Callable
from itertools import count
from typing import cast


class Failed(Exception):
    """The server refused, or the connection was lost."""


class ImapClient(asyncio.Protocol):
    """One command at a time; the future of `send` holds the tagged status."""

    _numbers = count()

    def __init__(self) -> None:
        self._prefix = b"q%04xz%d." % (random.getrandbits(16), next(ImapClient._numbers))
        self._sent = 0
        self._tail = b"\r\n"
        self._wanted: bytes | None = None
        self._status: asyncio.Future[bytes] | None = None
        self._go_ahead: asyncio.Future[bool] | None = None
        self._wants_go_ahead = False
        self._kept: list[bytes] | None = None
        self._watch: Callable[[bytes], None] | None = None
        self._transport: asyncio.Transport | None = None
        self._is_closed = False
        self.greeting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.capabilities = b""
        self.received = 0

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not its subclasses

    def connection_lost(self, exception: Exception | None) -> None:
        for future in (self._status, self._go_ahead, self.greeting):
            if future is not None and not future.done():
                if self._is_closed:
                    future.cancel()
                else:
                    future.set_exception(Failed(f"connection lost {exception or ''}"))

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self._kept is not None:
            self._kept.append(data)
        if not self.greeting.done():
            self._receive_greeting(data)
            return
        if self._watch is not None:
            self._watch(data)
        buffer = self._tail + data
        if self._wants_go_ahead and b"\r\n+" in buffer:
            self._wants_go_ahead = False
            self._answer_go_ahead(True)
        if self._wanted is not None:
            at = buffer.find(self._wanted)
            if at >= 0:
                self._receive_tagged(buffer, at, self._wanted)
                return
        self._tail = buffer[-48:]

    def _receive_greeting(self, data: bytes) -> None:
        buffer = self._tail + data
        if b"\r\n" in buffer[2:]:
            self.capabilities = buffer
            self._tail = b"\r\n"
            self.greeting.set_result(buffer[2:])
        else:
            self._tail = buffer

    def _receive_tagged(self, buffer: bytes, at: int, wanted: bytes) -> None:
        end = buffer.find(b"\r\n", at + 2)
        if end < 0:
            self._tail = buffer[at:]
            return
        self._wanted, self._wants_go_ahead, self._tail = None, False, b"\r\n"
        self._answer_go_ahead(False)
        if self._status is not None and not self._status.done():
            self._status.set_result(buffer[at + len(wanted) : end])

    def _answer_go_ahead(self, is_given: bool) -> None:
        if self._go_ahead is not None and not self._go_ahead.done():
            self._go_ahead.set_result(is_given)

    # what workloads call

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    def send(self, line: bytes, *, waits_for_go_ahead: bool = False, literal: bytes = b"") -> "asyncio.Future[bytes]":
        self._sent += 1
        tag = self._prefix + b"%d" % self._sent
        self._wanted = b"\r\n" + tag + b" "
        self._tail = b"\r\n"
        loop = asyncio.get_running_loop()
        self._status = loop.create_future()
        if waits_for_go_ahead:
            self._go_ahead, self._wants_go_ahead = loop.create_future(), True
        self.transport.write(tag + b" " + line + b"\r\n" + literal)
        return self._status

    async def command(self, line: bytes, *, may_fail: bool = False) -> bytes:
        status = await self.send(line)
        if not may_fail and not status.startswith(b"OK"):
            raise Failed(f"{line[:60]!r} -> {status[:120]!r}")
        return status

    async def whole_answer(self, line: bytes) -> bytes:
        self._kept = []
        try:
            await self.command(line)
            return b"".join(self._kept)
        finally:
            self._kept = None

    async def start_tls(self, context: object) -> None:
        await self.command(b"STARTTLS")
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(self.transport, self, context)  # type: ignore[arg-type]
        assert transport is not None
        self._transport = transport

    async def append(self, mailbox: bytes, message: bytes) -> None:
        octets = len(message)
        if b"LITERAL+" in self.capabilities or (b"LITERAL-" in self.capabilities and octets <= 4096):
            status = await self.send(b"APPEND %s {%d+}" % (mailbox, octets), literal=message + b"\r\n")
        else:
            status = await self._with_literal(b"APPEND %s " % mailbox, message)
        if not status.startswith(b"OK"):
            raise Failed(f"APPEND -> {status[:120]!r}")

    async def append_many(self, mailbox: bytes, messages: list[bytes]) -> None:
        """MULTIAPPEND (RFC 3502) with LITERAL+, or one command after another."""
        if b"MULTIAPPEND" not in self.capabilities or b"LITERAL+" not in self.capabilities:
            for message in messages:
                await self.append(mailbox, message)
            return
        first, *others = (b" {%d+}\r\n" % len(message) + message for message in messages)
        head, _, literal = first.partition(b"\r\n")
        status = await self.send(b"APPEND " + mailbox + head, literal=literal + b"".join(others) + b"\r\n")
        if not status.startswith(b"OK"):
            raise Failed(f"APPEND -> {status[:120]!r}")

    async def search_text(self, charset: bytes, text: bytes) -> bytes:
        """SEARCH CHARSET ... TEXT with a literal; the whole answer."""
        self._kept = []
        try:
            status = await self._with_literal(b"SEARCH CHARSET %s TEXT " % charset, text)
            if not status.startswith(b"OK"):
                raise Failed(f"SEARCH -> {status[:120]!r}")
            return b"".join(self._kept)
        finally:
            self._kept = None

    async def _with_literal(self, head: bytes, literal: bytes) -> bytes:
        status = self.send(b"%s{%d}" % (head, len(literal)), waits_for_go_ahead=True)
        assert self._go_ahead is not None
        if await self._go_ahead:
            self.transport.write(literal + b"\r\n")
        return await status

    async def idle(self, watch: Callable[[bytes], None] | None = None) -> None:
        self._watch = watch
        self.send(b"IDLE", waits_for_go_ahead=True)
        assert self._go_ahead is not None
        if not await self._go_ahead:
            raise Failed("no IDLE")

    def close(self) -> None:
        self._is_closed = True
        if self._transport is not None:
            self._transport.abort()
