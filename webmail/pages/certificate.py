"""The installation's own certificate authority, where it has one (WAYPOST_CA_FILE)."""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

GROUP_CHARACTERS = 24  # eight octets with their colons


@dataclass(frozen=True, slots=True)
class Authority:
    """The certificate in PEM (nothing else of the file), and its SHA-256 fingerprint as programs show it.

    The fingerprint is in four groups, so that narrow screens break it there; joined they are the whole.
    """

    pem: bytes
    fingerprint: tuple[str, ...]


def read_authority(path: str) -> Authority | None:
    """None if the installation has no CA of its own, or the file is not there or is no certificate."""
    if not path:
        return None
    try:
        certificate = x509.load_pem_x509_certificate(Path(path).read_bytes())
    except (OSError, ValueError):
        return None
    fingerprint = certificate.fingerprint(SHA256()).hex(":").upper()
    groups = tuple(
        fingerprint[start : start + GROUP_CHARACTERS] for start in range(0, len(fingerprint), GROUP_CHARACTERS)
    )
    return Authority(certificate.public_bytes(Encoding.PEM), groups)
