"""The IMAP door on Twisted: sockets, TLS, waiting for slow clients, time limits, draining.

A connection has no task while its client is silent: what arrives, and what a watcher finds, begins a task that works
until nothing is left to do. So an idle connection is its protocol object and its session, and nothing else.

    octets come ──┐                           ┌── the client reads too slowly: `_send` waits,
    a change came ┼──▶ _serve ──▶ dialogue ──▶ _send    and what it sends is not read either
    BYE is due  ──┘
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, cast

from OpenSSL import SSL
from structlog.typing import FilteringBoundLogger
from twisted.internet import main, tcp
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IOpenSSLServerConnectionCreator,
    IPushProducer,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer  # type: ignore[attr-defined]

from mailserver.imap import metrics
from mailserver.imap.admission import Admission
from mailserver.imap.config import ImapConfig, framing_limits, framing_limits_before_sign_in
from mailserver.imap.session.conversation import Conversation, Services
from mailserver.imap.session.dialogue import Dialogue
from mailserver.imap.session.session import Session
from mailserver.imap.wire.encode import encode
from mailserver.imap.wire.response_codes import Code
from mailserver.imap.wire.responses import Bye
from mailserver.observability.logs import get_logger, new_connection_id
from mailserver.tls import ServerCertificate

SWEEP_S = 1.0
"""How often all connections are looked at for those that are over their time."""
LINGER_S = 10.0
LINGER_DRAINING_S = 2.0
"""How long a client may take to read the last words."""
GOING_DOWN = "The server is going down, come back in a moment"

_implements = cast(Callable[..., Callable[[type], Any]], implementer)  # zope has no types

log = get_logger()


class ClientGone(Exception):
    """The connection was lost while something was to be sent."""


@_implements(IOpenSSLServerConnectionCreator)
class _Handshakes:
    """Gives each handshake the certificate of the moment."""

    def __init__(self, certificate: ServerCertificate) -> None:
        self._certificate = certificate

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:  # noqa: N802, N803 (Twisted's names)
        return SSL.Connection(self._certificate.twisted_context(), None)


@_implements(IHalfCloseableProtocol, IPushProducer)
class Connection(Protocol):
    """One client. Twisted's names are camelCase; of them, pause- and resumeProducing say whether it reads."""

    def __init__(self, door: "Door", *, is_tls: bool) -> None:
        self._door = door
        self._is_tls = is_tls
        self._dialogue: Dialogue | None = None
        self._task: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._has_news = False
        self._is_full = False
        self._is_lost = False
        self._is_reading = True
        self._has_ended = False
        self._closing_since: float | None = None
        self._opened_at = self._active_at = monotonic()
        self._wire: Any = None  # the transport, whose interfaces have no types
        self.peer = ""

    # What Twisted calls

    def connectionMade(self) -> None:  # noqa: N802
        self._wire = cast(Any, self.transport)
        self.peer = getattr(self._wire.getPeer(), "host", "")
        with contextlib.suppress(OSError):  # the client may be gone already
            self._wire.setTcpNoDelay(True)
            self._wire.setTcpKeepAlive(True)  # whoever idles for hours may have vanished
        self._wire.registerProducer(self, True)
        self._dialogue = self._door.opened(self, is_encrypted=self._is_tls)
        if self._dialogue is not None:
            self._wire.write(self._dialogue.greeting())

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self._dialogue is None or self._closing_since is not None:
            return
        self._active_at = monotonic()
        self._dialogue.receive(data)
        if self._is_reading and self._dialogue.buffered_octets > self._door.config.buffered_octets:
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
        elif self._dialogue is not None and self._dialogue.session.is_only_reading:
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

    def end(self, reason: str) -> None:
        """Say BYE as soon as may be, and close."""
        if self._dialogue is not None:
            self._dialogue.end(reason)
            self.wake()

    def abort(self) -> None:
        self._wire.abortConnection()

    def turn_away(self, reason: str) -> None:
        """Say no to a connection that was never served."""
        self._wire.write(encode(Bye(reason, Code.UNAVAILABLE)))
        self._lose()

    def look_at_clock(self, now: float) -> None:
        """End what is over its time."""
        config = self._door.config
        if self._closing_since is not None:
            if now - self._closing_since > self._door.linger_s:
                self.abort()
        elif self._dialogue is None or self._task is not None:
            return
        elif not self._dialogue.session.is_signed_in:
            if now - self._opened_at > config.sign_in_within_s:
                self._expire("sign-in", "Nobody has signed in")
        elif now - self._active_at > config.autologout_s:
            self._expire("silence", "You were silent for too long")
        elif self._dialogue.session.has_to_push:
            self.wake()

    def wake(self) -> None:
        """There is something to do: octets came, or a change, or the end."""
        self._has_news = True
        if self._task is None and not self._is_lost and self._dialogue is not None and self._closing_since is None:
            self._task = asyncio.get_running_loop().create_task(self._serve(self._dialogue))

    # The loop

    async def _serve(self, dialogue: Dialogue) -> None:
        try:
            while self._has_news and not dialogue.over:
                self._has_news = False  # before looking, so that no change slips between
                await self._turn(dialogue)
            if dialogue.session.is_interrupted:
                self.abort()
            elif dialogue.over or self._has_ended:
                self._lose()
        except ClientGone:
            pass
        except TimeoutError:
            metrics.EXPIRED.labels("not reading").inc()
            self.abort()
        except Exception:
            dialogue.session.log.exception("a connection failed")
            self.abort()
        finally:
            self._task = None
            self._active_at = monotonic()
            if self._is_lost:
                self._closed()

    async def _turn(self, dialogue: Dialogue) -> None:
        async for octets in dialogue.turn():
            await self._send(octets)
        if dialogue.wants_tls:
            self._begin_tls(dialogue)
        if not self._is_reading and not dialogue.over:
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
            async with asyncio.timeout(self._door.config.write_timeout_s):
                await self._room
        finally:
            self._room = None

    def _begin_tls(self, dialogue: Dialogue) -> None:
        """No octet that came in clear is taken for one that came encrypted (RFC 3501 §6.2.1)."""
        assert self._door.handshakes is not None
        self._wire.startTLS(self._door.handshakes)
        dropped = dialogue.begin_tls()
        if dropped:
            dialogue.session.log.warning("octets before TLS were dropped", octets=dropped)

    def _expire(self, reason: str, text: str) -> None:
        metrics.EXPIRED.labels(reason).inc()
        self.end(text)

    def _lose(self) -> None:
        """Close when all that was written is read; whoever does not read is cut off by `look_at_clock`."""
        if self._closing_since is None:
            self._closing_since = monotonic()
            self._wire.unregisterProducer()  # else Twisted waits for it to write more
            self._wire.loseConnection()

    def _closed(self) -> None:
        if self._dialogue is not None:
            self._dialogue.session.close()
            self._dialogue = None
        self._door.closed(self)


