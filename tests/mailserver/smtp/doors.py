"""A real `SmtpServer` on real sockets of the loopback interface, with people in memory behind it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailserver.listeners import Endpoint, bind
from mailserver.proxy_protocol import Network
from mailserver.smtp.config import Door, SmtpConfig
from mailserver.smtp.server import SmtpServer
from tests.mailserver.smtp.people_in_memory import Town

CONFIG = SmtpConfig(hostname="mail.demo.test", auth_failure_delay_s=0.0)
RECEIVED_AT = datetime(2026, 12, 1, 10, 0, 0, tzinfo=UTC)


@dataclass(frozen=True)
class OpenDoor:
    server: SmtpServer
    town: Town
    port: int


@asynccontextmanager
async def open_door(
    door: Door,
    config: SmtpConfig = CONFIG,
    town: Town | None = None,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    proxies: Sequence[Network] = (),
) -> AsyncIterator[OpenDoor]:
    town = town or Town()
    server = SmtpServer(
        config, town.services(), tls=server_context, proxies=proxies, clock=lambda: RECEIVED_AT, pause=pause
    )
    [listening] = bind(Endpoint("127.0.0.1", 0))
    port = listening.getsockname()[1]
    await server.listen(door, listening)
    try:
        yield OpenDoor(server, town, port)
    finally:
        await server.drain(0)


def config_with(**changes: object) -> SmtpConfig:
    return replace(CONFIG, **changes)  # type: ignore[arg-type]


def server_context() -> ssl.SSLContext:
    return _contexts()[0]


def client_context() -> ssl.SSLContext:
    return _contexts()[1]


@cache
def _contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.demo.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    octets = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.minimum_version = ssl.TLSVersion.TLSv1_2
    with TemporaryDirectory() as directory:
        file = Path(directory) / "certificate.pem"
        file.write_bytes(octets + secret)
        server.load_cert_chain(file)
    client = ssl.create_default_context(cadata=octets.decode())
    return server, client
