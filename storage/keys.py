"""Keys: what seals message octets, what names them, and where the keys rest.

    master key        secrets/master.key, made once; wraps tenant keys and seals mail not yet of a tenant
    └ tenant key      secrets/tenants/<id>.key, outside Postgres and its backups: destroying it shreds the tenant
      ├ data keys     data_key rows, wrapped by the tenant key; the newest seals, the others still open
      └ naming key    data_key row; digests and reference hashes; never rotated, or equal content would not be found

Each blob has its own key: HKDF-Expand of the data key over the blob's digest (RFC 5869 §2.3). A sealed chunk is a
random nonce of 12 octets and the AES-256-GCM ciphertext; associated data are tenant, digest, chunk number, whether
it is the last, and codec, so that no chunk can be put in another's place. Wrapping is AES Key Wrap (RFC 3394).
"""

import hashlib
import hmac
import os
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from storage.database import Database
from storage.errors import ContentDamaged
from storage.query import Query
from storage.types import BlobDigest
from tenants.types import TenantId

KEY_OCTETS = 32
DIGEST_OCTETS = 20  # 160 bits of a keyed digest: nobody without the key can look for collisions
NONCE_OCTETS = 12
_PIECE_OCTETS = 1024 * 1024


class KeyUnusable(Exception):
    """A key is missing, has the wrong form, or does not unwrap what it should."""


class MasterKeyMissing(KeyUnusable):
    """There is no master key yet; `manage.py keys init` makes it once."""


@dataclass(frozen=True, slots=True)
class _KeyRow:
    id: int
    purpose: str
    wrapped: bytes


_KEYS_OF_TENANT = Query(
    """
    SELECT id, purpose, wrapped FROM data_key WHERE tenant_id = waypost_tenant(%(tenant_id)s) ORDER BY id
    """,
    row=_KeyRow,
)


@dataclass(frozen=True, slots=True)
class TenantKeys:
    """The unwrapped keys of one tenant, and what is done with them."""

    tenant_id: TenantId
    naming_key: bytes
    data_keys: Mapping[int, bytes]
    current: int

    def digest(self, octets: bytes | memoryview) -> BlobDigest:
        """The name of content within the tenant: HMAC-SHA256, cut to 160 bits."""
        return BlobDigest(hmac.digest(self.naming_key, octets, "sha256")[:DIGEST_OCTETS])

    def long_digest(self, octets: bytes | memoryview) -> BlobDigest:
        """The same name for content of many MiB, which is read in pieces (it may be a mapped file)."""
        running = hmac.new(self.naming_key, digestmod=hashlib.sha256)
        for at in range(0, len(octets), _PIECE_OCTETS):
            running.update(octets[at : at + _PIECE_OCTETS])
        return BlobDigest(running.digest()[:DIGEST_OCTETS])

    def reference(self, message_id: bytes) -> int:
        """A message id as 64 keyed bits, so that nobody can choose ids that collide with a stranger's thread."""
        (value,) = struct.unpack(">q", hmac.digest(self.naming_key, b"reference\0" + message_id, "sha256")[:8])
        return int(value)

    def seal(self, digest: BlobDigest, chunk: int, is_last: bool, codec: int, octets: bytes) -> bytes:
        """Seal one chunk with the current data key."""
        nonce = os.urandom(NONCE_OCTETS)
        cipher = AESGCM(_blob_key(self.data_keys[self.current], digest))
        return nonce + cipher.encrypt(nonce, octets, self._associated(digest, chunk, is_last, codec))

    def open(self, key_id: int, digest: BlobDigest, chunk: int, is_last: bool, codec: int, sealed: bytes) -> bytes:
        """Open one chunk. Raises ContentDamaged when it is not what was sealed under these names."""
        key = self.data_keys.get(key_id)
        if key is None:
            raise ContentDamaged(f"data key {key_id} of tenant {self.tenant_id} is missing")
        try:
            return AESGCM(_blob_key(key, digest)).decrypt(
                sealed[:NONCE_OCTETS], sealed[NONCE_OCTETS:], self._associated(digest, chunk, is_last, codec)
            )
        except (InvalidTag, ValueError):
            raise ContentDamaged(f"chunk {chunk} of blob {digest.hex()}") from None

    def _associated(self, digest: BlobDigest, chunk: int, is_last: bool, codec: int) -> bytes:
        return struct.pack(">QI?B", self.tenant_id, chunk, is_last, codec) + digest


class KeyRing:
    """The keys of this installation. Reads `secrets` (a directory, 0700) and the tenants' data_key rows."""

    def __init__(self, secrets_directory: Path, database: Database) -> None:
        self._tenants = secrets_directory / "tenants"
        self._master = read_master_key(secrets_directory)
        self._database = database
        self._known: dict[TenantId, TenantKeys] = {}

    async def of(self, tenant_id: TenantId) -> TenantKeys:
        """The tenant's keys. Raises KeyUnusable, StoreUnavailable."""
        keys = self._known.get(tenant_id)
        if keys is None:
            async with self._database.read(tenant_id) as connection:
                rows = await _KEYS_OF_TENANT.all(connection, tenant_id=tenant_id)
            keys = self._known[tenant_id] = unwrap_tenant_keys(tenant_id, self._tenants, self._master, rows)
        return keys

    def forget(self, tenant_id: TenantId) -> None:
        """Read the tenant's keys anew at the next use (after a rotation)."""
        self._known.pop(tenant_id, None)

    def seal_inbound(self, inbound_id: int, chunk: int, codec: int, octets: bytes) -> bytes:
        """Seal a chunk of mail that belongs to no tenant yet, under the installation's key."""
        nonce = os.urandom(NONCE_OCTETS)
        return nonce + AESGCM(self._inbound_key).encrypt(nonce, octets, struct.pack(">QIB", inbound_id, chunk, codec))

    def open_inbound(self, inbound_id: int, chunk: int, codec: int, sealed: bytes) -> bytes:
        try:
            return AESGCM(self._inbound_key).decrypt(
                sealed[:NONCE_OCTETS], sealed[NONCE_OCTETS:], struct.pack(">QIB", inbound_id, chunk, codec)
            )
        except (InvalidTag, ValueError):
            raise ContentDamaged(f"chunk {chunk} of inbound message {inbound_id}") from None

    @property
    def forwarding_key(self) -> bytes:
        """What reverse paths of forwarded mail are signed with; that of every process of the installation."""
        return _expand(self._master, b"waypost forwarding")

    @property
    def sign_in_key(self) -> bytes:
        """What keeps guesses and salts of nobody from being foreseen; that of every process of the installation."""
        return _expand(self._master, b"waypost sign-in")

    @property
    def _inbound_key(self) -> bytes:
        return _expand(self._master, b"waypost inbound")


