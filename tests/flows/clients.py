"""Small clients: imaplib and smtplib as they come, and two that speak line by line."""

import contextlib
import imaplib
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from tests.flows.installation import Installation, Person

PATIENCE_S = 30.0
_APPENDUID = re.compile(rb"append1 OK \[APPENDUID (\d+) (\d+)\]")
_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")


# IMAP


def sign_in(installation: Installation, person: Person, *, mailbox: str | None = None) -> imaplib.IMAP4_SSL:
    """Over TLS, checked against the installation's authority."""
    client = imaplib.IMAP4_SSL(
        "localhost", installation.port("imaps"), ssl_context=installation.tls(), timeout=PATIENCE_S
    )
    client.login(person.address, person.password)
    if mailbox is not None:
        status, answer = client.select(quoted(mailbox))
        assert status == "OK", answer
    return client


def quoted(mailbox: str) -> str:
    return f'"{mailbox}"'


def append(client: imaplib.IMAP4, mailbox: str, octets: bytes, flags: str = "") -> int:
    """The uid that the message got. The octets go out as they are, at once; imaplib's own APPEND changes line ends."""
    command = f'append1 APPEND "{mailbox}" ({flags}) {{{len(octets)}+}}\r\n'
    client.send(command.encode() + octets + b"\r\n")
    while not (line := client.readline()).startswith(b"append1 "):
        assert line, "the connection has ended"
    found = _APPENDUID.match(line)
    assert found, line
    return int(found[2])


@dataclass(frozen=True, slots=True)
class Copy:
    """A message as a mailbox holds it."""

    uid: int
    flags: frozenset[str]
    octets: bytes


def read_mailbox(client: imaplib.IMAP4, mailbox: str = "INBOX") -> list[Copy]:
    """Every message of a mailbox, whole, in the order of the server's answer. The mailbox is left selected."""
    status, answer = client.select(quoted(mailbox), readonly=True)
    assert status == "OK", answer
    if answer == [b"0"]:
        return []
    status, lines = client.fetch("1:*", "(UID FLAGS BODY.PEEK[])")
    assert status == "OK", lines
    copies = []
    for line in lines:
        if isinstance(line, tuple):
            facts, octets = line
            uid = re.search(rb"UID (\d+)", facts)
            flags = re.search(rb"FLAGS \(([^)]*)\)", facts)
            assert uid and flags, facts
            names = frozenset(flags[1].decode().split()) - {"\\Recent"}
            copies.append(Copy(int(uid[1]), names, octets))
    return copies


def read_inbox(installation: Installation, person: Person) -> list[bytes]:
    with sign_in(installation, person) as client:
        return [copy.octets for copy in read_mailbox(client)]


class Idler:
    """Sits in IDLE on a mailbox; a context manager."""

    def __init__(self, installation: Installation, person: Person, mailbox: str = "INBOX") -> None:
        self._client = sign_in(installation, person, mailbox=mailbox)
        self._client.send(b"i1 IDLE\r\n")
        assert self._client.readline().startswith(b"+ ")

    def wait_for(self, text: bytes, *, within_s: float) -> float:
        """Read pushed lines up to one that holds the text. Returns after how many seconds it came."""
        began = time.monotonic()
        seen: list[bytes] = []
        while True:
            left_s = began + within_s - time.monotonic()
            assert left_s > 0, f"{text!r} was not pushed within {within_s:.0f} s, but {seen}"
            self._client.sock.settimeout(left_s)
            try:
                line = self._client.readline()
            except TimeoutError:
                continue
            assert line, f"the connection ended instead of {text!r}; pushed were {seen}"
            seen.append(line)
            if text in line:
                return time.monotonic() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.shutdown()


# SMTP and LMTP


def deliver(installation: Installation, recipients: Sequence[Person], octets: bytes) -> None:
    """From another server, by SMTP."""
    with smtplib.SMTP("127.0.0.1", installation.port("smtp"), timeout=PATIENCE_S) as client:
        refused = client.sendmail("grace@elsewhere.example", [each.address for each in recipients], octets)
    assert not refused


