"""TLS of the doors, over a transport that is only memory and with Python's own client."""

import ssl
from pathlib import Path

import pytest
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport

from mailserver.tls import ServerCertificate
from mailserver.twisted_door.encryption import Tls
from tests.mailserver.test_tls import write_pair


class Greeter(Protocol):
    """Says hello at once and keeps what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.has_ended = False

    def connectionMade(self) -> None:  # noqa: N802
        assert self.transport is not None
        self.transport.write(b"hello\r\n")

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self.heard += data

    def connectionLost(self, reason: object = None) -> None:  # noqa: N802
        self.has_ended = True


class Client:
    def __init__(self, session: ssl.SSLSession | None = None, context: ssl.SSLContext | None = None) -> None:
        if context is None:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.context = context
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, session=session)
        self.heard = b""
        self.was_told_the_end = False

    def says(self) -> bytes:
        """What it sends now; it reads whatever there is."""
        try:
            self.tls.do_handshake()
            while not self.was_told_the_end:
                data = self.tls.read(65_536)
                self.heard += data
                self.was_told_the_end = not data
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:  # it is the answer to the client's own
            self.was_told_the_end = True
        return self._outgoing.read()

    def hear(self, octets: bytes) -> None:
        self._incoming.write(octets)


class Conversation:
    def __init__(self, certificate: ServerCertificate, client: Client, *, piece_octets: int = 65_536) -> None:
        self.wire, self.greeter, self.client = StringTransport(), Greeter(), client
        self._piece_octets = piece_octets
        self.layer = Tls(certificate.context(), self.greeter)
        self.layer.makeConnection(self.wire)

    def go_on(self) -> None:
        """Until neither has anything to say."""
        while True:
            said = self.client.says()
            for start in range(0, len(said), self._piece_octets):
                self.layer.dataReceived(said[start : start + self._piece_octets])
            answered = self.wire.value()
            self.wire.clear()
            self.client.hear(answered)
            if not said and not answered:
                return


@pytest.fixture(name="certificate")
def make_certificate(tmp_path: Path) -> ServerCertificate:
    return ServerCertificate(*write_pair(tmp_path, "door.test"))


@pytest.mark.parametrize("piece_octets", [1, 7, 65_536])
def test_what_was_said_before_hands_were_shaken_is_heard_after(
    certificate: ServerCertificate, piece_octets: int
) -> None:
    talk = Conversation(certificate, Client(), piece_octets=piece_octets)
    assert talk.wire.value() == b""
    talk.go_on()
    assert talk.client.heard == b"hello\r\n"


def test_long_answers_and_commands_arrive_whole(certificate: ServerCertificate) -> None:
    talk = Conversation(certificate, Client())
    talk.go_on()
    long = bytes(range(256)) * 1_000
    talk.layer.write(long)
    for start in range(0, len(long), 16_000):
        talk.client.tls.write(long[start : start + 16_000])
    talk.go_on()
    assert talk.client.heard == b"hello\r\n" + long
    assert talk.greeter.heard == long


def test_a_session_is_resumed_by_its_ticket(certificate: ServerCertificate) -> None:
    first = Conversation(certificate, Client())
    first.go_on()
    client = Client(first.client.tls.session, first.client.context)
    second = Conversation(certificate, client)
    second.go_on()
    assert client.tls.session_reused
    assert client.heard == b"hello\r\n"


def test_the_server_says_the_end_and_closes_when_the_client_has_said_it_too(certificate: ServerCertificate) -> None:
    talk = Conversation(certificate, Client())
    talk.go_on()
    talk.layer.write(b"bye\r\n")
    talk.layer.loseConnection()
    talk.layer.write(b"too late\r\n")
    talk.go_on()
    assert talk.client.heard == b"hello\r\nbye\r\n"
    assert talk.client.was_told_the_end
    assert not talk.wire.disconnecting
    talk.client.tls.unwrap()
    talk.go_on()
    assert talk.wire.disconnecting


def test_the_client_says_the_end(certificate: ServerCertificate) -> None:
    talk = Conversation(certificate, Client())
    talk.go_on()
    with pytest.raises(ssl.SSLWantReadError):
        talk.client.tls.unwrap()
    talk.go_on()
    assert talk.client.was_told_the_end
    assert talk.wire.disconnecting


def test_who_is_turned_away_hears_why_after_the_handshake(certificate: ServerCertificate) -> None:
    talk = Conversation(certificate, Client())
    talk.layer.loseConnection()
    talk.go_on()
    assert talk.client.heard == b"hello\r\n"
    assert talk.client.was_told_the_end


def test_who_speaks_something_else_than_tls_is_not_heard(certificate: ServerCertificate) -> None:
    talk = Conversation(certificate, Client())
    talk.layer.dataReceived(b"GET / HTTP/1.1\r\nHost: door.test\r\n\r\n")
    assert talk.wire.disconnecting
    talk.layer.dataReceived(b"more of it")
    assert talk.greeter.heard == b""


def test_a_lost_connection_is_told_once(certificate: ServerCertificate) -> None:
    talk = Conversation(certificate, Client())
    talk.go_on()
    talk.layer.connectionLost()
    assert talk.greeter.has_ended
    talk.layer.write(b"to nobody")
    assert talk.wire.value() == b""