def _expand(key: bytes, info: bytes) -> bytes:
    """HKDF-Expand to one block (RFC 5869 §2.3 with N = 1): the key is uniformly random already."""
    return hmac.digest(key, info + b"\x01", "sha256")


def _blob_key(data_key: bytes, digest: BlobDigest) -> bytes:
    return _expand(data_key, b"waypost blob" + digest)


# -- making and reading the files


def make_master_key(secrets_directory: Path) -> bool:
    """Make the master key unless it is there; returns whether it was made. Never overwrites.

    Raises KeyUnusable when it is gone from above tenants' keys: another one would never open them.
    """
    secrets_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = secrets_directory / "master.key"
    if not path.exists() and any((secrets_directory / "tenants").glob("*.key")):
        raise KeyUnusable(f"{path} is missing, and tenants have keys that only it opens: restore it from your safe")
    return _write_once(path, secrets.token_bytes(KEY_OCTETS))


def read_master_key(secrets_directory: Path) -> bytes:
    path = secrets_directory / "master.key"
    try:
        return _parse_key(path)
    except FileNotFoundError:
        raise MasterKeyMissing(f"{path} is missing: run `manage.py keys init`, or restore it from your safe") from None


def make_tenant_key(secrets_directory: Path, tenant_id: TenantId) -> bytes:
    """The tenant's key: made and wrapped into its file, or read from there if it was made before."""
    master = read_master_key(secrets_directory)
    path = tenant_key_path(secrets_directory, tenant_id)
    path.parent.mkdir(exist_ok=True, mode=0o700)
    _write_once(path, aes_key_wrap(master, secrets.token_bytes(KEY_OCTETS)))
    return _unwrap(master, path.read_text().strip(), str(path))


def tenant_key_path(secrets_directory: Path, tenant_id: TenantId) -> Path:
    return secrets_directory / "tenants" / f"{tenant_id}.key"


def new_wrapped_key(tenant_key: bytes) -> bytes:
    return aes_key_wrap(tenant_key, secrets.token_bytes(KEY_OCTETS))


def unwrap_tenant_keys(
    tenant_id: TenantId, tenants_directory: Path, master_key: bytes, rows: list[_KeyRow]
) -> TenantKeys:
    path = tenants_directory / f"{tenant_id}.key"
    try:
        tenant_key = _unwrap(master_key, path.read_text().strip(), str(path))
    except FileNotFoundError:
        raise KeyUnusable(f"{path} is missing: without it the mail of tenant {tenant_id} cannot be read") from None
    naming = [row for row in rows if row.purpose == "naming"]
    data = {
        row.id: _unwrap(tenant_key, row.wrapped.hex(), f"data key {row.id}") for row in rows if row.purpose == "data"
    }
    if len(naming) != 1 or not data:
        raise KeyUnusable(f"tenant {tenant_id} has no keys in the database: `manage.py tenant add` makes them")
    return TenantKeys(
        tenant_id, _unwrap(tenant_key, naming[0].wrapped.hex(), "the naming key"), data, current=max(data)
    )


def check_tenant_keys(secrets_directory: Path, connection: "psycopg.Connection[tuple[Any, ...]]") -> list[str]:
    """What is wrong with the keys of any tenant, as sentences; on a connection of the owner."""
    master_key = read_master_key(secrets_directory)
    rows: dict[TenantId, list[_KeyRow]] = {}
    for tenant_id, *values in connection.execute("SELECT tenant_id, id, purpose, wrapped FROM data_key ORDER BY 1, 2"):
        rows.setdefault(TenantId(tenant_id), []).append(_KeyRow(*values))
    problems = []
    for tenant, keys in rows.items():
        try:
            unwrap_tenant_keys(tenant, secrets_directory / "tenants", master_key, keys)
        except KeyUnusable as problem:
            problems.append(f"tenant {tenant}: {problem}")
    return problems


def _unwrap(key: bytes, wrapped_hex: str, what: str) -> bytes:
    try:
        return aes_key_unwrap(key, bytes.fromhex(wrapped_hex))
    except (InvalidUnwrap, ValueError):
        raise KeyUnusable(f"the key above it does not unwrap {what}: is this the right master key?") from None


def _parse_key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text().strip())
    except ValueError:
        key = b""
    if len(key) != KEY_OCTETS:
        raise KeyUnusable(f"{path} does not hold {KEY_OCTETS} octets in hex")
    return key


def _write_once(path: Path, octets: bytes) -> bool:
    """Write hex to a new file with mode 0600, durably and whole: under another name first, linked if none is there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(octets.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return True
    finally:
        draft.unlink()
