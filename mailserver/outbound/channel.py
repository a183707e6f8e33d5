"""One connection to a host as an asyncio protocol: octets out, whole replies in, TLS, waits that end.

A wait is for the whole of what is waited for, so a host that sends an octet now and then gains nothing by it. What a
host sends unasked is bounded by the reply reader; once it is no SMTP the connection is cut.
"""

import asyncio
import ssl
from typing import cast

from mailserver.outbound.metrics import OPEN
from mailserver.outbound.outcomes import Reason
from mailserver.outbound.wire.reply_reader import NotSmtp, RawReply, ReplyReader

WRITE_TOGETHER_OCTETS = 65_536
LINGER_S = 5.0  # for the host to take the last octets, and end TLS


class Interrupted(Exception):
    """The conversation cannot go on."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Channel(asyncio.Protocol):
    """Made by `loop.create_connection`."""

    def __init__(self, reader: ReplyReader) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = reader
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._unsent_octets = 0
        self._can_write = True
        self._is_lost = False
        self._is_timed_out = False
        self._waiter: asyncio.Future[None] | None = None

    # -- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        OPEN.labels().inc()

    def data_received(self, data: bytes) -> None:
        self._reader.receive(data)
        if self._reader.is_at_fault and self._transport is not None:
            self._is_lost = True
            self._transport.abort()
        self._wake()

    def eof_received(self) -> bool:
        self._is_lost = True
        self._wake()
        return False

    def pause_writing(self) -> None:
        self._can_write = False

    def resume_writing(self) -> None:
        self._can_write = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        OPEN.labels().dec()
        self._is_lost = True
        self._wake()

    # -- what the conversation calls

    @property
    def is_lost(self) -> bool:
        return self._is_lost

    @property
    def is_quiet(self) -> bool:
        """Whether it may be used again: open, and the host said nothing that nobody asked for."""
        return not self._is_lost and self._reader.is_empty

    @property
    def has_reply(self) -> bool:
        return self._reader.has_reply

    @property
    def tls(self) -> str:
        """As "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: in clear."""
        tls = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        return f"{tls.version()} {tls.cipher()[0]}" if tls is not None else ""

    def say(self, octets: bytes) -> None:
        """Sent with the next `flush`, or when there is much."""
        self._unsent.append(octets)
        self._unsent_octets += len(octets)
        if self._unsent_octets >= WRITE_TOGETHER_OCTETS:
            self.flush()

    def flush(self) -> None:
        if self._unsent and self._transport is not None and not self._is_lost:
            self._transport.write(self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent))
        self._unsent.clear()
        self._unsent_octets = 0

    async def reply(self, timeout_s: float) -> RawReply:
        """Raises Interrupted; replies that came before the end are given out first."""
        self.flush()
        self._is_timed_out = False
        timer: asyncio.TimerHandle | None = None
        try:
            while (reply := self._next_reply()) is None:
                if self._is_lost:
                    raise Interrupted(Reason.CONNECTION_LOST)
                if timer is None:
                    timer = self._loop.call_later(timeout_s, self._time_out)
                await self._wait()
        finally:
            if timer is not None:
                timer.cancel()
        return reply

    async def room(self, timeout_s: float) -> None:
        """Until the host took most of what was sent. Returns early when it answers or hangs up; raises Interrupted."""
        if self._can_write:
            return
        self._is_timed_out = False
        timer = self._loop.call_later(timeout_s, self._time_out)
        try:
            while not (self._can_write or self._is_lost or self._reader.has_reply):
                await self._wait()
        finally:
            timer.cancel()

    async def start_tls(self, context: ssl.SSLContext, host: str, timeout_s: float) -> None:
        """What the host sent ahead in clear is dropped. Raises OSError (SSLError is one) or TimeoutError."""
        if self._transport is None or self._is_lost:
            raise ConnectionResetError
        self._reader.discard()
        encrypted = await self._loop.start_tls(
            self._transport,
            self,
            context,
            server_hostname=host,
            ssl_handshake_timeout=timeout_s,
            ssl_shutdown_timeout=LINGER_S,
        )
        if encrypted is None or self._is_lost:
            raise ConnectionResetError
        self._transport = encrypted

    def close(self) -> None:
        """What was sent still goes out, for a while."""
        transport = self._transport
        if transport is not None:
            transport.close()
            if transport.get_write_buffer_size():
                self._loop.call_later(LINGER_S, transport.abort)

    def abort(self) -> None:
        self._is_lost = True
        if self._transport is not None:
            self._transport.abort()

    def _next_reply(self) -> RawReply | None:
        try:
            return self._reader.next_reply()
        except NotSmtp as fault:
            raise Interrupted(Reason.NOT_SMTP, fault.reason) from None

    async def _wait(self) -> None:
        """Until anything happened. Raises Interrupted if what happened is the end of the time."""
        if not self._is_timed_out:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._is_timed_out and not self._reader.has_reply:
            raise Interrupted(Reason.TIMED_OUT)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _time_out(self) -> None:
        self._is_timed_out = True
        self._wake()
