"""The IMAP door with real sockets, TLS and services."""

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.certificates import Certificates
from mailserver.imap.config import ImapConfig
from mailserver.imap.session.conversation import Services
from mailserver.imap.transport import Listeners, start
from mailserver.tls import ServerCertificate
from mailserver.twisted_door.door import Door

PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class OpenDoor:
    """Where the door under test is."""

    door: Door
    imap: int
    imaps: int
    ca: Path

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))


OpenWith = Callable[[ImapConfig], Awaitable[OpenDoor]]


@pytest.fixture
async def open_door(reactor: None, imap: Services, certificates: Certificates) -> AsyncIterator[OpenWith]:
    opened: list[Door] = []

    async def open_with(config: ImapConfig) -> OpenDoor:
        clear, encrypted = (_listening() for _ in range(2))
        ports = [each.getsockname()[1] for each in (clear, encrypted)]
        door = await start(
            config,
            imap,
            Listeners((clear,), (encrypted,)),
            message_limit_octets=50_000_000,
            certificate=ServerCertificate(certificates.certificate, certificates.key),
        )
        opened.append(door)
        return OpenDoor(door, *ports, certificates.ca)

    yield open_with
    for door in opened:
        await door.drain(PATIENCE_S)


@pytest.fixture
async def door(open_door: OpenWith) -> OpenDoor:
    return await open_door(ImapConfig())


def _listening() -> socket.socket:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    listening.setblocking(False)
    return listening
