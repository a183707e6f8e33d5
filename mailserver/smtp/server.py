"""The listeners of one process: who may connect, which door they come to, and how the doors close."""

import asyncio
import asyncio.sslproto
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from time import monotonic

from mailserver.observability.logs import get_logger, new_connection_id
from mailserver.proxy_protocol import Network
from mailserver.smtp.admission import LOCAL, Admission, network_of
from mailserver.smtp.config import Door, SmtpConfig
from mailserver.smtp.connection import Connection, TlsContext
from mailserver.smtp.implicit_tls import ImplicitTlsListener
from mailserver.smtp.inbound import Inbound
from mailserver.smtp.lmtp import Lmtp
from mailserver.smtp.metrics import DoorMetrics
from mailserver.smtp.ports import Services
from mailserver.smtp.proxied import ProxiedListener
from mailserver.smtp.replies import Reply
from mailserver.smtp.rules import Rules
from mailserver.smtp.session import Session, Surroundings
from mailserver.smtp.submission import Submission
from mailserver.smtp.transaction import Client
from mailserver.smtp.wire.framing import Framer
from mailserver.smtp.wire.message_text import MessageLimits

log = get_logger()

# Where TLS does not run on uvloop, Python 3.11 keeps a buffer of 256 KiB for each connection.
asyncio.sslproto.SSLProtocol.max_size = 16_384


class LmtpExposed(Exception):
    """LMTP believes its clients, and the socket given to it can be reached from elsewhere."""

    def __init__(self, address: str) -> None:
        super().__init__(f"LMTP would listen at {address}; only loopback and unix sockets are allowed by default")
        self.address = address


class SmtpServer:
    """All SMTP and LMTP doors of a process. `tls` gives the context of the moment, asked for every handshake.

    Connections from `proxies` begin with a header of the PROXY protocol.
    """

    def __init__(
        self,
        config: SmtpConfig,
        services: Services,
        *,
        tls: TlsContext | None,
        proxies: Sequence[Network] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._config = config
        self._services = services
        self._tls = tls
        self._proxies = proxies
        self._admission = Admission(config)
        self._surroundings = Surroundings(
            clock=clock,
            monotonic=monotonic,
            pause=pause,
            new_message_id=lambda: secrets.token_hex(8),
            sign_in=services.sign_in,
        )
        self._limits = MessageLimits(
            message_octets=config.message_limit_octets,
            line_octets=config.text_line_limit_octets,
            swallow_octets=max(config.swallow_limit_octets, config.message_limit_octets),
        )
        self._listeners: list[asyncio.Server | ImplicitTlsListener | ProxiedListener] = []
        self._connections: set[Connection] = set()
        self._emptied: asyncio.Event = asyncio.Event()
        self._is_draining = False

    async def listen(self, door: Door, listening: socket.socket) -> None:
        """Serve a listening socket, TCP or unix. Raises LmtpExposed, and ValueError for `submissions` without TLS."""
        if door is Door.LMTP and not self._config.lmtp_beyond_loopback:
            _check_is_local(listening)
        if door is Door.SUBMISSIONS and self._tls is None:
            raise ValueError("submissions needs TLS, and no certificate was given")
        metrics = DoorMetrics(door)
        loop = asyncio.get_running_loop()

        def connect() -> Connection:
            return self._connection(door, metrics)

        if door is Door.SUBMISSIONS and self._tls is not None:
            self._listeners.append(self._implicit_tls(listening, connect, metrics, self._tls))
        elif listening.family == socket.AF_UNIX:
            self._listeners.append(await loop.create_unix_server(connect, sock=listening))
        elif self._proxies:
            self._listeners.append(ProxiedListener(listening, connect, self._proxies, door=door.value))
        else:
            self._listeners.append(await loop.create_server(connect, sock=listening))

    async def drain(self, deadline_s: float) -> None:
        """Take no more connections, finish the messages that are on their way, say 421 to the others; then cut off.

        Who was waiting in a listener's backlog is accepted first and gets its 421.
        """
        self._is_draining = True
        await asyncio.sleep(0)
        for listener in self._listeners:
            listener.close()
        for connection in tuple(self._connections):
            connection.drain()
        try:
            async with asyncio.timeout(deadline_s):
                while self._connections:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            log.warning("connections cut off", connections=len(self._connections))
            await self._cut_off()

    async def _cut_off(self) -> None:
        for connection in tuple(self._connections):
            connection.abort()
        while self._connections:
            self._emptied.clear()
            await self._emptied.wait()

    def _implicit_tls(
        self,
        listening: socket.socket,
        connect: Callable[[], Connection],
        metrics: DoorMetrics,
        tls: TlsContext,
    ) -> ImplicitTlsListener:
        return ImplicitTlsListener(
            listening,
            connect,
            tls=tls,
            handshake_timeout_s=self._config.tls_handshake_timeout_s,
            gate=_HandshakeGate(self._admission, metrics),
            log=log.bind(door=Door.SUBMISSIONS.value),
            proxies=self._proxies,
        )

    def _connection(self, door: Door, metrics: DoorMetrics) -> Connection:
        connection_id = new_connection_id()
        bound_log = log.bind(door=door.value, connection=connection_id)
        config = self._config
        rules = self._rules(door)
        network = LOCAL

        def opened(connection: Connection, address: str) -> Session | Reply:
            nonlocal network
            network = network_of(address)
            refusal = self._admission.refusal(network)
            self._admission.enter(network)
            self._connections.add(connection)
            metrics.count_opened()
            if refusal is not None:
                metrics.count_refused(refusal.code)
                bound_log.warning("connection refused", network=network, code=refusal.code, enhanced=refusal.enhanced)
                return refusal
            if self._is_draining:
                connection.drain()
            return Session(
                rules,
                Client(connection_id, address, network, connection.sign_out),
                config,
                self._surroundings,
                offers_tls=self._tls is not None and door is not Door.LMTP,
                metrics=metrics,
                log=bound_log.bind(client=address),
            )

        def closed(connection: Connection) -> None:
            self._connections.discard(connection)
            self._admission.leave(network)
            metrics.count_closed()
            self._emptied.set()

        line_limit_octets = config.command_line_limit_octets
        if rules.offers_auth:
            line_limit_octets = max(line_limit_octets, config.auth_line_limit_octets)
        return Connection(
            config,
            Framer(line_limit_octets, self._limits),
            tls=self._tls,
            opened=opened,
            closed=closed,
            log=bound_log,
        )

    def _rules(self, door: Door) -> Rules:
        match door:
            case Door.MX:
                return Inbound(self._config, self._services)
            case Door.LMTP:
                return Lmtp(self._config, self._services)
            case Door.SUBMISSION | Door.SUBMISSIONS:
                return Submission(door, self._config, self._services)


def _check_is_local(listening: socket.socket) -> None:
    if listening.family == socket.AF_UNIX:
        return
    address = str(listening.getsockname()[0])
    if not ip_address(address.partition("%")[0]).is_loopback:
        raise LmtpExposed(address)


class _HandshakeGate:
    """Who shakes hands counts like who is connected; a refusal before TLS cannot be said, only shown."""

    def __init__(self, admission: Admission, metrics: DoorMetrics) -> None:
        self._admission = admission
        self._metrics = metrics

    def enter(self, address: str) -> bool:
        network = network_of(address)
        refusal = self._admission.refusal(network)
        if refusal is not None:
            self._metrics.count_refused(refusal.code)
            return False
        self._admission.enter(network)
        return True

    def leave(self, address: str) -> None:
        self._admission.leave(network_of(address))
