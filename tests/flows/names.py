"""A DNS server for installations that send each other mail, in a thread of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from tests.outbound_peers.dns_server import DnsServer, Zone
from tests.outbound_peers.smtp_peer import SmtpPeer

T = TypeVar("T")


class LoopThread:
    """An event loop beside the test."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextlib.contextmanager
def loop_thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    try:
        yield thread
    finally:
        thread.stop()


@contextlib.contextmanager
def names(thread: LoopThread, zone: Zone) -> Iterator[DnsServer]:
    server = thread.do(DnsServer(zone).__aenter__())
    try:
        yield server
    finally:
        thread.do(server.__aexit__(None, None, None))


@contextlib.contextmanager
def host(thread: LoopThread, peer: SmtpPeer) -> Iterator[SmtpPeer]:
    """Another mail server."""
    thread.do(peer.__aenter__())
    try:
        yield peer
    finally:
        thread.do(peer.__aexit__(None, None, None))
