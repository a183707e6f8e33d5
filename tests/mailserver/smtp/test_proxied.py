"""Doors behind a load balancer: the client is whom the PROXY protocol names."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

import pytest
import uvloop

from mailserver.proxy_protocol import Network
from mailserver.smtp.config import Door
from tests.mailserver.smtp.doors import client_context, config_with, open_door

NewLoop = Callable[[], asyncio.AbstractEventLoop]
LOOPBACK = (Network.from_text("127.0.0.0/8"),)
HEADER = b"PROXY TCP4 198.51.100.9 192.0.2.1 40000 25\r\n"


def speak(port: int, header: bytes, *, tls: ssl.SSLContext | None, lines: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        raw.sendall(header)
        connection = tls.wrap_socket(raw, server_hostname="localhost") if tls else raw
        connection.sendall(lines)
        said = b""
        with contextlib.suppress(ConnectionResetError):  # who is turned away is not read to the end
            while octets := connection.recv(65_536):
                said += octets
        if tls:
            connection.close()
    return said


async def test_the_trace_names_the_client_and_not_the_proxy() -> None:
    message = b"Subject: x\r\n\r\nhello\r\n.\r\n"
    conversation = b"EHLO a.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<ann@demo.test>\r\nDATA\r\n" + message + b"QUIT\r\n"
    async with open_door(Door.MX, proxies=LOOPBACK) as opened:
        said = await asyncio.to_thread(speak, opened.port, HEADER, tls=None, lines=conversation)
        assert b"\r\n250 2." in said
        (stored,) = opened.town.delivered
    assert b"198.51.100.9" in stored.octets.split(b"\r\n\r\n")[0]
    assert b"127.0.0.1" not in stored.octets


async def test_tls_from_the_first_octet_begins_behind_the_header() -> None:
    async with open_door(Door.SUBMISSIONS, proxies=LOOPBACK) as opened:
        said = await asyncio.to_thread(
            speak, opened.port, HEADER, tls=client_context(), lines=b"EHLO a.test\r\nQUIT\r\n"
        )
    assert said.startswith(b"220 ")
    assert said.endswith(b"221 2.0.0 Bye\r\n") or b"\r\n221 " in said


async def test_limits_count_the_client() -> None:
    async with open_door(Door.MX, config_with(connections_per_network_limit=1), proxies=LOOPBACK) as opened:
        reader, writer = await asyncio.open_connection("127.0.0.1", opened.port)
        writer.write(HEADER)
        assert (await reader.readline()).startswith(b"220 ")
        refused = await asyncio.to_thread(speak, opened.port, HEADER, tls=None, lines=b"")
        assert refused.startswith(b"421 ")
        other = HEADER.replace(b"198.51.100.9", b"203.0.113.9")
        assert (await asyncio.to_thread(speak, opened.port, other, tls=None, lines=b"QUIT\r\n")).startswith(b"220 ")
        writer.close()
        await writer.wait_closed()


LOOPS = pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(10):
            return await reader.read()
    return b""


@LOOPS
def test_a_handshake_that_hangs_ends_and_gives_its_place_back(new_loop: NewLoop) -> None:
    async def hang_then_speak() -> bytes:
        config = config_with(connections_per_network_limit=1, tls_handshake_timeout_s=0.3)
        async with open_door(Door.SUBMISSIONS, config, proxies=LOOPBACK) as opened:
            reader, writer = await asyncio.open_connection("127.0.0.1", opened.port)
            writer.write(HEADER + b"\x16\x03\x01")
            assert await until_closed(reader) == b""
            writer.close()
            return await asyncio.to_thread(speak, opened.port, HEADER, tls=client_context(), lines=b"QUIT\r\n")

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(hang_then_speak()).startswith(b"220 ")


@LOOPS
@pytest.mark.parametrize("sent", [b"", b"PROXY TC", HEADER, HEADER + b"\x16\x03\x01"])
def test_who_is_on_the_way_in_when_the_door_closes_is_hung_up_on(new_loop: NewLoop, sent: bytes) -> None:
    async def wait_at_a_closing_door() -> list[bytes]:
        async with open_door(Door.SUBMISSIONS, proxies=LOOPBACK) as opened:
            connections = [await asyncio.open_connection("127.0.0.1", opened.port) for _ in range(5)]
            for _, writer in connections:
                writer.write(sent)
            await asyncio.to_thread(speak, opened.port, HEADER, tls=client_context(), lines=b"QUIT\r\n")
        said = [await until_closed(reader) for reader, _ in connections]
        for _, writer in connections:
            writer.close()
        return said

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(wait_at_a_closing_door()) == [b""] * 5
