"""Twisted's sockets and TLS as the doors need them: resets noticed, few system calls, the certificate of the moment."""

import asyncio
import itertools
import socket
from collections.abc import Callable
from typing import Any, cast

from OpenSSL import SSL
from twisted.internet import main, tcp
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer  # type: ignore[attr-defined]

from mailserver.proxy_protocol import Source
from mailserver.tls import ServerCertificate

implements = cast(Callable[..., Callable[[type], Any]], implementer)  # zope has no types


@implements(IOpenSSLServerConnectionCreator)
class Handshakes:
    """Gives each handshake the certificate of the moment."""

    def __init__(self, certificate: ServerCertificate) -> None:
        self._certificate = certificate

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:  # noqa: N802, N803 (Twisted's names)
        return SSL.Connection(self._certificate.twisted_context(), None)


class TalkSocket(tcp.Server):
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


class Tls(_TlsProtocol):  # type: ignore[misc]
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


class Introductions:
    """Gives a connection that was accepted elsewhere to Twisted, under the address of its client."""

    def __init__(self, factory: Any, reactor: Any) -> None:
        self._factory = factory
        self._reactor = reactor
        self._numbers = itertools.count()

    def __call__(self, accepted: socket.socket, source: Source) -> None:
        protocol = self._factory.buildProtocol(None)
        client = (source.host, source.port) if ":" not in source.host else (source.host, source.port, 0, 0)
        made = TalkSocket(accepted, protocol, client, cast(Any, None), next(self._numbers), self._reactor)
        protocol.makeConnection(made)


def tls_factory(handshakes: Handshakes, wrapped: Any) -> TLSMemoryBIOFactory:
    factory = TLSMemoryBIOFactory(cast(Any, handshakes), False, wrapped)
    factory.protocol = Tls
    factory.noisy = False
    return factory
