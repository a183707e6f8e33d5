"""Twisted's sockets as the doors need them: resets noticed, few system calls, nothing of what serves other reactors."""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any, cast

from twisted.internet import main, tcp
from twisted.internet.protocol import Protocol
from zope.interface import implementer  # type: ignore[attr-defined]

from mailserver.accepting import ACCEPT_PAUSE_S, Take
from mailserver.observability.logs import get_logger
from mailserver.proxy_protocol import Source

implements = cast(Callable[..., Callable[[type], Any]], implementer)  # zope has no types

READ_OCTETS = 65_536

log = get_logger()


class TalkSocket(tcp.Server):
    """A connection whose reset is noticed, and that writes without asking whether it may.

    When octets and a reset come together, libuv tells of both at once and forgets the socket; Twisted reads the octets
    and would wait for ever for news of the reset.

    What is to be written goes out at the end of this turn of the loop, all in one piece. Twisted would have the poller
    say first that there is room, which is two more system calls for each answer, and nearly always there is.

    The loop calls it itself, not through Twisted's reactor, which gives each call a context to log in.
    """

    _is_watched = False
    _will_flush = False
    _waits_for_room = False

    def startReading(self) -> None:  # noqa: N802
        if not self._is_watched:
            self._is_watched = True
            asyncio.get_running_loop().add_reader(self.fileno(), self._readable)

    def stopReading(self) -> None:  # noqa: N802
        if self._is_watched:
            self._is_watched = False
            asyncio.get_running_loop().remove_reader(self.fileno())

    def write(self, data: bytes) -> None:
        if data and self.connected:
            self._tempDataBuffer.append(data)
            self._tempDataLen += len(data)
            if self._tempDataLen + len(self.dataBuffer) > self.bufferSize:
                cast(Any, self)._maybePauseProducer()
            self.startWriting()

    def startWriting(self) -> None:  # noqa: N802
        if not self._will_flush:
            self._will_flush = True
            asyncio.get_running_loop().call_soon(self._flush)

    def stopWriting(self) -> None:  # noqa: N802
        if self._waits_for_room:
            self._waits_for_room = False
            asyncio.get_running_loop().remove_writer(self.fileno())

    def doRead(self) -> Any:  # noqa: N802
        try:
            data = self.socket.recv(READ_OCTETS)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if not data:
            return main.CONNECTION_DONE
        cast(Any, self.protocol).dataReceived(data)
        if self.connected and self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return main.CONNECTION_LOST
        return None

    def writeSomeData(self, data: bytes) -> Any:  # noqa: N802
        if not data:
            return 0  # closing "writes" nothing first
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            return 0 if error.errno == errno.ENOBUFS else main.CONNECTION_LOST

    def _readable(self) -> None:
        self._work(self.doRead, is_read=True)

    def _flush(self) -> None:
        self._will_flush = False
        if not self.connected:
            return
        self._work(self.doWrite, is_read=False)
        if self.connected and not self._waits_for_room and (self.offset < len(self.dataBuffer) or self._tempDataLen):
            self._waits_for_room = True
            asyncio.get_running_loop().add_writer(self.fileno(), self._flush)

    def _work(self, work: Callable[[], Any], *, is_read: bool) -> None:
        """As Twisted's reactors do it: what `work` returns is why the connection has ended."""
        try:
            why = work()
        except Exception as error:
            log.exception("a connection failed")
            why = error
        if why is not None:
            self.stopReading()
            cast(Any, self.reactor)._disconnectSelectable(self, why, is_read)


class Port:
    """Accepts connections from one listening socket until `close`: one each time the loop says that somebody waits, so
    that those who are here have their turn between."""

    def __init__(self, listening: socket.socket, take: Take, *, door: str) -> None:
        self._listening = listening
        self._take = take
        self._door = door
        self._pausing: asyncio.TimerHandle | None = None
        listening.setblocking(False)
        self._watch()

    def close(self) -> None:
        """Whoever waits already is accepted first: with the socket, the kernel would reset them."""
        while self._accept():
            pass
        if self._pausing is not None:
            self._pausing.cancel()
        else:
            asyncio.get_running_loop().remove_reader(self._listening.fileno())
        self._listening.close()

    def _watch(self) -> None:
        self._pausing = None
        asyncio.get_running_loop().add_reader(self._listening.fileno(), self._accept)

    def _accept(self) -> bool:
        """Whether there was somebody."""
        try:
            accepted, peer = self._listening.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            log.warning("cannot accept", door=self._door, reason=type(error).__name__)
            self._pause()
            return False
        try:
            self._take(accepted, Source(str(peer[0]), int(peer[1])))
        except Exception:
            log.exception("a connection could not be taken", door=self._door)
            accepted.close()
        return True

    def _pause(self) -> None:
        """There are no more files, most likely: the loop would say again and again that somebody waits."""
        if self._pausing is None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._listening.fileno())
            self._pausing = loop.call_later(ACCEPT_PAUSE_S, self._watch)


def hand_to_twisted(accepted: socket.socket, source: Source, protocol: Protocol) -> None:
    """Have Twisted serve a connection, under the address of its client."""
    from twisted.internet import reactor  # it is there only once the process has installed it

    client = (source.host, source.port) if ":" not in source.host else (source.host, source.port, 0, 0)
    made = TalkSocket(accepted, cast(Any, protocol), client, cast(Any, None), 0, cast(Any, reactor))
    cast(Any, protocol).makeConnection(made)
