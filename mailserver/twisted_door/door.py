"""All connections of one protocol in a process: who is let in, when time is up, and how the door closes."""

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from time import monotonic

from mailserver.accepting import Acceptor
from mailserver.admission import Admission
from mailserver.observability.door_metrics import DoorMetrics
from mailserver.observability.logs import get_logger
from mailserver.proxy_protocol import Network, Source
from mailserver.tls import ServerCertificate
from mailserver.twisted_door.connection import Connection
from mailserver.twisted_door.encryption import Tls
from mailserver.twisted_door.sockets import Port, hand_to_twisted
from mailserver.twisted_door.talk import Client, Limits, Talk

SWEEP_S = 1.0
"""How often all connections are looked at for those that are over their time."""
LINGER_S = 10.0
LINGER_DRAINING_S = 2.0
"""How long a client may take to read the last words."""
GOING_DOWN = "The server is going down, come back in a moment"

log = get_logger()


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
        self.certificate = certificate
        self._protocol = protocol
        self._begin = begin
        self._turned_away = turned_away
        self._admission = Admission(connections=limits.connections, per_network=limits.connections_per_network)
        self._connections: set[Connection] = set()
        self._strangers: deque[Connection] = deque()
        """In the order they came. Who has signed in or gone meanwhile is among them until its turn to leave comes."""
        self._proxies = proxies
        self._ports: list[Port | Acceptor] = []
        self._sweeping: asyncio.Task[None] | None = None
        self._emptied = asyncio.Event()
        self._is_draining = False
        self.linger_s = LINGER_S

    def listen(self, sockets: Iterable[socket.socket], *, is_tls: bool) -> None:
        """Serve listening sockets, which are the door's from now on."""
        if is_tls and self.certificate is None:
            raise ValueError(f"{self._protocol} over TLS needs a certificate")
        take = partial(self._take, certificate=self.certificate if is_tls else None)
        for each in sockets:
            # connections have from their listening socket (Linux): answers go out at once; and that clients who idle
            # for hours and have vanished are noticed
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._proxies:
                self._ports.append(Acceptor(each, self._proxies, take, door=self._protocol))
            else:
                self._ports.append(Port(each, take, door=self._protocol))
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().create_task(self._sweep(), name=f"{self._protocol}: clock")

    def _take(self, accepted: socket.socket, source: Source, *, certificate: ServerCertificate | None) -> None:
        """With a certificate: over TLS from the first octet."""
        connection = Connection(self, is_tls=certificate is not None)
        hand_to_twisted(
            accepted, source, Tls(certificate.context(), connection) if certificate is not None else connection
        )

    async def drain(self, deadline_s: float) -> None:
        """Take no more connections, let commands finish, say goodbye to everybody; cut off who is left at the deadline.

        A client that sleeps does not answer the end of TLS: two seconds after its goodbye it is cut off.
        """
        self._is_draining = True
        self.linger_s = LINGER_DRAINING_S
        await asyncio.sleep(0)  # whoever waits in a backlog is accepted, and told
        while self._ports:
            self._ports.pop().close()
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
        can_encrypt = self.certificate is not None
        return self._begin(Client(connection.peer, is_encrypted, can_encrypt, connection.wake, connection.sign_out))

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
