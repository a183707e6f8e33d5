"""The POP3 door over real sockets, with Python's own client."""

import asyncio
import poplib
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.local.certificates import Certificates
from mailserver.imap.session.conversation import Services as ImapServices
from mailserver.pop3.config import Pop3Config
from mailserver.pop3.conversation import Services
from mailserver.pop3.transport import Listeners, start
from mailserver.services import messages
from mailserver.tls import ServerCertificate
from storage.types import Flags
from tests.conftest import plain_message
from tests.people import Person

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OpenDoor:
    pop3: int
    pop3s: int
    ca: Path

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))


@pytest.fixture
async def door(reactor: None, imap: ImapServices, certificates: Certificates) -> AsyncIterator[OpenDoor]:
    clear, encrypted = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    for each in (clear, encrypted):
        each.setblocking(False)
    ports = [each.getsockname()[1] for each in (clear, encrypted)]
    opened = await start(
        Pop3Config(),
        Services(imap.store, imap.logins),
        Listeners((clear,), (encrypted,)),
        hostname="mail.demo.test",
        certificate=ServerCertificate(certificates.certificate, certificates.key),
    )
    yield OpenDoor(*ports, certificates.ca)
    await opened.drain(10.0)


async def test_a_client_fetches_everything_and_removes_it(door: OpenDoor, imap: ImapServices, person: Person) -> None:
    sent = [plain_message(n, body=("x" * 1_000 + "\r\n") * 70 + ".dot") for n in (1, 2)]
    for octets in sent:
        await messages.append(imap.store, person.principal, "INBOX", octets, flags=Flags(), received_at=NOON)

    def fetch() -> list[bytes]:
        client = poplib.POP3_SSL("localhost", door.pop3s, context=door.tls(), timeout=10)
        client.utf8()
        client.user(person.address)
        client.pass_(person.password)
        count, octets = client.stat()
        assert (count, octets) == (2, sum(map(len, sent)))
        found = [b"\r\n".join(client.retr(number + 1)[1]) + b"\r\n" for number in range(count)]
        for number in range(count):
            client.dele(number + 1)
        client.quit()
        return found

    assert await asyncio.to_thread(fetch) == sent

    def count_again() -> int:
        client = poplib.POP3("localhost", door.pop3, timeout=10)
        client.stls(door.tls())
        client.user(person.address)
        client.pass_(person.password)
        count = client.stat()[0]
        client.quit()
        return count

    assert await asyncio.to_thread(count_again) == 0


async def test_what_is_sent_ahead_of_tls_is_dropped(door: OpenDoor) -> None:
    reader, writer = await asyncio.open_connection("localhost", door.pop3)
    await reader.readline()
    writer.write(b"STLS\r\nUSER mallory@evil.test\r\n")
    assert (await reader.readline()).startswith(b"+OK")
    await writer.start_tls(door.tls(), server_hostname="localhost")
    writer.write(b"CAPA\r\n")
    assert await reader.readline() == b"+OK What I can do:\r\n"
    writer.close()


async def test_an_unknown_command_costs_nobody_else_anything(door: OpenDoor, person: Person) -> None:
    noise = [await asyncio.open_connection("localhost", door.pop3) for _ in range(20)]
    for _, writer in noise:
        writer.write(b"\x00\xff" * 5000 + b"\r\n" * 50)

    def sign_in() -> bytes:
        client = poplib.POP3_SSL("localhost", door.pop3s, context=door.tls(), timeout=10)
        client.user(person.address)
        answer = client.pass_(person.password)
        client.close()
        return answer

    assert await asyncio.to_thread(sign_in) == b"+OK 0 messages (0 octets)"
    for reader, writer in noise:
        async with asyncio.timeout(10):
            assert (await reader.read()).endswith(b"-ERR Too many lines that are no command\r\n")
        writer.close()
