"""SCRAM-SHA-256 as far as octets go: the server's side of RFC 5802 §5, §7 with the hash of RFC 7677 (pure).

Without channel binding: a client that asks for it (`p=`) is refused, one that could but sees no offer (`y`) is served.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from mailserver.sasl import AuthorizationIdentityRefused, SaslMalformed, prepare
from tenants.types import Salting, ScramKeys

NONCE_LIMIT_CHARACTERS = 512
PROOF_OCTETS = 32


@dataclass(frozen=True, slots=True)
class ClientFirst:
    """client-first-message (RFC 5802 §7). `header` is the gs2-header, `bare` what stands behind it."""

    username: str
    nonce: str
    header: str
    bare: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What the server has said: server-first-message and what it was made of."""

    first: ClientFirst
    nonce: str
    message: str


def parse_client_first(octets: bytes) -> ClientFirst:
    """Raises SaslMalformed (also for channel binding and extensions we must know), AuthorizationIdentityRefused."""
    text = _text(octets)
    flag, _, rest = text.partition(",")
    authorization, separator, bare = rest.partition(",")
    if not separator or flag not in ("n", "y"):
        why = "channel binding is not offered" if flag.startswith("p=") else "SCRAM begins with n,, or y,,"
        raise SaslMalformed(why)
    attributes = bare.split(",")
    if len(attributes) < 2 or not attributes[0].startswith("n=") or not attributes[1].startswith("r="):
        raise SaslMalformed("SCRAM wants a name and a nonce")
    username, nonce = prepare(_unescape(attributes[0][2:])), attributes[1][2:]
    if not username:
        raise SaslMalformed("the user name is empty")
    if not nonce or len(nonce) > NONCE_LIMIT_CHARACTERS or not nonce.isprintable():
        raise SaslMalformed("the nonce is empty, too long or not printable")
    if authorization:
        if not authorization.startswith("a="):
            raise SaslMalformed("the authorization identity begins with a=")
        if prepare(_unescape(authorization[2:])) != username:
            raise AuthorizationIdentityRefused
    return ClientFirst(username, nonce, f"{flag},{authorization},", bare)


def offer(first: ClientFirst, server_nonce: str, salting: Salting) -> Offer:
    """server-first-message; `server_nonce` is random and printable, without a comma."""
    nonce = first.nonce + server_nonce
    salt = base64.b64encode(salting.salt).decode()
    return Offer(first, nonce, f"r={nonce},s={salt},i={salting.iterations}")


def find_proven(offered: Offer, client_final: bytes, candidates: Iterable[ScramKeys]) -> tuple[ScramKeys, bytes] | None:
    """Whose password the proof was made with, and server-final-message; None if with none of these.

    All are tried, so that the time tells nothing of which. Raises SaslMalformed.
    """
    text = _text(client_final)
    without_proof, separator, encoded = text.rpartition(",p=")
    attributes = without_proof.split(",")
    binding = base64.b64encode(offered.first.header.encode()).decode()
    if not separator or len(attributes) < 2 or attributes[0] != f"c={binding}" or attributes[1] != f"r={offered.nonce}":
        raise SaslMalformed("the proof does not belong to this exchange")
    try:
        proof = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        proof = b""
    if len(proof) != PROOF_OCTETS:
        raise SaslMalformed("the proof is not base64 of 32 octets")
    message = f"{offered.first.bare},{offered.message},{without_proof}".encode()
    found: ScramKeys | None = None
    for keys in candidates:
        signature = hmac.digest(keys.stored_key, message, "sha256")
        client_key = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
        if hmac.compare_digest(hashlib.sha256(client_key).digest(), keys.stored_key) and found is None:
            found = keys
    if found is None:
        return None
    verifier = base64.b64encode(hmac.digest(found.server_key, message, "sha256"))
    return found, b"v=" + verifier


def _text(octets: bytes) -> str:
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise SaslMalformed("the response is not UTF-8") from None
    if "\0" in text:
        raise SaslMalformed("a NUL is not allowed")
    return text


def _unescape(name: str) -> str:
    """`=2C` is a comma and `=3D` an equals sign; no other `=` may stand there (RFC 5802 §5.1)."""
    if "=" in name.replace("=2C", "").replace("=3D", ""):
        raise SaslMalformed("an = in the name is written =3D")
    return name.replace("=2C", ",").replace("=3D", "=")
