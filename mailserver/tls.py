"""The server certificate for every handshake: read from two PEM files, and again when they change, without a restart.

TLS 1.2 or later, no renegotiation, no ALPN. Ciphers are Python's choice, groups those of its OpenSSL: key exchange that
withstands quantum computers comes with 3.5.
While new files do not fit together (one of them is replaced before the other), the certificate read last stays in use.
"""

import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

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
    context: ssl.SSLContext


class ServerCertificate:
    """Raises CertificateUnusable if the files are no use at the start; later that is only logged."""

    def __init__(self, certificate: Path, key: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._certificate = certificate
        self._key = key
        self._clock = clock
        self._loaded = self._load(_state_of(certificate, key))
        self._seen = self._loaded.state
        self._looked_at = clock()

    def context(self) -> ssl.SSLContext:
        """For the next handshake."""
        self._look()
        return self._loaded.context

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
            loaded = _Loaded(state, _context(self._certificate, self._key))
            leaf = x509.load_pem_x509_certificate(self._certificate.read_bytes())
        except (OSError, ValueError) as error:
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


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.num_tickets = 1  # mail programs resume one by one, and each resumption brings the next ticket
    context.load_cert_chain(certificate, key, password=_no_password)
    return context


def _no_password() -> str:
    """Instead of asking the terminal: a key with a password is refused."""
    return ""


def _reason(error: Exception) -> str:
    match error:
        case ssl.SSLError():
            return error.reason or "it cannot be read"
        case OSError():
            return error.strerror or type(error).__name__
        case _:
            return str(error)
