"""Web Push as octets: messages sealed for one user agent (RFC 8291 over RFC 8188), and who sends them (RFC 8292). Pure.

A message has one record. Whoever forwards it learns nothing of it but about how long it is.
"""

import base64
import binascii
import json
import struct
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SALT_OCTETS = 16
AUTH_OCTETS = 16
RECORD_OCTETS = 4096  # RFC 8291 §4: what every push service takes
LONGEST_MESSAGE_OCTETS = RECORD_OCTETS - 86 - 17  # after the header; the delimiter and the tag
_LAST_RECORD = b"\x02"
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class PushKeysInvalid(Exception):
    """They are no public key on P-256 and secret of 16 octets, in URL-safe base64."""


@dataclass(frozen=True, slots=True)
class PushKeys:
    """Of the user agent: its public key as an uncompressed point, and its authentication secret (RFC 8291 §2)."""

    p256dh: bytes
    auth: bytes = field(repr=False)


def parse_push_keys(p256dh: str, auth: str) -> PushKeys:
    """Raises PushKeysInvalid. Padding may be there or not (RFC 8620 §7.2 names RFC 4648, which has it)."""
    keys = PushKeys(from_base64(p256dh), from_base64(auth))
    if len(keys.auth) != AUTH_OCTETS:
        raise PushKeysInvalid(f"auth has {len(keys.auth)} octets, not {AUTH_OCTETS}")
    _public_key(keys.p256dh)
    return keys


def encrypt(message: bytes, keys: PushKeys, *, salt: bytes, private_key: ec.EllipticCurvePrivateKey) -> bytes:
    """The body of Content-Encoding aes128gcm. `salt` and `private_key` are fresh for each message.

    Raises PushKeysInvalid, ValueError for a message of more than LONGEST_MESSAGE_OCTETS.
    """
    if len(message) > LONGEST_MESSAGE_OCTETS:
        raise ValueError("the message is too long for one record")
    ours = public_octets(private_key)
    key, nonce = _content_keys(keys, private_key.exchange(ec.ECDH(), _public_key(keys.p256dh)), ours, salt)
    header = salt + struct.pack(">IB", RECORD_OCTETS, len(ours)) + ours
    return header + AESGCM(key).encrypt(nonce, message + _LAST_RECORD, None)


def decrypt(body: bytes, keys: PushKeys, private_key: ec.EllipticCurvePrivateKey) -> bytes:
    """What the user agent does, whose keys these are. Raises PushKeysInvalid, ValueError for what it cannot open."""
    salt, length = body[:SALT_OCTETS], body[SALT_OCTETS + 4] if len(body) > SALT_OCTETS + 4 else 0
    theirs, sealed = body[SALT_OCTETS + 5 :][:length], body[SALT_OCTETS + 5 + length :]
    key, nonce = _content_keys(keys, private_key.exchange(ec.ECDH(), _public_key(theirs)), theirs, salt)
    try:
        opened = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\0")
    except InvalidTag:
        raise ValueError("it was not sealed for these keys") from None
    if not opened.endswith(_LAST_RECORD):
        raise ValueError("the message is cut")
    return opened[:-1]


def _content_keys(keys: PushKeys, shared: bytes, sender: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """The key and the nonce of the only record (RFC 8291 §3.4, RFC 8188 §2.2, §2.3)."""
    whom = b"WebPush: info\0" + keys.p256dh + sender
    secret = HKDF(SHA256(), 32, keys.auth, whom).derive(shared)
    key = HKDF(SHA256(), 16, salt, b"Content-Encoding: aes128gcm\0").derive(secret)
    return key, HKDF(SHA256(), 12, salt, b"Content-Encoding: nonce\0").derive(secret)


def application_server_key(secret: bytes) -> ec.EllipticCurvePrivateKey:
    """The key that a secret of 48 or more random octets stands for (FIPS 186-5 A.2.1: so no value is likelier)."""
    return ec.derive_private_key(int.from_bytes(secret, "big") % (_P256_ORDER - 1) + 1, ec.SECP256R1())


def authorization(private_key: ec.EllipticCurvePrivateKey, *, audience: str, subject: str, expires_at: int) -> str:
    """The header's value for requests to one origin until then, at most a day ahead (RFC 8292 §2, §3)."""
    claims = {"aud": audience, "exp": expires_at, "sub": subject}
    header = {"typ": "JWT", "alg": "ES256"}
    signed = b".".join(
        to_base64(json.dumps(each, separators=(",", ":")).encode()).encode() for each in (header, claims)
    )
    r, s = decode_dss_signature(private_key.sign(signed, ec.ECDSA(SHA256())))
    signature = to_base64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return f"vapid t={signed.decode()}.{signature}, k={to_base64(public_octets(private_key))}"


def public_octets(private_key: ec.EllipticCurvePrivateKey) -> bytes:
    """Its public key as an uncompressed point."""
    return private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def to_base64(octets: bytes) -> str:
    """URL-safe, without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def from_base64(text: str) -> bytes:
    """Raises PushKeysInvalid."""
    bare = text.rstrip("=")
    try:
        if "+" not in bare and "/" not in bare:  # the other alphabet, which Python takes as well
            return base64.b64decode(bare.encode("ascii") + b"=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        pass
    raise PushKeysInvalid("not in URL-safe base64")


def _public_key(octets: bytes) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), octets)
    except ValueError:
        raise PushKeysInvalid("not a public key on P-256") from None
