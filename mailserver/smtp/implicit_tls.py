"""A listener whose connections begin with TLS (RFC 8314 §3.3), admitted before a handshake is paid for.

`create_server(ssl=…)` would tell of a connection only after its handshake and keep one context for ever; `start_tls` on
a fresh connection loses the ClientHello on uvloop, which begins to read whatever `connection_made` says.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from mailserver.smtp.connection import Connection, TlsContext

ACCEPT_PAUSE_S = 0.1  # after the process ran out of file descriptors


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
    ) -> None:
        self._listening = listening
        self._connect = connect
        self._tls = tls
        self._handshake_timeout_s = handshake_timeout_s
        self._gate = gate
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting = self._loop.create_task(self._accept())

    def close(self) -> None:
        """Accept no more, and drop who has not finished the handshake."""
        self._accepting.cancel()
        for handshake in self._handshakes:
            handshake.cancel()
        self._accepting.add_done_callback(lambda _: self._listening.close())

    async def _accept(self) -> None:
        while True:
            try:
                accepted, peer = await self._loop.sock_accept(self._listening)
            except OSError as error:
                self._log.warning("cannot accept", reason=type(error).__name__)
                await asyncio.sleep(ACCEPT_PAUSE_S)
                continue
            address = str(peer[0]).partition("%")[0] if isinstance(peer, tuple) else ""
            if not self._gate.enter(address):
                accepted.close()
                continue
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
            return connection

        try:
            await self._loop.connect_accepted_socket(
                connect, accepted, ssl=self._tls(), ssl_handshake_timeout=self._handshake_timeout_s
            )
        except (OSError, TimeoutError) as error:  # SSLError is an OSError
            self._log.info("TLS failed", client=address, reason=type(error).__name__)
        finally:
            leave_gate()
