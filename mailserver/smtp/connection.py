"""One SMTP connection on an asyncio transport: octets to events, replies to octets, TLS, waiting, hanging up.

One task a connection takes events from the framer. While it works on one, octets pile up to a bound and then reading
pauses; while the client does not read, nothing more is worked on. Replies to pipelined commands leave in one write
(RFC 2920 §3.2).
"""

import asyncio
import ssl
from collections.abc import Callable
from time import monotonic
from typing import Final, cast

from structlog.typing import FilteringBoundLogger

from mailserver.smtp import replies
from mailserver.smtp.config import SmtpConfig
from mailserver.smtp.replies import Reply, encode
from mailserver.smtp.session import Session
from mailserver.smtp.trace import TlsFacts
from mailserver.smtp.wire.framing import Framer, MessageEnd

UNREAD_LIMIT_OCTETS: Final = 131_072
UNSENT_LIMIT_OCTETS: Final = 16_384
EVENTS_IN_A_TURN: Final = 50  # about a millisecond, then the others go on
LINGER_S: Final = 10.0  # for the client to take the last reply

TlsContext = Callable[[], ssl.SSLContext]


class Connection(asyncio.Protocol):
    """`opened` gives the session, or the reply that sends the client away; `closed` is called once, at the end."""

    def __init__(
        self,
        config: SmtpConfig,
        framer: Framer,
        *,
        tls: TlsContext | None,
        opened: Callable[["Connection", str], Session | Reply],
        closed: Callable[["Connection"], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._config = config
        self._framer = framer
        self._tls = tls
        self._opened = opened
        self._closed = closed
        self._log = log
        self.before_opening: Callable[[], None] = _nothing
        self.told_address: str | None = None  # who the client is, when that is known from elsewhere than the socket
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_encrypted = False
        self._is_reading = True
        self._is_lost = False
        self._has_ended = False
        self._last_word: Reply | None = None
        self._is_timed_out = False
        self._can_write = True
        self._waiting: asyncio.Future[None] | None = None
        self._waits_since_s = monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._unsent: list[bytes] = []
        self._unsent_octets = 0

    # -- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._is_encrypted = transport.get_extra_info("ssl_object") is not None
        self.before_opening()
        session = self._opened(self, _address(transport) if self.told_address is None else self.told_address)
        if isinstance(session, Reply):
            self._transport.write(encode(session))
            self._finish(None)
            return
        self._task = self._loop.create_task(self._serve(self._transport, session))
        self._task.add_done_callback(lambda _: self._finish(session))  # also if it is cancelled before it began

    def data_received(self, data: bytes) -> None:
        self._framer.receive(data)
        if self._framer.waiting_octets > UNREAD_LIMIT_OCTETS and self._is_reading and self._transport is not None:
            self._is_reading = False
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """A client may end its side early and still wants its replies; TLS cannot be half closed."""
        self._has_ended = True
        self._wake()
        return not self._is_encrypted

    def pause_writing(self) -> None:
        self._can_write = False

    def resume_writing(self) -> None:
        self._can_write = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        self._can_write = True
        self._wake()

    # -- what the server calls

    def drain(self) -> None:
        """Say 421 and hang up, at once or after the message that is on its way."""
        self._hang_up(replies.SHUTTING_DOWN)

    def sign_out(self) -> None:
        """The same, because the person is signed in no longer."""
        self._hang_up(replies.SIGNED_OUT)

    def _hang_up(self, last_word: Reply) -> None:
        self._last_word = last_word
        self._wake()

    def abort(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None and not self._is_lost:  # asyncio's TLS forgets what it stands on
            self._transport.abort()

    # -- the conversation

    async def _serve(self, transport: asyncio.Transport, session: Session) -> None:
        try:
            if self._is_encrypted:
                session.secured(_tls_facts(transport))
            self._say(session.greeting())
            await self._converse(session)
            self._flush()
        except Exception as error:  # noqa: BLE001 (the door: one connection ends, the others live on)
            self._log.error("connection failed", exc_info=error)
            transport.abort()

    async def _converse(self, session: Session) -> None:
        framer = self._framer
        handled = 0
        while not (session.is_over or self._is_lost):
            if self._is_timed_out:
                self._say(replies.IDLE_TOO_LONG)
                return
            if self._last_word is not None and not session.is_in_message:
                self._say(self._last_word)
                return
            event = framer.next_event() if self._can_write else None
            if event is None:
                if self._has_ended and self._can_write:
                    return
                await self._wait_for_client(session)
                continue
            for answer in await session.handle(event):
                self._say(answer)
            self._waits_since_s = monotonic()
            if session.wants_message:
                framer.begin_message()
            elif (chunk := session.wants_chunk) is not None:
                framer.begin_chunk(chunk.octets, is_first=chunk.is_first, is_last=chunk.is_last)
            elif session.wants_tls:
                await self._start_tls(session)
            elif type(event) is MessageEnd:
                self._flush()  # whoever waits for this 250 should not wait for what comes behind it
            handled += 1
            if handled % EVENTS_IN_A_TURN == 0 or self._unsent_octets > UNSENT_LIMIT_OCTETS:
                self._flush()
                await asyncio.sleep(0)  # a long pipeline is one connection of many

    async def _wait_for_client(self, session: Session) -> None:
        """Until anything is new: octets, an end, room to write, a drain, a timeout.

        Pieces of a command do not begin its time anew, or a client that sends one octet now and then would stay for
        ever.
        """
        self._flush()
        if self._can_write and not self._is_reading and self._transport is not None:
            self._is_reading = True
            self._transport.resume_reading()
        self._waiting = self._loop.create_future()
        if session.is_in_message:
            self._waits_since_s = monotonic()
        if self._timer is None:
            self._look_at_clock(session)
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _look_at_clock(self, session: Session) -> None:
        """One timer that looks again now and then costs less than one for every wait."""
        left_s = min(self._config.command_timeout_s, self._config.data_timeout_s)
        if self._waiting is not None:
            left_s = self._patience_left_s(session)
            if left_s <= 0:
                self._is_timed_out = True
                self._wake()
                return
        self._timer = self._loop.call_later(left_s, self._look_at_clock, session)

    def _patience_left_s(self, session: Session) -> float:
        waited_s = monotonic() - self._waits_since_s
        began_at_s = session.message_began_at_s
        if began_at_s is None:
            # The next wait may be for a piece of a message, which has less time.
            left_s = self._config.command_timeout_s - waited_s
            return min(left_s, self._config.data_timeout_s)
        message_left_s = began_at_s + self._config.message_timeout_s - monotonic()
        return min(self._config.data_timeout_s - waited_s, message_left_s)

    async def _start_tls(self, session: Session) -> None:
        """Put TLS between us and the client. What it sent ahead in clear is dropped (RFC 3207 §6: injection)."""
        if self._tls is None or self._transport is None:
            raise RuntimeError("TLS was agreed on without a certificate")
        self._transport.pause_reading()
        self._framer.discard()
        self._flush()
        try:
            encrypted = await self._loop.start_tls(
                self._transport,
                self,
                self._tls(),
                server_side=True,
                ssl_handshake_timeout=self._config.tls_handshake_timeout_s,
            )
        except (OSError, TimeoutError) as error:  # SSLError is an OSError
            self._log.info("TLS failed", reason=type(error).__name__)
            encrypted = None
        if encrypted is None:
            self._is_lost = True
            self._transport.abort()
            return
        self._transport = encrypted
        self._is_encrypted = True
        self._is_reading = True
        session.secured(_tls_facts(encrypted))

    def _say(self, answer: Reply) -> None:
        octets = encode(answer)
        self._unsent.append(octets)
        self._unsent_octets += len(octets)

    def _flush(self) -> None:
        if self._unsent and self._transport is not None and not self._is_lost:
            self._transport.write(b"".join(self._unsent))
        self._unsent = []
        self._unsent_octets = 0

    def _finish(self, session: Session | None) -> None:
        if session is not None:
            session.close()
        if self._timer is not None:
            self._timer.cancel()
        transport = self._transport
        if transport is not None and not self._is_lost:
            if self._can_write:
                transport.close()
                if transport.get_write_buffer_size():
                    self._loop.call_later(LINGER_S, transport.abort)
            else:
                transport.abort()  # the client does not read; closing would wait for it
        self._closed(self)


def _tls_facts(transport: asyncio.Transport) -> TlsFacts:
    tls = transport.get_extra_info("ssl_object")
    return TlsFacts(tls.version(), tls.cipher()[0])


def _address(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]).partition("%")[0] if isinstance(peer, tuple) else ""


def _nothing() -> None:
    pass
