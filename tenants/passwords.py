"""Passwords: argon2id (RFC 9106) in PHC form, and generated ones that people can type.

Hashing takes tens of milliseconds of a core and releases the GIL; callers on a loop run it in a thread.
"""

import secrets
import unicodedata

from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

# OWASP's recommendation for argon2id; measured 20 ms on one core. 19 MiB each bounds what parallel sign-ins can take.
TIME_COST = 2
MEMORY_COST_KIB = 19 * 1024
PARALLELISM = 1

# Thousands of imported rows would take a minute at full cost. These take 2 ms; the first sign-in replaces them
# (`needs_rehash`). Bring `$argon2id$` hashes in the file to avoid the weaker interim.
IMPORT_TIME_COST = 1
IMPORT_MEMORY_COST_KIB = 4 * 1024

PASSWORD_LIMIT_OCTETS = 1024
PASSWORD_LEAST_CHARACTERS = 8
HASH_LIMIT_CHARACTERS = 255
# What a hash brought from elsewhere may ask of us at sign-in.
HASH_MEMORY_LIMIT_KIB = 256 * 1024
HASH_TIME_LIMIT = 16

# No vowels, so no words, and nothing that looks like something else (0 o, 1 l i): 24 characters, 4.58 bits each.
GENERATED_ALPHABET = "bcdfghjkmnpqrstvwxz23456"
GENERATED_GROUPS = 4
GENERATED_GROUP_CHARACTERS = 4

_hasher = PasswordHasher(TIME_COST, MEMORY_COST_KIB, PARALLELISM, type=Type.ID)
_import_hasher = PasswordHasher(IMPORT_TIME_COST, IMPORT_MEMORY_COST_KIB, PARALLELISM, type=Type.ID)


def hash_password(password: str) -> str:
    return _hasher.hash(_prepared(password))


def hash_password_for_import(password: str) -> str:
    return _import_hasher.hash(_prepared(password))


def verify_password(password_hash: str, password: str) -> bool:
    """False for a wrong password, one over the limit, and for a hash that cannot be read."""
    if len(password.encode(errors="surrogatepass")) > PASSWORD_LIMIT_OCTETS:
        return False
    try:
        return _hasher.verify(password_hash, _prepared(password))
    except (VerifyMismatchError, VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


def needs_rehash(password_hash: str) -> bool:
    """Whether a hash was made with other parameters than today's; asked after a successful verify."""
    return _hasher.check_needs_rehash(password_hash)


def is_acceptable_hash(text: str) -> bool:
    """Whether text is an argon2id hash in PHC form whose cost we are willing to pay."""
    if not text.startswith("$argon2id$") or len(text) > HASH_LIMIT_CHARACTERS or not text.isascii():
        return False
    try:
        parameters = extract_parameters(text)
    except (InvalidHashError, ValueError):
        return False
    return (
        parameters.memory_cost <= HASH_MEMORY_LIMIT_KIB
        and parameters.time_cost <= HASH_TIME_LIMIT
        and parameters.salt_len >= 8
        and parameters.hash_len >= 16
    )


def _prepared(password: str) -> str:
    """What keyboards send for one password in several forms is one password (RFC 8265 §4.2: OpaqueString, NFC)."""
    return unicodedata.normalize("NFC", password)


def generate_password() -> str:
    """Four groups of four, `kdmw-3xvt-hhq5-zbnr`: 73 bits."""
    groups = [
        "".join(secrets.choice(GENERATED_ALPHABET) for _ in range(GENERATED_GROUP_CHARACTERS))
        for _ in range(GENERATED_GROUPS)
    ]
    return "-".join(groups)
