"""Headers of the PROXY protocol, and a door that gets them."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.certificates import Certificates
from mailserver.accepting import read_header
from mailserver.pop3.config import Pop3Config
from mailserver.pop3.conversation import Services
from mailserver.pop3.transport import Listeners, start
from mailserver.proxy_protocol import (
    V2_SIGNATURE,
    Network,
    ProxyHeaderInvalid,
    Source,
    parse_v1,
    parse_v2,
    v2_rest_octets,
)
from mailserver.tls import ServerCertificate
from storage.database import Database
from storage.store import MailStore
from tests.imap_services import imap_services

LOOPBACK = (Network.from_text("127.0.0.0/8"), Network.from_text("::1"))


def v2(host: str, port: int, *, tlvs: bytes = b"") -> bytes:
    source = ip_address(host)
    family = 0x11 if source.version == 4 else 0x21
    rest = source.packed + bytes(len(source.packed)) + struct.pack("!HH", port, 993) + tlvs
    return V2_SIGNATURE + struct.pack("!BBH", 0x21, family, len(rest)) + rest


V2_LOCAL = V2_SIGNATURE + struct.pack("!BBH", 0x20, 0, 0)
V1 = b"PROXY TCP4 198.51.100.9 192.0.2.1 40000 993\r\n"


@pytest.mark.parametrize(
    ("line", "source"),
    [
        (V1, Source("198.51.100.9", 40000)),
        (b"PROXY TCP6 2001:db8::9 2001:db8::1 1 993\r\n", Source("2001:db8::9", 1)),
        (b"PROXY TCP6 ::ffff:198.51.100.9 ::ffff:192.0.2.1 1 993\r\n", Source("198.51.100.9", 1)),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
    ],
)
def test_a_version_1_line_names_the_client(line: bytes, source: Source | None) -> None:
    assert parse_v1(line) == source


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY TCP4 198.51.100.9 192.0.2.1 40000 993",
        b"PROXY TCP4 2001:db8::9 192.0.2.1 40000 993\r\n",
        b"PROXY TCP4 198.51.100.9 192.0.2.1 70000 993\r\n",
        b"PROXY TCP4 198.51.100.9  40000 993\r\n",
        b"PROXY UDP4 198.51.100.9 192.0.2.1 40000 993\r\n",
        b"PROXY\r\n",
        b"proxy TCP4 198.51.100.9 192.0.2.1 40000 993\r\n",
    ],
)
def test_a_line_of_another_form_is_refused(line: bytes) -> None:
    with pytest.raises(ProxyHeaderInvalid):
        parse_v1(line)


def test_an_ipv4_client_of_a_proxy_that_listens_in_ipv6_is_one() -> None:
    """Else all of them would be of one network, ::/64, and share its limits."""
    header = v2("::ffff:198.51.100.9", 40000)
    assert parse_v2(header[:16], header[16:]) == Source("198.51.100.9", 40000)


@given(st.binary(max_size=120))
def test_any_octets_are_a_header_or_refused(octets: bytes) -> None:
    for read in (
        lambda: parse_v1(octets),
        lambda: v2_rest_octets(octets),
        lambda: parse_v2(V2_SIGNATURE + octets[:4].ljust(4, b"\0"), octets[4:]),
    ):
        try:
            read()
        except ProxyHeaderInvalid:
            continue


@pytest.mark.parametrize(
    ("header", "source"),
    [
        (V1, Source("198.51.100.9", 40000)),
        (v2("198.51.100.9", 40000), Source("198.51.100.9", 40000)),
        (v2("2001:db8::9", 7, tlvs=b"\x04\x00\x03abc"), Source("2001:db8::9", 7)),
        (V2_LOCAL, None),
    ],
)
@pytest.mark.parametrize("piece_octets", [1, 13, 500])
async def test_nothing_behind_the_header_is_taken(header: bytes, source: Source | None, piece_octets: int) -> None:
    ours, theirs = socket.socketpair()
    for each in (ours, theirs):
        each.setblocking(False)
    sent = header + b"\x16\x03\x01 a handshake"

    async def send() -> None:
        for start_ in range(0, len(sent), piece_octets):
            await asyncio.get_running_loop().sock_sendall(theirs, sent[start_ : start_ + piece_octets])
            await asyncio.sleep(0)

    sending = asyncio.create_task(send())
    assert await read_header(ours) == source
    await sending
    assert ours.recv(100) == b"\x16\x03\x01 a handshake"
    ours.close()
    theirs.close()


@pytest.mark.parametrize(
    "octets", [b"USER ada@example.com\r\n", b"PROXY " + b"x" * 200, V2_SIGNATURE + b"\x21\x11\xff\xff"]
)
async def test_what_is_no_header_is_refused(octets: bytes) -> None:
    ours, theirs = socket.socketpair()
    for each in (ours, theirs):
        each.setblocking(False)
    theirs.send(octets)
    with pytest.raises(ProxyHeaderInvalid):
        await read_header(ours)
    ours.close()
    theirs.close()


@pytest.fixture
async def door(
    reactor: None, store: MailStore, database: Database, certificates: Certificates
) -> AsyncIterator[tuple[int, int, Path]]:
    """Ports of POP3 and POP3 over TLS behind a proxy, one connection from each network, and the authority."""
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    for each in listening:
        each.setblocking(False)
    ports = [each.getsockname()[1] for each in listening]
    async with imap_services(store, database) as services:
        opened = await start(
            Pop3Config(connections_per_network=1),
            Services(services.store, services.logins),
            Listeners((listening[0],), (listening[1],)),
            hostname="mail.demo.test",
            certificate=ServerCertificate(certificates.certificate, certificates.key),
            proxies=LOOPBACK,
        )
        yield ports[0], ports[1], certificates.ca
        await opened.drain(10.0)


async def test_limits_count_the_client_and_not_the_proxy(door: tuple[int, int, Path]) -> None:
    async def greeting(header: bytes) -> tuple[bytes, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", door[0])
        writer.write(header)
        async with asyncio.timeout(10):
            return await reader.readline(), writer

    said = [await greeting(each) for each in (V1, v2("198.51.100.9", 5), v2("198.51.100.10", 6))]
    assert [line[:4] for line, _ in said] == [b"+OK ", b"-ERR", b"+OK "]
    for _, writer in said:
        writer.close()


async def test_tls_begins_behind_the_header(door: tuple[int, int, Path]) -> None:
    def speak() -> bytes:
        with socket.create_connection(("127.0.0.1", door[1]), timeout=10) as raw:
            raw.sendall(v2("2001:db8::9", 7))
            context = ssl.create_default_context(cafile=str(door[2]))
            with context.wrap_socket(raw, server_hostname="localhost") as encrypted:
                return encrypted.recv(100)

    assert (await asyncio.to_thread(speak)).startswith(b"+OK mail.demo.test")


async def test_a_proxy_that_says_nothing_of_the_kind_is_hung_up_on(door: tuple[int, int, Path]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door[0])
    writer.write(b"USER ada@example.com\r\n")
    said = b""
    with contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(10):
            said = await reader.read()
    assert said == b""
    writer.close()
