"""An SMTP or LMTP connection: octets out, so many replies in."""

import asyncio
import base64
import time
from collections.abc import Sequence
from typing import cast

from tests.bench.load.imap_client import Failed


class SmtpClient(asyncio.Protocol):
    def __init__(self) -> None:
        self._buffer = b""
        self._replies: list[bytes] = []
        self._wanted = 0
        self._arrived: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not its subclasses

    def connection_lost(self, exception: Exception | None) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_exception(Failed(f"connection lost {exception or ''}"))

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\r\n")
        self._replies += [line for line in lines if line[3:4] != b"-"]
        if len(self._replies) >= self._wanted and self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    async def expect(self, replies: int = 1) -> None:
        if len(self._replies) < replies:
            self._wanted = replies
            self._arrived = asyncio.get_running_loop().create_future()
            await self._arrived
        found, self._replies = self._replies[:replies], self._replies[replies:]
        for reply in found:
            if reply[:1] not in b"23":
                raise Failed(f"{reply[:120]!r}")

    async def hello(self, *, is_lmtp: bool) -> None:
        await self.expect()
        self._write(b"LHLO bench.test\r\n" if is_lmtp else b"EHLO bench.test\r\n")
        await self.expect()

    async def sign_in(self, user: str, password: str) -> None:
        """AUTH PLAIN (RFC 4616)."""
        self._write(b"AUTH PLAIN %s\r\n" % base64.b64encode(f"\0{user}\0{password}".encode()))
        await self.expect()

    async def send(self, recipients: Sequence[bytes], stuffed: bytes, *, sender: bytes = b"bench@corp.test") -> float:
        """One message, commands pipelined (RFC 2920). When the message was handed over."""
        to = b"".join(b"RCPT TO:<%s>\r\n" % recipient for recipient in recipients)
        self._write(b"MAIL FROM:<%s>\r\n%sDATA\r\n" % (sender, to))
        await self.expect(2 + len(recipients))
        self._write(stuffed)
        sent_at = time.perf_counter()
        await self.expect()
        return sent_at

    def quit(self) -> None:
        if self._transport is not None:
            self._transport.write(b"QUIT\r\n")
            self._transport.close()

    def _write(self, octets: bytes) -> None:
        assert self._transport is not None
        self._transport.write(octets)


def stuffed(message: bytes) -> bytes:
    """With dots doubled and the end that DATA needs (RFC 5321 §4.5.2)."""
    if message.startswith(b"."):
        message = b"." + message
    return message.replace(b"\r\n.", b"\r\n..") + b".\r\n"
