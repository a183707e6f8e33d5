"""Secrets of people that stand in the directory: sealed or named under keys of their tenant, which Postgres never has.

The keys are derived from the tenant's naming key, which is never rotated, so that nothing has to be sealed anew, and is
gone when the tenant is shredded.
"""

import hmac
import os
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.errors import ContentDamaged
from storage.keys import NONCE_OCTETS, TenantKeys
from tenants.types import AccountId


def seal_totp(keys: TenantKeys, account_id: AccountId, secret: bytes) -> bytes:
    nonce = os.urandom(NONCE_OCTETS)
    return nonce + _totp_cipher(keys).encrypt(nonce, secret, _name(keys, account_id))


def open_totp(keys: TenantKeys, account_id: AccountId, sealed: bytes) -> bytes:
    """Raises ContentDamaged when it is not what was sealed for this person."""
    try:
        return _totp_cipher(keys).decrypt(sealed[:NONCE_OCTETS], sealed[NONCE_OCTETS:], _name(keys, account_id))
    except (InvalidTag, ValueError):
        raise ContentDamaged(f"authenticator secret of account {account_id}") from None


def recovery_digest(keys: TenantKeys, account_id: AccountId, code: str) -> bytes:
    return hmac.digest(_key(keys, b"recovery code"), _name(keys, account_id) + code.encode(), "sha256")


def user_handle(keys: TenantKeys, account_id: AccountId) -> bytes:
    """How authenticators know a person (WebAuthn §6.1): says nothing about who it is."""
    return hmac.digest(_key(keys, b"passkey user"), _name(keys, account_id), "sha256")


def _totp_cipher(keys: TenantKeys) -> AESGCM:
    return AESGCM(_key(keys, b"totp"))


def _key(keys: TenantKeys, purpose: bytes) -> bytes:
    return hmac.digest(keys.naming_key, b"waypost sign-in\0" + purpose, "sha256")


def _name(keys: TenantKeys, account_id: AccountId) -> bytes:
    return struct.pack(">QQ", keys.tenant_id, account_id)
