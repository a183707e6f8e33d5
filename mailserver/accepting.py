"""Accepting connections that may come through a proxy: who it is stands before everything else (`proxy_protocol`).

A header is taken off the socket octet by octet as far as it goes, so what follows it, a TLS handshake or a command, is
still in the socket when a door gets it.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from functools import partial

from mailserver.observability.logs import get_logger
from mailserver.proxy_protocol import (
    FIRST_OCTETS,
    V1_MOST_OCTETS,
    V2_FIXED_OCTETS,
    V2_SIGNATURE,
    Network,
    ProxyHeaderInvalid,
    Source,
    parse_v1,
    parse_v2,
    v2_rest_octets,
)

HEADER_TIMEOUT_S = 5.0
ACCEPT_PAUSE_S = 0.1  # after the process ran out of file descriptors
PENDING_LIMIT = 1_000  # connections of which the header is awaited; more are closed

Take = Callable[[socket.socket, Source], None]

log = get_logger()


class NothingSaid(Exception):
    """The connection ended before its first octet: a load balancer looks whether somebody listens."""


class Acceptor:
    """Accepts from one listening socket until `close`, and hands on each connection with its client's address."""

    def __init__(self, listening: socket.socket, proxies: Sequence[Network], take: Take, *, door: str) -> None:
        self._listening = listening
        self._proxies = proxies
        self._take = take
        self._door = door
        self._loop = asyncio.get_running_loop()
        self._pending: set[asyncio.Task[None]] = set()
        self._accepting = self._loop.create_task(self._accept(), name=f"{door}: accepting")

    def close(self) -> None:
        """Accept no more, and drop who has not said who it is."""
        self._accepting.cancel()
        for pending in self._pending:
            pending.cancel()
        self._accepting.add_done_callback(lambda _: self._listening.close())

    async def _accept(self) -> None:
        while True:
            try:
                accepted, peer = await self._loop.sock_accept(self._listening)
            except OSError as error:
                log.warning("cannot accept", door=self._door, reason=type(error).__name__)
                await asyncio.sleep(ACCEPT_PAUSE_S)
                continue
            direct = Source(str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else Source("", 0)
            if not any(network.holds(direct.host) for network in self._proxies):
                self._hand_on(accepted, direct)
            elif len(self._pending) >= PENDING_LIMIT:
                accepted.close()
            else:
                task = self._loop.create_task(self._introduce(accepted, direct))
                self._pending.add(task)
                task.add_done_callback(partial(self._introduced, accepted))

    async def _introduce(self, accepted: socket.socket, proxy: Source) -> None:
        try:
            async with asyncio.timeout(HEADER_TIMEOUT_S):
                source = await read_header(accepted)
        except NothingSaid:
            accepted.close()
        except (ProxyHeaderInvalid, OSError) as error:  # TimeoutError is an OSError
            log.warning("a proxy did not say for whom", door=self._door, proxy=proxy.host, reason=str(error))
            accepted.close()
        else:
            self._hand_on(accepted, source or proxy)

    def _introduced(self, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        self._pending.discard(task)
        if task.cancelled():  # perhaps before its first step, which no `except` of its own would notice
            accepted.close()

    def _hand_on(self, accepted: socket.socket, source: Source) -> None:
        """A door: a bug in it ends this connection, not the accepting."""
        try:
            self._take(accepted, source)
        except Exception:
            log.exception("a connection could not be taken", door=self._door)
            accepted.close()


async def read_header(accepted: socket.socket) -> Source | None:
    """Take the header off a fresh connection. Raises NothingSaid, ProxyHeaderInvalid, OSError."""
    first = await _first_octets(accepted)
    first += await _exactly(accepted, FIRST_OCTETS - len(first))
    if first == V2_SIGNATURE:
        fixed = first + await _exactly(accepted, V2_FIXED_OCTETS - FIRST_OCTETS)
        return parse_v2(fixed, await _exactly(accepted, v2_rest_octets(fixed)))
    if not first.startswith(b"PROXY "):
        raise ProxyHeaderInvalid("no header")
    line = bytearray(first)
    while not line.endswith(b"\r\n"):
        if len(line) >= V1_MOST_OCTETS:
            raise ProxyHeaderInvalid("a PROXY line without end")
        line += await _up_to_line_end(accepted, V1_MOST_OCTETS - len(line))
    return parse_v1(bytes(line))


async def _first_octets(accepted: socket.socket) -> bytes:
    """Some of them. Raises NothingSaid; some balancers reset the connection instead of ending it."""
    try:
        first = await asyncio.get_running_loop().sock_recv(accepted, FIRST_OCTETS)
    except ConnectionResetError:
        first = b""
    if not first:
        raise NothingSaid
    return first


async def _exactly(accepted: socket.socket, octets: int) -> bytes:
    loop = asyncio.get_running_loop()
    found = b""
    while len(found) < octets:
        more = await loop.sock_recv(accepted, octets - len(found))
        if not more:
            raise ProxyHeaderInvalid("the connection ended")
        found += more
    return found


async def _up_to_line_end(accepted: socket.socket, most: int) -> bytes:
    """What is there, but nothing behind a line end."""
    with contextlib.suppress(BlockingIOError):
        ahead = accepted.recv(most, socket.MSG_PEEK)
        end = ahead.find(b"\n")
        if ahead:
            return accepted.recv(end + 1 if end >= 0 else len(ahead))
    return await _exactly(accepted, 1)
