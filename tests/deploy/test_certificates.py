"""The local authority and the doors' certificate, as clients check them."""

import datetime as dt
import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest
from cryptography import x509

from deploy.local.certificates import NAMES, Certificates, make_certificates

NOW = dt.datetime.now(dt.UTC)


def handshake(certificates: Certificates, name: str) -> str | None:
    """Both ends over a socket pair; the negotiated TLS version. Raises as the client would."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates.certificate, certificates.key)
    client = ssl.create_default_context(cafile=str(certificates.ca))
    near, far = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(far, server_side=True).close()
        except OSError:
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(near, server_hostname=name) as connection:
            return connection.version()
    finally:
        near.close()
        thread.join()


@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_trusts_the_authority_accepts_every_name(tmp_path: Path, name: str) -> None:
    assert handshake(make_certificates(tmp_path / "tls", tmp_path / "secrets", now=NOW), name) == "TLSv1.3"


def test_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(make_certificates(tmp_path / "tls", tmp_path / "secrets", now=NOW), "mail.example.com")


def test_a_client_without_the_authority_refuses(tmp_path: Path) -> None:
    ours = make_certificates(tmp_path / "a", tmp_path / "sa", now=NOW)
    other = make_certificates(tmp_path / "b", tmp_path / "sb", now=NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(Certificates(other.ca, ours.certificate, ours.key), "localhost")


def test_certificates_are_kept_from_start_to_start(tmp_path: Path) -> None:
    first = make_certificates(tmp_path / "tls", tmp_path / "secrets", now=NOW)
    before = first.certificate.read_bytes(), first.ca.read_bytes()
    make_certificates(tmp_path / "tls", tmp_path / "secrets", now=NOW + dt.timedelta(days=300))
    assert (first.certificate.read_bytes(), first.ca.read_bytes()) == before


def test_a_certificate_near_its_end_is_renewed_by_the_same_authority(tmp_path: Path) -> None:
    first = make_certificates(tmp_path / "tls", tmp_path / "secrets", now=NOW - dt.timedelta(days=380))
    before, authority = first.certificate.read_bytes(), first.ca.read_bytes()
    make_certificates(tmp_path / "tls", tmp_path / "secrets", now=NOW)
    assert first.certificate.read_bytes() != before
    assert first.ca.read_bytes() == authority
    assert handshake(first, "localhost") == "TLSv1.3"


def test_an_authority_near_its_end_is_replaced_with_its_certificate(tmp_path: Path) -> None:
    first = make_certificates(tmp_path / "tls", tmp_path / "secrets", now=NOW - dt.timedelta(days=3640))
    authority = first.ca.read_bytes()
    make_certificates(tmp_path / "tls", tmp_path / "secrets", now=NOW)
    assert first.ca.read_bytes() != authority
    assert handshake(first, "localhost") == "TLSv1.3"


def test_a_damaged_certificate_or_another_list_of_names_is_replaced(tmp_path: Path) -> None:
    found = make_certificates(tmp_path / "tls", tmp_path / "secrets", now=NOW)
    found.certificate.write_text("nothing of use")
    make_certificates(tmp_path / "tls", tmp_path / "secrets", now=NOW)
    assert handshake(found, "localhost") == "TLSv1.3"
    make_certificates(tmp_path / "tls", tmp_path / "secrets", now=NOW, names=["mail.example.com"])
    assert handshake(found, "mail.example.com") == "TLSv1.3"


def test_keys_are_private_and_the_authority_is_public(tmp_path: Path) -> None:
    found = make_certificates(tmp_path / "tls", tmp_path / "secrets", now=NOW)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "secrets").iterdir()} == {0o600}
    assert stat.S_IMODE(found.ca.stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o755


def test_the_certificate_lives_as_long_as_strict_clients_allow(tmp_path: Path) -> None:
    found = make_certificates(tmp_path / "tls", tmp_path / "secrets", now=NOW)
    certificate = x509.load_pem_x509_certificate(found.certificate.read_bytes())
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= dt.timedelta(days=398)
    assert certificate.not_valid_before_utc < NOW