class _Socket(tcp.Server):
    """A connection whose reset is noticed.

    When octets and a reset come together, libuv tells of both at once and forgets the socket; Twisted reads the octets
    and would wait for ever for news of the reset.
    """

    def doRead(self) -> Any:  # noqa: N802
        why = super().doRead()
        if why is None and self.connected and self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return main.CONNECTION_LOST
        return why


class _Connections(Factory):
    noisy = False

    def __init__(self, door: "Door", *, is_tls: bool) -> None:
        self._door = door
        self._is_tls = is_tls

    def buildProtocol(self, addr: object) -> Connection:  # noqa: N802
        return Connection(self._door, is_tls=self._is_tls)


@dataclass(frozen=True, slots=True)
class Listeners:
    """Sockets that listen already: `imap` for STARTTLS, `imaps` for TLS from the first octet."""

    imap: tuple[socket.socket, ...] = ()
    imaps: tuple[socket.socket, ...] = ()


class Door:
    """All IMAP connections of a process."""

    def __init__(
        self,
        config: ImapConfig,
        services: Services,
        *,
        message_limit_octets: int,
        certificate: ServerCertificate | None,
        now: Callable[[], datetime],
    ) -> None:
        self.config = config
        self.handshakes = _Handshakes(certificate) if certificate is not None else None
        self._services = services
        self._now = now
        self._limits = framing_limits_before_sign_in(config)
        self._limits_signed_in = framing_limits(config, message_limit_octets=message_limit_octets)
        self._admission = Admission(config)
        self._connections: set[Connection] = set()
        self._ports: list[Any] = []
        self._sweeping: asyncio.Task[None] | None = None
        self._emptied = asyncio.Event()
        self._is_draining = False
        self.linger_s = LINGER_S

    def listen(self, sockets: Iterable[socket.socket], *, is_tls: bool) -> None:
        """Serve listening sockets. They are duplicated, and those given are closed."""
        from twisted.internet import reactor  # it is there only once the process has installed it

        factory: Any = _Connections(self, is_tls=is_tls)
        if is_tls:
            if self.handshakes is None:
                raise ValueError("imaps needs TLS, and no certificate was given")
            factory = TLSMemoryBIOFactory(cast(Any, self.handshakes), False, factory)
            factory.noisy = False
        for each in sockets:
            port = reactor.adoptStreamPort(each.fileno(), each.family, factory)
            port.transport = _Socket
            self._ports.append(port)
            each.close()
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().create_task(self._sweep(), name="imap: clock")

    async def drain(self, deadline_s: float) -> None:
        """Take no more connections, let commands finish, say BYE to everybody; cut off who is left at the deadline.

        A client that sleeps does not answer the end of TLS: two seconds after its BYE it is cut off.
        """
        self._is_draining = True
        self.linger_s = LINGER_DRAINING_S
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)  # whoever waits in a backlog is accepted, and told
        for port in self._ports:
            await maybeDeferred(port.stopListening).asFuture(loop)
        for connection in tuple(self._connections):
            connection.end(GOING_DOWN)
        try:
            async with asyncio.timeout(deadline_s):
                while self._connections:
                    self._emptied.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._emptied.wait(), LINGER_DRAINING_S / 4)
                    for connection in tuple(self._connections):
                        connection.look_at_clock(monotonic())
        except TimeoutError:
            log.warning("connections cut off", connections=len(self._connections))
            for connection in tuple(self._connections):
                connection.abort()
        if self._sweeping is not None:
            self._sweeping.cancel()

    async def emptied(self) -> None:
        """Returns when no connection is left."""
        while self._connections:
            self._emptied.clear()
            await self._emptied.wait()

    def opened(self, connection: Connection, *, is_encrypted: bool) -> Dialogue | None:
        """The dialogue to have with a new connection, unless it is turned away."""
        self._connections.add(connection)
        metrics.CONNECTIONS.labels().inc()
        limit = self._admission.enter(connection.peer)
        if limit is not None:
            metrics.TURNED_AWAY.labels(limit.value).inc()
            log.warning("connection turned away", peer=connection.peer, limit=limit.value)
            connection.turn_away("Too many connections")
            return None
        if self._is_draining:
            connection.turn_away(GOING_DOWN)
            return None
        return self._dialogue(connection, is_encrypted=is_encrypted)

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._admission.leave(connection.peer)
        metrics.CONNECTIONS.labels().dec()
        self._emptied.set()

    def _dialogue(self, connection: Connection, *, is_encrypted: bool) -> Dialogue:
        bound_log: FilteringBoundLogger = log.bind(connection=new_connection_id())
        talk = Conversation(
            services=self._services,
            peer=connection.peer,
            log=bound_log,
            wake=connection.wake,
            now=self._now,
            sign_in_failures_left=self.config.sign_in_failures,
            is_encrypted=is_encrypted,
            can_encrypt=self.handshakes is not None,
        )
        session = Session(talk, monotonic)
        return Dialogue(session, limits=self._limits, limits_signed_in=self._limits_signed_in)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = monotonic()
            for connection in tuple(self._connections):
                connection.look_at_clock(now)


async def start(
    config: ImapConfig,
    services: Services,
    listeners: Listeners,
    *,
    message_limit_octets: int,
    certificate: ServerCertificate | None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Door:
    """Open the door. Twisted's reactor must be installed on the running loop (`asyncioreactor.install`)."""
    door = Door(config, services, message_limit_octets=message_limit_octets, certificate=certificate, now=now)
    door.listen(listeners.imap, is_tls=False)
    door.listen(listeners.imaps, is_tls=True)
    return door
