"""TLS between a socket and its connection, server side: OpenSSL over two buffers in memory.

Twisted has this for transports of every kind, with interfaces, membranes and an exception for each "nothing there";
that takes longer than the handshake. Here it is for a door's sockets only, which say what they can.

Nothing is sent in clear: what is written before hands are shaken waits. Neither side can begin a handshake anew
(`tls`), so a write never has to wait for a read. RFC 8446 §6.1: who ends says so (close_notify), and the socket is
closed once the client has answered that; the door cuts off who does not.
"""

import ssl
from typing import Any, cast

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

_RECORD_OCTETS = 16_384
"""Most that OpenSSL takes or gives at once."""


class Tls(Protocol):
    """To the socket it is the protocol, to `wrapped` the transport. Twisted's names are camelCase."""

    def __init__(self, context: ssl.SSLContext, wrapped: Protocol) -> None:
        self._wrapped: Protocol | None = wrapped
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._waiting: list[bytes] = []
        self._wire: Any = None  # the socket, whose interfaces have no types
        self._is_closing = False
        self._is_over = False
        self.has_shaken_hands = False

    def adopt(self, transport: object) -> None:
        """Go between a socket and a connection that talk already (STARTTLS)."""
        self._wire = cast(Any, transport)
        self._wire.protocol = self
        self.connected = 1

    # What the socket calls

    def makeConnection(self, transport: object) -> None:  # noqa: N802
        self.adopt(transport)
        assert self._wrapped is not None
        cast(Any, self._wrapped).makeConnection(self)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self._is_over:
            return
        self._incoming.write(data)
        if self.has_shaken_hands or self._shake_hands():
            self._read()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        self.connected = 0
        self._is_over = True
        wrapped, self._wrapped = self._wrapped, None  # they hold one another
        if wrapped is not None:
            wrapped.connectionLost(reason)

    # What the connection calls

    def write(self, data: bytes) -> None:
        if self._is_over or self._is_closing:
            return
        if not self.has_shaken_hands:
            self._waiting.append(data)
            return
        self._encrypt(data)
        self._flush()

    def loseConnection(self) -> None:  # noqa: N802
        """Once all that was written is read. Before hands are shaken nobody hears a goodbye, unless one waits to be
        said."""
        if self._is_closing or self._is_over:
            return
        if not self.has_shaken_hands and not self._waiting:
            self.abortConnection()
            return
        self._is_closing = True
        if self.has_shaken_hands:
            self._say_the_end()

    def abortConnection(self) -> None:  # noqa: N802
        self._is_over = True
        self._wire.abortConnection()

    def getPeer(self) -> Any:  # noqa: N802
        return self._wire.getPeer()

    def registerProducer(self, producer: object, streaming: bool) -> None:  # noqa: N802
        self._wire.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:  # noqa: N802
        self._wire.unregisterProducer()

    def pauseProducing(self) -> None:  # noqa: N802
        self._wire.pauseProducing()

    def resumeProducing(self) -> None:  # noqa: N802
        self._wire.resumeProducing()

    # The layer itself

    def _shake_hands(self) -> bool:
        """Whether that is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError:
            self._fail()
            return False
        self.has_shaken_hands = True
        for data in self._waiting:
            self._encrypt(data)
        self._waiting.clear()
        self._flush()
        if self._is_closing:
            self._say_the_end()
        return True

    def _read(self) -> None:
        """Give on what has come. To look first whether there is anything is quicker than an exception."""
        while (self._incoming.pending or self._tls.pending()) and not self._is_over:
            try:
                data = self._tls.read(_RECORD_OCTETS)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:  # the client has answered our end
                data = b""
            except ssl.SSLError:
                self._fail()
                return
            if not data:  # the client ends it
                self._say_the_end()
                self._is_over = True
                self._wire.loseConnection()
                return
            if self._wrapped is not None:
                self._wrapped.dataReceived(data)
        self._flush()  # the answer to a change of keys, say

    def _encrypt(self, data: bytes) -> None:
        try:
            if len(data) <= _RECORD_OCTETS:
                self._tls.write(data)
                return
            rest = memoryview(data)
            while rest:
                rest = rest[self._tls.write(rest[:_RECORD_OCTETS]) :]
        except ssl.SSLError:
            self._fail()

    def _flush(self) -> None:
        if self._outgoing.pending and self._wire.connected:
            self._wire.write(self._outgoing.read())

    def _say_the_end(self) -> None:
        try:
            self._tls.unwrap()
        except ssl.SSLError:  # mostly: the client has not said so too
            self._flush()
        else:
            self._flush()
            self._is_over = True
            self._wire.loseConnection()

    def _fail(self) -> None:
        """The client is told why, where TLS has a word for it."""
        self._is_over = True
        self._flush()
        self._wire.loseConnection()
