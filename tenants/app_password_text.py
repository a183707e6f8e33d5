"""App passwords as text: how they are made, and what of them is kept (pure)."""

import hashlib

APP_PASSWORDS_LIMIT = 50  # of one account


def app_password_digest(salt: bytes, text: str) -> bytes:
    """What is compared with: people copy them with spaces, without hyphens and in capitals.

    One round of SHA-256 is enough: the password is 73 random bits, which is out of reach at any speed of guessing.
    """
    plain = "".join(text.split()).replace("-", "").lower()
    return hashlib.sha256(b"app password\0" + salt + plain.encode(errors="surrogatepass")).digest()
