"""What is kept of a password so that SCRAM-SHA-256 can check it: derived keys (RFC 5802 §3, RFC 7677 §3).

Whoever steals these keys can try passwords at the cost of `iterations` rounds of HMAC each, so the count matters as
much as the cost of argon2. It is bounded by clients: Cyrus SASL, which mutt and mbsync use, refuses more than 65,536.
"""

import hashlib
import hmac
import secrets

from tenants.saslprep import CharacterProhibited, saslprep
from tenants.types import Salting, ScramKeys

ITERATIONS = 60_000
LEAST_ITERATIONS = 4096  # RFC 7677 §4
MOST_ITERATIONS = 65_536
SALT_OCTETS = 18  # 24 characters of base64, no padding


def new_salting(iterations: int) -> Salting:
    return Salting(secrets.token_bytes(SALT_OCTETS), iterations)


def derive_keys(password: str, salting: Salting) -> ScramKeys | None:
    """The keys of a password; None for one that SCRAM cannot carry. Takes milliseconds: on a loop, in a thread."""
    try:
        prepared = saslprep(password).encode()
    except (CharacterProhibited, UnicodeEncodeError):
        return None
    salted = hashlib.pbkdf2_hmac("sha256", prepared, salting.salt, salting.iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return ScramKeys(hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256"))
