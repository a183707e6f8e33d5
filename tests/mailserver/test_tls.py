"""The server certificate."""

import datetime as dt
import os
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from mailserver.tls import CertificateUnusable, ServerCertificate


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def write_pair(directory: Path, name: str, *, password: bytes | None = None) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    sealing = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    certificate_file, key_file = directory / "tls.pem", directory / "tls.key"
    replace(certificate_file, certificate.public_bytes(serialization.Encoding.PEM))
    replace(
        key_file,
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealing),
    )
    return certificate_file, key_file


def replace(path: Path, octets: bytes) -> None:
    """As certbot does: a new file takes the name."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(octets)
    os.replace(fresh, path)


def name_shown_by(certificate: ServerCertificate) -> str:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        serving = threading.Thread(target=_serve, args=(certificate.context(), ours))
        serving.start()
        with _client_context().wrap_socket(theirs) as client:
            name = _name_in(client.getpeercert(binary_form=True))
        serving.join()
    return name


def _serve(context: ssl.SSLContext, ours: socket.socket) -> None:
    with context.wrap_socket(ours, server_side=True) as server:
        server.recv(1)


def _client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _name_in(octets: bytes | None) -> str:
    assert octets is not None
    [attribute] = x509.load_der_x509_certificate(octets).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attribute.value)


def test_the_certificate_is_shown(tmp_path: Path) -> None:
    certificate = ServerCertificate(*write_pair(tmp_path, "first.test"))
    assert name_shown_by(certificate) == "first.test"


def test_a_replaced_certificate_is_shown_without_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    certificate = ServerCertificate(*write_pair(tmp_path, "first.test"), clock=clock)
    write_pair(tmp_path, "second.test")
    assert name_shown_by(certificate) == "first.test"
    clock.now += 1
    assert name_shown_by(certificate) == "second.test"


def test_while_the_new_files_do_not_fit_together_the_old_certificate_stays(tmp_path: Path) -> None:
    clock = Clock()
    certificate_file, key_file = write_pair(tmp_path, "first.test")
    certificate = ServerCertificate(certificate_file, key_file, clock=clock)
    old_key = key_file.read_bytes()
    write_pair(tmp_path, "second.test")
    new_key = key_file.read_bytes()
    replace(key_file, old_key)
    clock.now += 1
    assert name_shown_by(certificate) == "first.test"
    replace(key_file, new_key)
    clock.now += 1
    assert name_shown_by(certificate) == "second.test"


def test_deleted_files_do_not_end_the_service(tmp_path: Path) -> None:
    clock = Clock()
    certificate_file, key_file = write_pair(tmp_path, "first.test")
    certificate = ServerCertificate(certificate_file, key_file, clock=clock)
    key_file.unlink()
    clock.now += 1
    assert name_shown_by(certificate) == "first.test"


def test_versions_before_1_2_are_refused(tmp_path: Path) -> None:
    certificate = ServerCertificate(*write_pair(tmp_path, "first.test"))
    old = SSL.Context(SSL.TLS_CLIENT_METHOD)
    old.set_cipher_list(b"ALL:@SECLEVEL=0")
    old.set_max_proto_version(SSL.TLS1_1_VERSION)
    client = SSL.Connection(old)
    client.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        client.do_handshake()
    incoming = ssl.MemoryBIO()
    incoming.write(client.bio_read(65536))
    server = certificate.context().wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        server.do_handshake()


def test_files_that_are_no_use_at_the_start_are_named(tmp_path: Path) -> None:
    certificate_file, key_file = write_pair(tmp_path, "first.test")
    with pytest.raises(CertificateUnusable, match=r"nowhere\.key cannot be used: No such file or directory"):
        ServerCertificate(certificate_file, tmp_path / "nowhere.key")
    with pytest.raises(CertificateUnusable, match="cannot be used"):
        ServerCertificate(key_file, key_file)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    with pytest.raises(CertificateUnusable):
        ServerCertificate(*write_pair(tmp_path, "first.test", password=b"secret"))
