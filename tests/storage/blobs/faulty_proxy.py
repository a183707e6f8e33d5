"""An HTTP proxy in front of S3 that does, when told, what networks and servers do on a bad day (real sockets).

    with FaultyProxy("http://127.0.0.1:9000") as proxy:
        store = ObjectStore(replace(config, url=proxy.url))
        proxy.fault(Fault.ERROR_503, times=2)   # the next two requests fail, then all is well again
        proxy.fault(Fault.HANG)                 # until `heal`

It may be told from any thread. `requests` counts what arrived, `connections` what is open now.
"""

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from enum import Enum, auto
from types import TracebackType
from typing import BinaryIO
from urllib.parse import urlsplit

TRICKLE_S = 0.05  # between the octets of a slow answer
WAIT_S = 10.0  # for what a test expects


class Fault(Enum):
    REFUSE = auto()
    """nobody listens, and open connections are reset"""
    HANG = auto()
    """the request is read, and no answer comes"""
    SLOW = auto()
    """the body of the answer trickles, an octet at a time"""
    ERROR_503 = auto()
    """SlowDown, as S3 says it"""
    ERROR_HTML = auto()
    """502 and a page, as a balancer says it"""
    CUT = auto()
    """the connection ends in the middle of the answer's body"""
    TRUNCATE = auto()
    """a well-formed answer with half of the octets"""
    FLIP_ANSWER = auto()
    """one bit in the middle of the answer's body is another"""
    FLIP_REQUEST = auto()
    """one bit in the middle of the request's body is another"""
    DROP_ANSWER = auto()
    """the server does what was asked, and the answer is lost"""


@dataclass(frozen=True, slots=True)
class _Order:
    fault: Fault
    method: str
    contains: str


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    target: str
    head: list[tuple[str, str]]
    body: bytes


class FaultyProxy:
    """Listens on a port of its own until `close`."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self.requests = 0
        self._lock = threading.Condition()
        self._order: _Order | None = None
        self._times_left: int | None = None
        self._healed = threading.Event()
        self._is_closed = False
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port = int(self._listener.getsockname()[1])
        self._listen()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def connections(self) -> int:
        return len(self._open)

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Return as soon as it is so, looking whenever something arrives or ends here."""
        with self._lock:
            if not self._lock.wait_for(is_so, WAIT_S):
                raise TimeoutError

    def fault(self, fault: Fault, *, times: int | None = None, method: str = "", contains: str = "") -> None:
        """From now on, or for so many requests; only those of a method, or with this in their target."""
        self.heal()
        with self._lock:
            self._order = _Order(fault, method, contains)
            self._times_left = times
            self._healed = threading.Event()
        if fault is Fault.REFUSE:
            self._stop_listening()
            self.hang_up()

    def heal(self) -> None:
        with self._lock:
            was = self._order
            self._order = None
            self._healed.set()
        if was is not None and was.fault is Fault.REFUSE:
            self._listener = socket.create_server(("127.0.0.1", self._port), reuse_port=False)
            self._listen()

    def hang_up(self) -> None:
        """End every open connection, as a server does that restarts."""
        with self._lock:
            connections = list(self._open)
        for each in connections:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._is_closed = True
        with self._lock:
            self._order = None
            self._healed.set()
        self._stop_listening()
        self.hang_up()

    def __enter__(self) -> "FaultyProxy":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _raised: BaseException | None, _where: TracebackType | None
    ) -> None:
        self.close()

    def _listen(self) -> None:
        self._accepting = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._accepting.start()

    def _stop_listening(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._listener.close()
        self._accepting.join()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._open.add(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        upstream = http.client.HTTPConnection(*self._target, timeout=60)
        try:
            with (
                connection,
                connection.makefile("rb") as stream,
                contextlib.suppress(OSError, http.client.HTTPException),
            ):
                while (request := _read_request(stream)) is not None:
                    if not self._answer(connection, upstream, request):
                        return
        finally:
            upstream.close()
            with self._lock:
                self._open.discard(connection)
                self._lock.notify_all()

    def _answer(self, connection: socket.socket, upstream: http.client.HTTPConnection, request: _Request) -> bool:
        """Whether the connection goes on."""
        fault, healed = self._next_fault(request)
        match fault:
            case Fault.REFUSE:
                return False
            case Fault.HANG:
                healed.wait()
                return False
            case Fault.ERROR_503:
                connection.sendall(_SLOW_DOWN)
                return True
            case Fault.ERROR_HTML:
                connection.sendall(_BAD_GATEWAY)
                return True
            case Fault.FLIP_REQUEST:
                request = _Request(request.method, request.target, request.head, _flipped(request.body))
        status, head, body = _forward(upstream, request)
        match fault:
            case Fault.DROP_ANSWER:
                return False
            case Fault.CUT:
                connection.sendall(_head_of(status, head, len(body)) + body[: len(body) // 2])
                return False
            case Fault.TRUNCATE:
                body = body[: len(body) // 2]
            case Fault.FLIP_ANSWER:
                body = _flipped(body)
            case Fault.SLOW:
                connection.sendall(_head_of(status, head, len(body)))
                for octet in body:
                    connection.sendall(bytes((octet,)))
                    healed.wait(TRICKLE_S)
                return True
        length = None if request.method == "HEAD" else len(body)
        connection.sendall(_head_of(status, head, length) + body)
        return True

    def _next_fault(self, request: _Request) -> tuple[Fault | None, threading.Event]:
        with self._lock:
            self.requests += 1
            self._lock.notify_all()
            order = self._order
            if order is None or order.method not in ("", request.method) or order.contains not in request.target:
                return None, self._healed
            if self._times_left is not None:
                self._times_left -= 1
                if self._times_left <= 0:
                    self._order = None
            return order.fault, self._healed


_SLOW_DOWN_BODY = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your rate.</Message></Error>"
)
_SLOW_DOWN = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n" % len(_SLOW_DOWN_BODY)
) + _SLOW_DOWN_BODY
_BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<h1>Sorry</h1"


def _read_request(stream: BinaryIO) -> _Request | None:
    line = stream.readline()
    if not line:
        return None
    method, target, _version = line.decode("latin-1").split()
    message: Message = http.client.parse_headers(stream)
    length = int(message.get("Content-Length") or 0)
    body = stream.read(length) if length else b""
    return _Request(method, target, message.items(), body)


def _forward(upstream: http.client.HTTPConnection, request: _Request) -> tuple[bytes, list[tuple[str, str]], bytes]:
    upstream.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
    for name, value in request.head:
        upstream.putheader(name, value)
    upstream.endheaders(request.body or None)
    response = upstream.getresponse()
    body = response.read()
    return b"%d %s" % (response.status, response.reason.encode("latin-1")), response.getheaders(), body


def _head_of(status: bytes, head: list[tuple[str, str]], length: int | None) -> bytes:
    """`length` None: that of the server stays (HEAD)."""
    return b"HTTP/1.1 " + status + b"\r\n" + b"".join(_kept(head, length)) + b"\r\n"


def _kept(head: list[tuple[str, str]], length: int | None) -> Iterator[bytes]:
    for name, value in head:
        is_length = name.lower() == "content-length"
        if name.lower() in ("transfer-encoding", "connection") or (is_length and length is not None):
            continue
        yield f"{name}: {value}\r\n".encode("latin-1")
    if length is not None:
        yield b"Content-Length: %d\r\n" % length


def _flipped(body: bytes) -> bytes:
    if not body:
        return body
    altered = bytearray(body)
    altered[len(altered) // 2] ^= 0x10
    return bytes(altered)
