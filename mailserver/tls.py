"""The server certificate for every handshake: read from two PEM files, and again when they change, without a restart.

TLS 1.2 or later, no renegotiation, no ALPN. asyncio's doors take the context of `ssl`, Twisted's that of pyOpenSSL.
While new files do not fit together (one of them is replaced before the other), the certificate read last stays in use.
"""

import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from OpenSSL import SSL

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import gauge

NOT_AFTER = gauge("certificate_not_after_seconds", "When the certificate in use expires, Unix time.", across="livemin")

LOOK_EVERY_S = 1.0

log = get_logger()


class CertificateUnusable(Exception):
    """The certificate or its key cannot be read, or they do not belong together."""

    def __init__(self, certificate: Path, key: Path, reason: str) -> None:
        super().__init__(f"the certificate {certificate} with the key {key} cannot be used: {reason}")


@dataclass(frozen=True, slots=True)
class _Loaded:
    state: tuple[object, ...]
    for_asyncio: ssl.SSLContext
    for_twisted: SSL.Context


class ServerCertificate:
    """Raises CertificateUnusable if the files are no use at the start; later that is only logged."""

    def __init__(self, certificate: Path, key: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._certificate = certificate
        self._key = key
        self._clock = clock
        self._loaded = self._load(_state_of(certificate, key))
        self._seen = self._loaded.state
        self._looked_at = clock()

    def asyncio_context(self) -> ssl.SSLContext:
        """For the next handshake."""
        self._look()
        return self._loaded.for_asyncio

    def twisted_context(self) -> SSL.Context:
        """For the next handshake."""
        self._look()
        return self._loaded.for_twisted

    def _look(self) -> None:
        if self._clock() - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = self._clock()
        try:
            state = _state_of(self._certificate, self._key)
            if state == self._seen:
                return
            self._seen = state
            self._loaded = self._load(state)
        except (CertificateUnusable, OSError) as error:
            log.warning("the changed certificate is not used", error=str(error))
        else:
            log.info("the certificate was read anew")

    def _load(self, state: tuple[object, ...]) -> _Loaded:
        try:
            loaded = _Loaded(
                state, _asyncio_context(self._certificate, self._key), _twisted_context(self._certificate, self._key)
            )
            leaf = x509.load_pem_x509_certificate(self._certificate.read_bytes())
        except (OSError, SSL.Error, ValueError, TypeError) as error:
            raise CertificateUnusable(self._certificate, self._key, _reason(error)) from None
        NOT_AFTER.labels().set(leaf.not_valid_after_utc.timestamp())
        return loaded


def _state_of(*paths: Path) -> tuple[object, ...]:
    """Changes when a file is written or replaced. A file that is not there has a state of its own."""
    states: list[object] = []
    for path in paths:
        try:
            found = os.stat(path)
        except FileNotFoundError:
            states.append(None)
        else:
            states.append((found.st_ino, found.st_size, found.st_mtime_ns))
    return tuple(states)


def _asyncio_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.load_cert_chain(certificate, key, password=_no_password)
    return context


def _twisted_context(certificate: Path, key: Path) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # sessions are resumed by tickets, which clients keep
    leaf, *chain = x509.load_pem_x509_certificates(certificate.read_bytes())
    context.use_certificate(leaf)
    for each in chain:
        context.add_extra_chain_cert(each)
    context.use_privatekey(_private_key(key))
    context.check_privatekey()
    return context


def _private_key(key: Path) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    found = serialization.load_pem_private_key(key.read_bytes(), None)
    if not isinstance(found, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError("the key is neither RSA nor of an elliptic curve")
    return found


def _no_password() -> str:
    """Instead of asking the terminal: a key with a password is refused."""
    return ""


def _reason(error: Exception) -> str:
    match error:
        case ssl.SSLError():
            return error.reason or "it cannot be read"
        case OSError():
            return error.strerror or type(error).__name__
        case SSL.Error():
            return "; ".join(str(part[-1]) for part in error.args[0]) if error.args else "it cannot be read"
        case _:
            return str(error)
