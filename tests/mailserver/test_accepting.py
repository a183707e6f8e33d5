"""Accepting: one connection's trouble is nobody else's, and no socket is left open."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from mailserver.accepting import Acceptor
from mailserver.proxy_protocol import Network, Source

LOOPBACK = (Network.from_text("127.0.0.0/8"),)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


async def end_of(port: int, sent: bytes = b"") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(10):
        said = await reader.read()
    writer.close()
    return said


@pytest.mark.parametrize("proxies", [(), LOOPBACK], ids=["direct", "through a proxy"])
async def test_a_connection_that_cannot_be_taken_is_closed_and_the_next_is_accepted(
    listening: socket.socket, proxies: tuple[Network, ...]
) -> None:
    tries: list[Source] = []

    def take(accepted: socket.socket, source: Source) -> None:
        tries.append(source)
        if len(tries) < 3:
            raise ZeroDivisionError
        accepted.send(b"welcome")
        accepted.close()

    header = b"PROXY TCP4 198.51.100.9 192.0.2.1 40000 25\r\n" if proxies else b""
    acceptor = Acceptor(listening, proxies, take, door="test")
    port = listening.getsockname()[1]
    assert [await end_of(port, header) for _ in range(3)] == [b"", b"", b"welcome"]
    acceptor.close()


@pytest.mark.parametrize("is_reset", [False, True], ids=["ended", "reset"])
async def test_a_balancer_that_only_looks_whether_somebody_listens_is_no_news(
    listening: socket.socket, is_reset: bool
) -> None:
    address = listening.getsockname()
    acceptor = Acceptor(listening, LOOPBACK, lambda accepted, source: accepted.close(), door="test")
    with contextlib.closing(acceptor), capture_logs() as logs:
        with socket.create_connection(address) as looking:
            if is_reset:
                looking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert await end_of(address[1], b"PROXY UNKNOWN\r\n") == b""  # accepted later, so that one is over by then
        assert logs == []
        assert await end_of(address[1], b"PROXY to nowhere\r\n") == b""
        assert [line["event"] for line in logs] == ["a proxy did not say for whom"]


async def test_who_has_not_said_who_it_is_is_hung_up_on_at_the_end(listening: socket.socket) -> None:
    acceptor = Acceptor(listening, LOOPBACK, lambda accepted, source: None, door="test")
    port = listening.getsockname()[1]
    waiting = [asyncio.create_task(end_of(port, b"PROXY TC")) for _ in range(5)]
    while len(acceptor._pending) < 5:  # noqa: ASYNC110 (nothing tells of a connection that has said nothing)
        await asyncio.sleep(0)
    acceptor.close()
    assert await asyncio.gather(*waiting) == [b""] * 5
