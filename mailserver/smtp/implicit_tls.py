"""A listener whose connections begin with TLS (RFC 8314 §3.3), admitted before a handshake is paid for.

`create_server(ssl=…)` would tell of a connection only after its handshake and keep one context for ever; `start_tls` on
a fresh connection loses the ClientHello on uvloop, which begins to read whatever `connection_made` says.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from mailserver.accepting import Acceptor
from mailserver.proxy_protocol import Network, Source
from mailserver.smtp.connection import Connection, TlsContext


class Gate(Protocol):
    """Counts a client while it shakes hands. `enter` says whether it may."""

    def enter(self, address: str) -> bool: ...
    def leave(self, address: str) -> None: ...


class ImplicitTlsListener:
    """Accepts until `close`."""

    def __init__(
        self,
        listening: socket.socket,
        connect: Callable[[], Connection],
        *,
        tls: TlsContext,
        handshake_timeout_s: float,
        gate: Gate,
        log: FilteringBoundLogger,
        proxies: Sequence[Network] = (),
    ) -> None:
        self._connect = connect
        self._tls = tls
        self._handshake_timeout_s = handshake_timeout_s
        self._gate = gate
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._acceptor = Acceptor(listening, proxies, self._take, door="submissions")

    def close(self) -> None:
        """Accept no more, and drop who has not finished the handshake."""
        self._acceptor.close()
        for handshake in self._handshakes:
            handshake.cancel()

    def _take(self, accepted: socket.socket, source: Source) -> None:
        address = source.host.partition("%")[0]
        if not self._gate.enter(address):
            accepted.close()
            return
        handshake = self._loop.create_task(self._shake_hands(accepted, address))
        self._handshakes.add(handshake)
        handshake.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, accepted: socket.socket, address: str) -> None:
        is_waiting = True

        def leave_gate() -> None:
            nonlocal is_waiting
            if is_waiting:
                is_waiting = False
                self._gate.leave(address)

        def connect() -> Connection:
            connection = self._connect()
            connection.before_opening = leave_gate
            connection.told_address = address
            return connection

        try:
            await self._loop.connect_accepted_socket(
                connect, accepted, ssl=self._tls(), ssl_handshake_timeout=self._handshake_timeout_s
            )
        except (OSError, TimeoutError) as error:  # SSLError is an OSError
            self._log.info("TLS failed", client=address, reason=type(error).__name__)
        finally:
            leave_gate()
