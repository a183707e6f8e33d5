"""Keys: what seals message octets, and what names them.

    master key        secrets/master.key, made once; wraps tenant keys and seals mail not yet of a tenant
    └ tenant key      secrets/tenants/<id>.key, outside Postgres and its backups: destroying it shreds the tenant
      ├ data keys     data_key rows, wrapped by the tenant key; the newest seals, the others still open
      └ naming key    data_key row; digests and reference hashes; never rotated, or equal content would not be found

Each blob has its own key: HKDF-Expand of the data key over the blob's digest (RFC 5869 §2.3). A sealed chunk is a
random nonce of 12 octets and the AES-256-GCM ciphertext; associated data are tenant, digest, chunk number, whether
it is the last, and codec, so that no chunk can be put in another's place. Wrapping is AES Key Wrap (RFC 3394).

Keys change while processes run. A process reads a tenant's keys anew when it has had them for KNOWN_S, and a new data
key seals only ANNOUNCED_S after it was made: by then every process can open what is sealed with it. So with the master
keys, which are two files and are read anew after MASTERS_KNOWN_S. Nothing is told to anybody, nothing can be missed.
"""

import contextlib
import hashlib
import hmac
import os
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.database import Database
from storage.errors import ContentDamaged, KeyUnusable, StoreUnavailable
from storage.key_files import MasterKeys, read_master_keys, read_tenant_key, sign_in_key_path, unwrap_key
from storage.query import Query
from storage.types import BlobDigest, BlobOctets
from tenants.types import TenantId

DIGEST_OCTETS = 20  # 160 bits of a keyed digest: nobody without the key can look for collisions
NONCE_OCTETS = 12
_TAG_OCTETS = 16
KNOWN_S = 60.0
ANNOUNCED_S = 150.0  # over twice as long: a process that is slow to look has still looked
MASTERS_KNOWN_S = 5.0
_PIECE_OCTETS = 256 * 1024


@dataclass(frozen=True, slots=True)
class KeyRow:
    id: int
    purpose: str
    wrapped: bytes
    is_announced: bool


_KEYS_OF_TENANT = Query(
    """
    SELECT id, purpose, wrapped, created_at <= now() - make_interval(secs => %(announced_s)s) AS is_announced
      FROM data_key WHERE tenant_id = waypost_tenant(%(tenant_id)s) ORDER BY id
    """,
    row=KeyRow,
)


def _nothing_newer() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class TenantKeys:
    """The unwrapped keys of one tenant, and what is done with them.

    `look_again` has the keys read anew at their next use; it returns whether that can bring any that are not here.
    """

    tenant_id: TenantId
    naming_key: bytes
    data_keys: Mapping[int, bytes]
    current: int
    look_again: Callable[[], bool] = field(default=_nothing_newer, compare=False, repr=False)

    def digest(self, octets: bytes | memoryview) -> BlobDigest:
        """The name of content within the tenant: HMAC-SHA256, cut to 160 bits."""
        return BlobDigest(hmac.digest(self.naming_key, octets, "sha256")[:DIGEST_OCTETS])

    def long_digest(self, octets: BlobOctets) -> BlobDigest:
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

    def seal_long(self, digest: BlobDigest, chunk: int, is_last: bool, codec: int, octets: bytes) -> bytearray:
        """The same without a second copy of what was sealed."""
        sealed = bytearray(NONCE_OCTETS + len(octets) + _TAG_OCTETS)
        sealed[:NONCE_OCTETS] = nonce = os.urandom(NONCE_OCTETS)
        cipher = AESGCM(_blob_key(self.data_keys[self.current], digest))
        rest = memoryview(sealed)[NONCE_OCTETS:]
        cipher.encrypt_into(nonce, octets, self._associated(digest, chunk, is_last, codec), rest)
        return sealed

    def open(self, key_id: int, digest: BlobDigest, chunk: int, is_last: bool, codec: int, sealed: bytes) -> bytes:
        """Open one chunk. Raises ContentDamaged when it is not what was sealed under these names.

        StoreUnavailable: it was sealed with a key made since these were read; whoever asks again can open it.
        """
        key = self.data_keys.get(key_id)
        if key is None:
            if self.look_again():
                raise StoreUnavailable(f"data key {key_id} of tenant {self.tenant_id} is new")
            raise ContentDamaged(f"data key {key_id} of tenant {self.tenant_id} is missing")
        try:
            return AESGCM(_blob_key(key, digest)).decrypt(
                sealed[:NONCE_OCTETS], sealed[NONCE_OCTETS:], self._associated(digest, chunk, is_last, codec)
            )
        except (InvalidTag, ValueError):
            raise ContentDamaged(f"chunk {chunk} of blob {digest.hex()}") from None

    def reseal(self, digest: BlobDigest, chunk: int, is_last: bool, codec: int, key_id: int, sealed: bytes) -> bytes:
        """The same chunk under the current data key; what it holds stays packed as it is. Raises as `open`."""
        return self.seal(digest, chunk, is_last, codec, self.open(key_id, digest, chunk, is_last, codec, sealed))

    def _associated(self, digest: BlobDigest, chunk: int, is_last: bool, codec: int) -> bytes:
        return struct.pack(">QI?B", self.tenant_id, chunk, is_last, codec) + digest


