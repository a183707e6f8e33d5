"""One client: octets to its talk and back, waiting while it reads slowly, and what it may take its time for.

A connection has no task while its client is silent: what arrives, and what a watcher finds, begins a task that works
until nothing is left to do. So an idle connection is its protocol object and its talk, and nothing else.

    octets come ──┐                       ┌── the client reads too slowly: `_send` waits,
    a change came ┼──▶ _serve ──▶ talk ──▶ _send    and what it sends is not read either
    the end is due┘
"""

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from mailserver.twisted_door.encryption import Tls
from mailserver.twisted_door.sockets import implements
from mailserver.twisted_door.talk import Talk

if TYPE_CHECKING:
    from mailserver.twisted_door.door import Door

REST_AFTER_S = 30.0
"""After so much silence a connection holds as little as it can."""


class ClientGone(Exception):
    """The connection was lost while something was to be sent."""


@implements(IHalfCloseableProtocol, IPushProducer)
class Connection(Protocol):
    """One client. Twisted's names are camelCase; of them, pause- and resumeProducing say whether it reads."""

    def __init__(self, door: "Door", *, is_tls: bool) -> None:
        self._door = door
        self._is_tls = is_tls
        self._talk: Talk | None = None
        self._task: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._has_news = False
        self._is_full = False
        self._is_lost = False
        self._is_reading = True
        self._has_ended = False
        self._closing_since: float | None = None
        self._ends_at: float | None = None
        self._strange_since = self._active_at = monotonic()
        self._wire: Any = None  # the transport, whose interfaces have no types
        self.peer = ""

    # What Twisted calls

    def connectionMade(self) -> None:  # noqa: N802
        self._wire = cast(Any, self.transport)
        self.peer = getattr(self._wire.getPeer(), "host", "")
        self._wire.registerProducer(self, True)
        self._talk = self._door.opened(self, is_encrypted=self._is_tls)
        if self._talk is not None:
            self._wire.write(self._talk.greeting())

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self._talk is None or self._closing_since is not None:
            return
        self._active_at = monotonic()
        self._talk.receive(data)
        if self._is_reading and self._talk.buffered_octets > self._door.limits.buffered_octets:
            self._is_reading = False
            self._wire.pauseProducing()
        self.wake()

    def readConnectionLost(self) -> None:  # noqa: N802
        """The client will send no more, and may still want its answers."""
        self._has_ended = True
        self.wake()

    def writeConnectionLost(self) -> None:  # noqa: N802
        self.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        self._is_lost = True
        if self._room is not None and not self._room.done():
            self._room.set_exception(ClientGone())
        if self._task is None:
            self._closed()
        elif self._talk is not None and self._talk.is_only_reading:
            self._task.cancel()  # a SEARCH through all bodies would go on for nobody

    def pauseProducing(self) -> None:  # noqa: N802
        self._is_full = True

    def resumeProducing(self) -> None:  # noqa: N802
        self._is_full = False
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def stopProducing(self) -> None:  # noqa: N802
        """Nothing: connectionLost comes too."""

    # What the door calls

    @property
    def is_signed_in(self) -> bool:
        return self._talk is not None and self._talk.is_signed_in

    def end(self, reason: str) -> None:
        """Say goodbye as soon as may be, and close. Who has not shaken hands cannot be told, and is not waited for."""
        if isinstance(self._wire, Tls) and not self._wire.has_shaken_hands:
            self.abort()
        elif self._talk is not None:
            self._talk.end(reason)
            self.wake()

    def sign_out(self, reason: str) -> None:
        """The same, and who goes on reading or sending is cut off soon."""
        self._ends_at = monotonic() + self._door.linger_s
        self.end(reason)

    def abort(self) -> None:
        self._wire.abortConnection()

    def turn_away(self, octets: bytes) -> None:
        """Say no to a connection that was never served."""
        self._wire.write(octets)
        self._lose()

    def look_at_clock(self, now: float) -> None:
        """End what is over its time."""
        limits = self._door.limits
        if self._closing_since is not None:
            if now - self._closing_since > self._door.linger_s:
                self.abort()
        elif self._ends_at is not None and now > self._ends_at:
            self._door.metrics.expired.labels("signed out").inc()
            self.abort()
        elif self._talk is None or self._task is not None:
            return
        elif not self._talk.is_signed_in:
            if now - self._strange_since > limits.sign_in_within_s:
                self._expire("sign-in", "Nobody has signed in")
        elif now - self._active_at > limits.autologout_s:
            self._expire("silence", "You were silent for too long")
        elif self._talk.has_to_push:
            self.wake()
        elif now - self._active_at > REST_AFTER_S:
            self._talk.rest()

    def wake(self) -> None:
        """There is something to do: octets came, or a change, or the end."""
        self._has_news = True
        if self._task is None and not self._is_lost and self._talk is not None and self._closing_since is None:
            self._task = asyncio.get_running_loop().create_task(self._serve(self._talk))

    # The loop

    async def _serve(self, talk: Talk) -> None:
        try:
            while self._has_news and not talk.over:
                self._has_news = False  # before looking, so that no change slips between
                await self._turn(talk)
            if talk.is_interrupted:
                self.abort()
            elif talk.over or self._has_ended:
                self._lose()
        except ClientGone:
            pass
        except TimeoutError:
            self._door.metrics.expired.labels("not reading").inc()
            self.abort()
        except Exception:
            talk.log.exception("a connection failed")
            self.abort()
        finally:
            self._task = None
            self._active_at = monotonic()
            if talk.is_signed_in:
                self._strange_since = self._active_at  # UNAUTHENTICATE makes a stranger of it again
            if self._is_lost:
                self._closed()

    async def _turn(self, talk: Talk) -> None:
        async for octets in talk.turn():
            await self._send(octets)
        if talk.wants_tls:
            self._begin_tls(talk)
        if not self._is_reading and not talk.over:
            self._is_reading = True
            self._wire.resumeProducing()

    async def _send(self, octets: bytes) -> None:
        """Write, and wait until the client has read most of it. Raises ClientGone, TimeoutError."""
        if self._is_lost:
            raise ClientGone
        self._wire.write(octets)
        if not self._is_full:
            return
        self._room = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._door.limits.write_timeout_s):
                await self._room
        finally:
            self._room = None

    def _begin_tls(self, talk: Talk) -> None:
        """No octet that came in clear is taken for one that came encrypted (RFC 3501 §6.2.1, RFC 2595 §4)."""
        assert self._door.certificate is not None
        layer = Tls(self._door.certificate.context(), self)
        layer.adopt(self._wire)
        self._wire = self.transport = cast(Any, layer)
        dropped = talk.begin_tls()
        if dropped:
            talk.log.warning("octets before TLS were dropped", octets=dropped)

    def _expire(self, reason: str, text: str) -> None:
        self._door.metrics.expired.labels(reason).inc()
        self.end(text)

    def _lose(self) -> None:
        """Close when all that was written is read; whoever does not read is cut off by `look_at_clock`."""
        if self._closing_since is None:
            self._closing_since = monotonic()
            self._wire.unregisterProducer()  # else Twisted waits for it to write more
            self._wire.loseConnection()

    def _closed(self) -> None:
        if self._talk is not None:
            self._talk.close()
            self._talk = None
        self._door.closed(self)
