"""A certificate authority of this installation and the certificate of its doors, for trying things out.

The authority lives ten years, the certificate 397 days (what Apple's clients accept); each is made anew thirty days
before its end, and the certificate whenever the authority or the names changed. A new authority must be trusted by the
clients again. P-256: accepted by every mail client, and the quickest handshake of those that are.
"""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.local.places import private_directory, write_private

NAMES = ("localhost", "127.0.0.1", "::1", "mail.demo.test")
_CA_LIFE = dt.timedelta(days=3650)
_SERVER_LIFE = dt.timedelta(days=397)
_RENEW_BEFORE = dt.timedelta(days=30)
_CLOCKS_DIFFER = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Certificates:
    """`ca` is for clients and readable by all; `certificate` is what the doors send, without the authority, which who
    trusts it has already (RFC 8446 §4.4.2)."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_certificates(directory: Path, keys: Path, *, now: dt.datetime, names: Sequence[str] = NAMES) -> Certificates:
    """Make what is missing, near its end or for other names; keep the rest. Keys go to `keys`, with mode 0600."""
    directory.mkdir(mode=0o755, exist_ok=True)
    private_directory(keys)
    found = Certificates(directory / "ca.pem", directory / "server.pem", keys / "server.key")
    authority = _load_authority(found.ca, keys / "ca.key", now) or _make_authority(found.ca, keys / "ca.key", now)
    if not _is_usable(found, authority, names, now):
        _make_server_certificate(found, authority, names, now)
    return found


def _load_authority(path: Path, key_path: Path, now: dt.datetime) -> _Authority | None:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
    except (OSError, ValueError):
        return None
    if certificate.not_valid_after_utc - now < _RENEW_BEFORE or not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    return _Authority(certificate, key) if certificate.public_key() == key.public_key() else None


def _make_authority(path: Path, key_path: Path, now: dt.datetime) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Waypost demonstration"),
            # the serial keeps clients that still hold an older authority from confusing the two
            x509.NameAttribute(NameOID.COMMON_NAME, f"Waypost local CA {x509.random_serial_number() % 2**32:08x}"),
        ]
    )
    certificate = (
        _builder(name, name, key.public_key(), now, _CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_key(key_path, key)
    _write_public(path, _pem(certificate))
    return _Authority(certificate, key)


def _is_usable(found: Certificates, authority: _Authority, names: Sequence[str], now: dt.datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(found.certificate.read_bytes())
        key = serialization.load_pem_private_key(found.key.read_bytes(), password=None)
        certificate.verify_directly_issued_by(authority.certificate)
        listed = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return (
        certificate.not_valid_after_utc - now >= _RENEW_BEFORE
        and certificate.public_key() == key.public_key()
        and set(listed) == set(_general_names(names))
    )


def _make_server_certificate(
    found: Certificates, authority: _Authority, names: Sequence[str], now: dt.datetime
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    issuer = authority.certificate.subject
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    certificate = (
        _builder(subject, issuer, key.public_key(), now, _SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    _write_key(found.key, key)
    _write_public(found.certificate, _pem(certificate))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime, life: dt.timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now - _CLOCKS_DIFFER + life)
    )


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    general: list[x509.GeneralName] = []
    for name in names:
        try:
            general.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            general.append(x509.DNSName(name))
    return general


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_private(path, pem.decode("ascii"))


def _write_public(path: Path, pem: str) -> None:
    write_private(path, pem)
    path.chmod(0o644)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
