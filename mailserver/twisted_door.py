"""A door on Twisted: sockets, TLS, waiting for slow clients, time limits, draining. What is said there is a Talk's.

A connection has no task while its client is silent: what arrives, and what a watcher finds, begins a task that works
until nothing is left to do. So an idle connection is its protocol object and its talk, and nothing else.

    octets come ──┐                       ┌── the client reads too slowly: `_send` waits,
    a change came ┼──▶ _serve ──▶ talk ──▶ _send    and what it sends is not read either
    the end is due┘
"""

import asyncio
import contextlib
import itertools
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol, cast

from OpenSSL import SSL
from structlog.typing import FilteringBoundLogger
from twisted.internet import main, tcp
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IOpenSSLServerConnectionCreator,
    IPushProducer,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer  # type: ignore[attr-defined]

from mailserver.accepting import Acceptor
from mailserver.admission import Admission
from mailserver.observability.door_metrics import DoorMetrics
from mailserver.observability.logs import get_logger
from mailserver.proxy_protocol import Network, Source
from mailserver.tls import ServerCertificate

SWEEP_S = 1.0
"""How often all connections are looked at for those that are over their time."""
REST_AFTER_S = 30.0
"""After so much silence a connection holds as little as it can."""
LINGER_S = 10.0
LINGER_DRAINING_S = 2.0
"""How long a client may take to read the last words."""
GOING_DOWN = "The server is going down, come back in a moment"

_implements = cast(Callable[..., Callable[[type], Any]], implementer)  # zope has no types

log = get_logger()


class Talk(Protocol):
    """What is said over one connection: octets in, octets out, and what the connection must do beside that."""

    @property
    def over(self) -> bool: ...
    @property
    def wants_tls(self) -> bool: ...
    @property
    def is_signed_in(self) -> bool: ...
    @property
    def is_only_reading(self) -> bool:
        """May what it is doing be given up when the client is gone?"""
        ...

    @property
    def is_interrupted(self) -> bool:
        """Did an answer break off in the middle? Then nothing that follows could be understood."""
        ...

    @property
    def has_to_push(self) -> bool:
        """Is there something new for a client that waits?"""
        ...

    @property
    def buffered_octets(self) -> int:
        """What was received and not yet taken up: the connection is not read while this is much."""
        ...

    @property
    def log(self) -> FilteringBoundLogger: ...
    def greeting(self) -> bytes: ...
    def receive(self, data: bytes) -> None: ...
    def turn(self) -> AsyncIterator[bytes]:
        """Everything that can be answered now, and what is to be pushed."""
        ...

    def begin_tls(self) -> int:
        """TLS stands. Returns how many octets were sent ahead in clear, and are dropped."""
        ...

    def rest(self) -> None:
        """The client has been silent for a while: let go of what can be made anew."""
        ...

    def end(self, reason: str) -> None:
        """Say goodbye at the next turn."""
        ...

    def close(self) -> None:
        """The connection is gone: let go of everything."""
        ...


