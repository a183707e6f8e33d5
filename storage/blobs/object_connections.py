"""HTTP connections to S3: as many as there are threads, certificates checked, no retries but our own, and all can be
hung up."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from storage.blobs.objects_config import ObjectsConfig

_SLICE_OCTETS = 256 * 1024


class Connections:
    """`pool` is for the client; it opens connections when they are needed."""

    def __init__(self, config: ObjectsConfig) -> None:
        self._opened: WeakSet[HTTPConnection] = WeakSet()
        self._lock = threading.Lock()
        self.pool = urllib3.PoolManager(
            maxsize=config.connections,
            timeout=urllib3.Timeout(connect=config.connect_timeout_s, read=config.read_timeout_s),
            retries=False,
            cert_reqs="CERT_REQUIRED",
            ca_certs=str(config.ca_file) if config.ca_file else None,
        )
        self.pool.pool_classes_by_scheme = _pools(self._note)

    def close(self) -> None:
        """End those that nobody uses."""
        self.pool.clear()

    def hang_up(self) -> None:
        """Whoever waits for an answer in a thread gets none any more."""
        with self._lock:
            opened = list(self._opened)
        for connection in opened:
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)  # below TLS, which another thread uses

    def _note(self, connection: HTTPConnection) -> None:
        with self._lock:
            self._opened.add(connection)


class _SendsInSlices:
    """The timeout of sending covers one `sendall`: over a slow line all of a pack would not make it in time."""

    def send(self, data: Any) -> None:
        if not isinstance(data, bytes | bytearray | memoryview) or len(data) <= _SLICE_OCTETS:
            super().send(data)  # type: ignore[misc]
            return
        view = memoryview(data)
        for start in range(0, len(view), _SLICE_OCTETS):
            super().send(view[start : start + _SLICE_OCTETS])  # type: ignore[misc]


def _pools(note: Callable[[HTTPConnection], None]) -> dict[str, type[HTTPConnectionPool]]:
    """`note` is told of each connection that was opened."""

    class Connection(_SendsInSlices, HTTPConnection):
        def connect(self) -> None:
            super().connect()
            note(self)

    class TlsConnection(_SendsInSlices, HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            note(self)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    return {"http": Pool, "https": TlsPool}