@dataclass(slots=True)
class _Known:
    keys: TenantKeys
    read_at: float


class KeyRing:
    """The keys of this installation. Reads `secrets` (a directory, 0700) and the tenants' data_key rows.

    Raises KeyUnusable when there is no master key that can be used.
    """

    def __init__(
        self, secrets_directory: Path, database: Database, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._directory = secrets_directory
        self._database = database
        self._clock = clock
        self._known: dict[TenantId, _Known] = {}
        self._masters = read_master_keys(secrets_directory)
        self._masters_read_at = clock()

    async def of(self, tenant_id: TenantId) -> TenantKeys:
        """The tenant's keys, as they were at most KNOWN_S ago. Raises KeyUnusable, StoreUnavailable."""
        known = self._known.get(tenant_id)
        if known is None:
            return await self._read(tenant_id)
        now = self._clock()
        if now - known.read_at < KNOWN_S:
            return known.keys
        before, known.read_at = known.read_at, now  # one looks; who comes meanwhile takes what is known
        try:
            return await self._read(tenant_id)
        except KeyUnusable:
            self.forget(tenant_id)  # such as of a tenant that was shredded
            raise
        except BaseException:
            known.read_at = before
            raise

    def forget(self, tenant_id: TenantId) -> None:
        """Read the tenant's keys anew at the next use."""
        self._known.pop(tenant_id, None)

    async def _read(self, tenant_id: TenantId) -> TenantKeys:
        began = self._clock()
        async with self._database.read(tenant_id) as connection:
            rows = await _KEYS_OF_TENANT.all(connection, tenant_id=tenant_id, announced_s=ANNOUNCED_S)
        try:
            keys = self._unwrap(tenant_id, rows, began)
        except KeyUnusable:
            self._read_masters()  # wrapped anew, perhaps, under one that is not known here
            keys = self._unwrap(tenant_id, rows, began)
        self._known[tenant_id] = _Known(keys, began)
        return keys

    def _unwrap(self, tenant_id: TenantId, rows: Sequence[KeyRow], began: float) -> TenantKeys:
        def look_again() -> bool:
            """Not when they were read this moment: then the key is missing."""
            if self._clock() - began < 1.0:
                return False
            self.forget(tenant_id)
            return True

        tenant_key = read_tenant_key(self._directory, self._fresh_masters(), tenant_id)
        return unwrap_tenant_keys(tenant_id, tenant_key, rows, look_again)

    # -- what belongs to no tenant

    def seal_inbound(self, inbound_id: int, chunk: int, codec: int, octets: bytes) -> bytes:
        """Seal a chunk of mail that belongs to no tenant yet, under the installation's key."""
        nonce = os.urandom(NONCE_OCTETS)
        key = _inbound_key(self._fresh_masters().current)
        return nonce + AESGCM(key).encrypt(nonce, octets, _inbound_name(inbound_id, chunk, codec))

    def open_inbound(self, inbound_id: int, chunk: int, codec: int, sealed: bytes) -> bytes:
        """Raises ContentDamaged."""
        for masters in (self._fresh_masters, self._read_masters):
            octets = open_inbound(masters(), inbound_id, chunk, codec, sealed)
            if octets is not None:
                return octets
        raise ContentDamaged(f"chunk {chunk} of inbound message {inbound_id}")

    def forwarding_keys(self) -> Sequence[bytes]:
        """The first signs reverse paths of forwarded mail, any may have: those of every process of the installation."""
        return [_expand(each, b"waypost forwarding") for each in self._fresh_masters().all]

    @property
    def sign_in_key(self) -> bytes:
        """What keeps guesses and salts of nobody from being foreseen; that of every process of the installation.

        It outlives rotations of the master key: salts of nobody that change at once would tell who is somebody.
        """
        return read_sign_in_key(self._directory, self._fresh_masters())

    @property
    def web_push_secret(self) -> bytes:
        """What push services know the installation by (RFC 8292) is made of these 64 octets. As the key of sign-in
        they outlive rotations of the master key: devices have to subscribe anew when they change (RFC 9749 §5)."""
        return hmac.digest(self.sign_in_key, b"waypost web push", "sha512")

    def _fresh_masters(self) -> MasterKeys:
        if self._clock() - self._masters_read_at >= MASTERS_KNOWN_S:
            self._read_masters()
        return self._masters

    def _read_masters(self) -> MasterKeys:
        """A process that serves goes on with those it has, if they cannot be read any more."""
        self._masters_read_at = self._clock()
        with contextlib.suppress(KeyUnusable, OSError):
            self._masters = read_master_keys(self._directory)
        return self._masters


def unwrap_tenant_keys(
    tenant_id: TenantId,
    tenant_key: bytes,
    rows: Sequence[KeyRow],
    look_again: Callable[[], bool] = _nothing_newer,
) -> TenantKeys:
    """Raises KeyUnusable. The newest announced data key seals; of a new tenant, the one it has."""
    naming = [row for row in rows if row.purpose == "naming"]
    data = {row.id: unwrap_key(tenant_key, row.wrapped, f"data key {row.id}") for row in rows if row.purpose == "data"}
    if len(naming) != 1 or not data:
        raise KeyUnusable(f"tenant {tenant_id} has no keys in the database: `manage.py tenant add` makes them")
    announced = [row.id for row in rows if row.id in data and row.is_announced]
    return TenantKeys(
        tenant_id,
        unwrap_key(tenant_key, naming[0].wrapped, "the naming key"),
        data,
        current=max(announced, default=min(data)),
        look_again=look_again,
    )


def check_tenant_keys(secrets_directory: Path, connection: "psycopg.Connection[tuple[Any, ...]]") -> list[str]:
    """What is wrong with the keys of any tenant, as sentences; on a connection of the owner."""
    masters = read_master_keys(secrets_directory)
    rows: dict[TenantId, list[KeyRow]] = {}
    for tenant_id, *values in connection.execute(
        "SELECT tenant_id, id, purpose, wrapped, true FROM data_key ORDER BY 1, 2"
    ):
        rows.setdefault(TenantId(tenant_id), []).append(KeyRow(*values))
    problems = []
    for tenant, keys in rows.items():
        try:
            unwrap_tenant_keys(tenant, read_tenant_key(secrets_directory, masters, tenant), keys)
        except KeyUnusable as problem:
            problems.append(f"tenant {tenant}: {problem}")
    return problems


def read_sign_in_key(secrets_directory: Path, masters: MasterKeys) -> bytes:
    """Raises KeyUnusable."""
    path = sign_in_key_path(secrets_directory)
    try:
        return masters.unwrap(path.read_text().strip(), str(path))
    except FileNotFoundError:
        return _expand(masters.current, b"waypost sign-in")


def open_inbound(masters: MasterKeys, inbound_id: int, chunk: int, codec: int, sealed: bytes) -> bytes | None:
    """None if none of these keys sealed it under these names."""
    for master in masters.all:
        try:
            return AESGCM(_inbound_key(master)).decrypt(
                sealed[:NONCE_OCTETS], sealed[NONCE_OCTETS:], _inbound_name(inbound_id, chunk, codec)
            )
        except (InvalidTag, ValueError):
            continue
    return None


def _inbound_key(master_key: bytes) -> bytes:
    return _expand(master_key, b"waypost inbound")


def _inbound_name(inbound_id: int, chunk: int, codec: int) -> bytes:
    return struct.pack(">QIB", inbound_id, chunk, codec)


def _expand(key: bytes, info: bytes) -> bytes:
    """HKDF-Expand to one block (RFC 5869 §2.3 with N = 1): the key is uniformly random already."""
    return hmac.digest(key, info + b"\x01", "sha256")


def _blob_key(data_key: bytes, digest: BlobDigest) -> bytes:
    return _expand(data_key, b"waypost blob" + digest)