def deliver_by_lmtp(installation: Installation, recipients: Sequence[Person], octets: bytes) -> None:
    with Dialogue(installation, "lmtp") as client:
        assert client.lmtp(recipients, octets) == ["250"] * len(recipients)


def submission(installation: Installation, person: Person) -> smtplib.SMTP_SSL:
    """Signed in, over implicit TLS."""
    client = smtplib.SMTP_SSL(
        "localhost", installation.port("submissions"), context=installation.tls(), timeout=PATIENCE_S
    )
    client.login(person.address, person.password)
    return client


class Dialogue:
    """One connection, line by line, for exact replies. A context manager."""

    def __init__(self, installation: Installation, door: str) -> None:
        self._installation = installation
        connection: socket.socket = socket.create_connection(("127.0.0.1", installation.port(door)), PATIENCE_S)
        if door in ("imaps", "submissions"):
            connection = installation.tls().wrap_socket(connection, server_hostname="localhost")
        self._take(connection)
        self.greeting = self.line()

    def _take(self, connection: socket.socket) -> None:
        self._socket = connection
        self._file = connection.makefile("rb")

    def start_tls(self) -> None:
        self._take(self._installation.tls().wrap_socket(self._socket, server_hostname="localhost"))

    def send(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def line(self) -> str:
        """The next line; empty where the connection has ended."""
        try:
            return self._file.readline().decode("utf-8", "replace").removesuffix("\r\n")
        except (ConnectionError, ssl.SSLError):
            return ""

    def reply(self) -> str:
        """Of SMTP: one reply, its lines joined."""
        lines = []
        while line := self.line():
            lines.append(line)
            if line[3:4] != "-":
                break
        return "\n".join(lines)

    def ask(self, command: str) -> str:
        self.send(command.encode() + b"\r\n")
        return self.reply()

    def tagged(self, command: str, tag: str = "t1") -> list[str]:
        """Of IMAP: the lines up to the tagged one."""
        self.send(f"{tag} {command}\r\n".encode())
        return self.until_tagged(tag)

    def until_tagged(self, tag: str = "t1") -> list[str]:
        lines = []
        while line := self.line():
            lines.append(line)
            if line.startswith(f"{tag} "):
                break
        return lines

    def literal(self) -> bytes:
        """Of IMAP: the literal that the next line ends in."""
        line = self._file.readline()
        found = _LITERAL.search(line)
        assert found, line
        octets = self._file.read(int(found[1]))
        assert len(octets) == int(found[1]), "the connection ended within a literal"
        return octets

    def sign_in(self, person: Person) -> None:
        """Of IMAP."""
        assert self.tagged(f'LOGIN "{person.address}" "{person.password}"', "t0")[-1].startswith("t0 OK")

    def data(self, octets: bytes) -> None:
        """A message and its end; the replies are still to be read."""
        dotted = octets.replace(b"\r\n.", b"\r\n..")
        self.send((b"." if octets.startswith(b".") else b"") + dotted + b".\r\n")

    def lmtp(self, recipients: Sequence[Person], octets: bytes) -> list[str]:
        """A whole transaction of LMTP: the codes that the recipients got after the message."""
        self.ask("LHLO relay.example")
        self.ask("MAIL FROM:<grace@elsewhere.example>")
        for person in recipients:
            assert self.ask(f"RCPT TO:<{person.address}>").startswith("250")
        assert self.ask("DATA").startswith("354")
        self.data(octets)
        return [self.reply()[:3] for _ in recipients]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def bystander(installation: Installation, person: Person) -> Iterator[None]:
    """Somebody else's connections, which must not notice what happens meanwhile."""
    with sign_in(installation, person, mailbox="INBOX") as reader, Dialogue(installation, "smtp") as sender:
        sender.ask("EHLO bystander.example")
        yield
        assert reader.noop()[0] == "OK"
        assert sender.ask("NOOP").startswith("250")