@dataclass(frozen=True, slots=True)
class Client:
    """A connection as its talk sees it. `wake` has `turn` called."""

    peer: str
    is_encrypted: bool
    can_encrypt: bool
    wake: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, counts and octets; the configurations of the doors say what they mean."""

    autologout_s: float
    sign_in_within_s: float
    write_timeout_s: float
    connections: int
    connections_per_network: int
    buffered_octets: int
    strangers: int = 2_000
    """connections of a process that have not signed in"""


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
class Connection(TwistedProtocol):
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
        self._strange_since = self._active_at = monotonic()
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
        if isinstance(self._wire, _Tls) and not self._wire._handshakeDone:
            self.abort()
        elif self._talk is not None:
            self._talk.end(reason)
            self.wake()

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
        assert self._door.tls is not None
        clear = self._wire
        clear.unregisterProducer()
        self._wire = self.transport = clear.protocol = _Tls(self._door.tls, self, _connectWrapped=False)
        self._wire.makeConnection(clear)
        self._wire.registerProducer(self, True)
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


class _Socket(tcp.Server):
    """A connection whose reset is noticed, and that writes without asking whether it may.

    When octets and a reset come together, libuv tells of both at once and forgets the socket; Twisted reads the octets
    and would wait for ever for news of the reset.

    What is to be written goes out at the end of this turn of the loop, all in one piece. Twisted would have the poller
    say first that there is room, which is two more system calls for each answer, and nearly always there is.
    """

    _will_flush = False

    def startWriting(self) -> None:  # noqa: N802
        if not self._will_flush:
            self._will_flush = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._will_flush = False
        if self.fileno() == -1:
            return
        self.reactor._readOrWrite(self, False)  # what it would do when the poller says that there is room
        if self.connected and (self.offset < len(self.dataBuffer) or self._tempDataLen):
            cast(Any, super()).startWriting()

    def writeSomeData(self, data: bytes) -> Any:  # noqa: N802
        return super().writeSomeData(data) if data else 0  # closing "writes" nothing first

    def doRead(self) -> Any:  # noqa: N802
        why = super().doRead()
        if why is None and self.connected and self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return main.CONNECTION_LOST
        return why


_TlsProtocol: Any = TLSMemoryBIOProtocol  # it has no types


class _Tls(_TlsProtocol):  # type: ignore[misc]
    """TLS over a connection. What Twisted does for transports of every kind, by interfaces, is left out: it takes as
    long as the handshake. Small writes are not collected for a moment either: a talk gives whole answers."""

    def makeConnection(self, transport: Any) -> None:  # noqa: N802
        self._tlsConnection = self.factory._creatorCallable(self)
        self._appSendBuffer: list[bytes] = []
        self.transport, self.connected = transport, 1
        self.factory.registerProtocol(self)
        if self._connectWrapped:
            self.wrappedProtocol.makeConnection(self)
        self._checkHandshakeStatus()


class _Introductions:
    """Gives a connection that was accepted elsewhere to Twisted, under the address of its client."""

    def __init__(self, factory: Any, reactor: Any) -> None:
        self._factory = factory
        self._reactor = reactor
        self._numbers = itertools.count()

    def __call__(self, accepted: socket.socket, source: Source) -> None:
        protocol = self._factory.buildProtocol(None)
        client = (source.host, source.port) if ":" not in source.host else (source.host, source.port, 0, 0)
        made = _Socket(accepted, protocol, client, cast(Any, None), next(self._numbers), self._reactor)
        protocol.makeConnection(made)


def _tls_factory(handshakes: _Handshakes, wrapped: Any) -> TLSMemoryBIOFactory:
    factory = TLSMemoryBIOFactory(cast(Any, handshakes), False, wrapped)
    factory.protocol = _Tls
    factory.noisy = False
    return factory


class _Connections(Factory):
    noisy = False

    def __init__(self, door: "Door", *, is_tls: bool) -> None:
        self._door = door
        self._is_tls = is_tls

    def buildProtocol(self, addr: object) -> Connection:  # noqa: N802
        return Connection(self._door, is_tls=self._is_tls)


class Door:
    """All connections of one protocol in a process."""

    def __init__(
        self,
        protocol: str,
        limits: Limits,
        metrics: DoorMetrics,
        *,
        begin: Callable[[Client], Talk],
        turned_away: Callable[[str], bytes],
        certificate: ServerCertificate | None,
        proxies: Sequence[Network] = (),
    ) -> None:
        """`begin` makes the talk of a new connection, `turned_away` the octets that refuse one, with the reason.

        Connections from `proxies` begin with a header of the PROXY protocol.
        """
        self.limits = limits
        self.metrics = metrics
        self.tls = _tls_factory(_Handshakes(certificate), Factory()) if certificate is not None else None
        self._handshakes = _Handshakes(certificate) if certificate is not None else None
        self._protocol = protocol
        self._begin = begin
        self._turned_away = turned_away
        self._admission = Admission(connections=limits.connections, per_network=limits.connections_per_network)
        self._connections: set[Connection] = set()
        self._strangers: deque[Connection] = deque()
        """In the order they came. Who has signed in or gone meanwhile is among them until its turn to leave comes."""
        self._proxies = proxies
        self._ports: list[Any] = []
        self._acceptors: list[Acceptor] = []
        self._sweeping: asyncio.Task[None] | None = None
        self._emptied = asyncio.Event()
        self._is_draining = False
        self.linger_s = LINGER_S

    def listen(self, sockets: Iterable[socket.socket], *, is_tls: bool) -> None:
        """Serve listening sockets, which are the door's from now on."""
        from twisted.internet import reactor  # it is there only once the process has installed it

        factory: Any = _Connections(self, is_tls=is_tls)
        if is_tls:
            if self._handshakes is None:
                raise ValueError(f"{self._protocol} over TLS needs a certificate")
            factory = _tls_factory(self._handshakes, factory)
        for each in sockets:
            if self._proxies:
                self._acceptors.append(
                    Acceptor(each, self._proxies, _Introductions(factory, reactor), door=self._protocol)
                )
                continue
            port = reactor.adoptStreamPort(each.fileno(), each.family, factory)
            port.transport = _Socket
            self._ports.append(port)
            each.close()
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().create_task(self._sweep(), name=f"{self._protocol}: clock")

    async def drain(self, deadline_s: float) -> None:
        """Take no more connections, let commands finish, say goodbye to everybody; cut off who is left at the deadline.

        A client that sleeps does not answer the end of TLS: two seconds after its goodbye it is cut off.
        """
        self._is_draining = True
        self.linger_s = LINGER_DRAINING_S
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)  # whoever waits in a backlog is accepted, and told
        for acceptor in self._acceptors:
            acceptor.close()
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

    def opened(self, connection: Connection, *, is_encrypted: bool) -> Talk | None:
        """The talk to have with a new connection, unless it is turned away."""
        self._connections.add(connection)
        self.metrics.connections.labels().inc()
        limit = self._admission.enter(connection.peer)
        if limit is not None:
            self.metrics.turned_away.labels(limit.value).inc()
            log.warning("connection turned away", peer=connection.peer, limit=limit.value)
            connection.turn_away(self._turned_away("Too many connections"))
            return None
        if self._is_draining:
            connection.turn_away(self._turned_away(GOING_DOWN))
            return None
        self._strangers.append(connection)
        self._make_room()
        can_encrypt = self.tls is not None
        return self._begin(Client(connection.peer, is_encrypted, can_encrypt, connection.wake))

    def _make_room(self) -> None:
        """Too many who have not signed in: the one that has waited longest goes, for whoever means to sign in has done
        so within a second. So thousands of connections that say nothing keep nobody out."""
        while len(self._strangers) > self.limits.strangers:
            oldest = self._strangers.popleft()
            if oldest in self._connections and not oldest.is_signed_in:
                self.metrics.expired.labels("sign-in").inc()
                oldest.abort()

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._admission.leave(connection.peer)
        self.metrics.connections.labels().dec()
        self._emptied.set()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = monotonic()
            for connection in tuple(self._connections):
                connection.look_at_clock(now)
