"""The files of the keys: made, read and replaced so that a process may die anywhere between two writes.

    secrets/master.key              32 octets in hex: wraps whatever else is here
    secrets/master.key.next         a new one, made known before it is used (`master_rotation`)
    secrets/master.key.previous     those before, one a line with the moment: they open what is not wrapped anew yet
    secrets/master.key.former       fingerprints of those that were destroyed: backups name the key of their time so
    secrets/sign-in.key             what rotation must not change; before the first rotation derived from the master key
    secrets/tenants/<id>.key        a tenant's key
    secrets/shredded/<id>.json      the certificate of a tenant whose key was destroyed

What is wrapped (RFC 3394) opens with any of the master keys, so that at no moment two files have to change together.
The directory is locked while files are replaced.
"""

import contextlib
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from storage.errors import KeyUnusable, MasterKeyMissing
from storage.secret_files import destroy_file, locked, make_directory, replace_file, write_once
from tenants.types import TenantId

KEY_OCTETS = 32


@dataclass(frozen=True, slots=True)
class ReplacedKey:
    """A master key that another one took the place of."""

    key: bytes
    replaced_at: datetime


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """`current` wraps and seals; `others`, the next one and those before, open too."""

    current: bytes
    others: tuple[bytes, ...] = ()

    @property
    def all(self) -> tuple[bytes, ...]:
        return (self.current, *self.others)

    def unwrap(self, wrapped_hex: str, what: str) -> bytes:
        """Raises KeyUnusable."""
        return _unwrap_with(self.all, wrapped_hex, what)


def fingerprint(key: bytes) -> str:
    """What names a key to people: 64 bits of a digest, from which nobody finds the key."""
    return hashlib.sha256(b"waypost key fingerprint\0" + key).hexdigest()[:16]


# -- the master key


def master_key_path(secrets_directory: Path) -> Path:
    return secrets_directory / "master.key"


def next_master_path(secrets_directory: Path) -> Path:
    return secrets_directory / "master.key.next"


def previous_masters_path(secrets_directory: Path) -> Path:
    return secrets_directory / "master.key.previous"


def former_masters_path(secrets_directory: Path) -> Path:
    return secrets_directory / "master.key.former"


def make_master_key(secrets_directory: Path) -> bool:
    """Make the master key unless it is there; returns whether it was made. Never overwrites.

    Raises KeyUnusable when it is gone from above tenants' keys: another one would never open them.
    """
    secrets_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = master_key_path(secrets_directory)
    if not path.exists() and any((secrets_directory / "tenants").glob("*.key")):
        raise KeyUnusable(f"{path} is missing, and tenants have keys that only it opens: restore it from your safe")
    return write_once(path, secrets.token_hex(KEY_OCTETS))


def read_master_key(secrets_directory: Path) -> bytes:
    """Raises KeyUnusable."""
    path = master_key_path(secrets_directory)
    try:
        return _parse_key(path.read_text(), path)
    except FileNotFoundError:
        raise MasterKeyMissing(f"{path} is missing: run `manage.py keys init`, or restore it from your safe") from None


def read_next_master(secrets_directory: Path) -> bytes | None:
    path = next_master_path(secrets_directory)
    try:
        return _parse_key(path.read_text(), path)
    except FileNotFoundError:
        return None


def read_previous_masters(secrets_directory: Path) -> list[ReplacedKey]:
    """Newest first. Raises KeyUnusable."""
    path = previous_masters_path(secrets_directory)
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        key, _, moment = line.partition(" ")
        try:
            found.append(ReplacedKey(_parse_key(key, path), datetime.fromisoformat(moment)))
        except ValueError:
            raise KeyUnusable(f"{path} has a line without a moment") from None
    return found


def write_previous_masters(secrets_directory: Path, replaced: Iterable[ReplacedKey]) -> None:
    path = previous_masters_path(secrets_directory)
    lines = [f"{each.key.hex()} {each.replaced_at.isoformat()}" for each in replaced]
    if lines:
        replace_file(path, "\n".join(lines))
    else:
        destroy_file(path)


def known_master_fingerprints(secrets_directory: Path) -> set[str]:
    """Of the master keys there are and were: a backup that names one of them belongs to these tenant keys."""
    path = former_masters_path(secrets_directory)
    former = path.read_text().split() if path.exists() else []
    return {*former, *(fingerprint(key) for key in read_master_keys(secrets_directory).all)}


def remember_former_masters(secrets_directory: Path, fingerprints: Iterable[str]) -> None:
    path = former_masters_path(secrets_directory)
    former = path.read_text().split() if path.exists() else []
    replace_file(path, "\n".join(dict.fromkeys([*former, *fingerprints])))


def read_master_keys(secrets_directory: Path) -> MasterKeys:
    """Raises KeyUnusable. In an order in which a switch that happens meanwhile hides no key that is in use by then."""
    coming = read_next_master(secrets_directory)
    current = read_master_key(secrets_directory)
    before = [each.key for each in read_previous_masters(secrets_directory)]
    others = [*([coming] if coming else []), *before]
    return MasterKeys(current, tuple(dict.fromkeys(each for each in others if each != current)))


# -- what the master key wraps


def tenant_key_path(secrets_directory: Path, tenant_id: TenantId) -> Path:
    return secrets_directory / "tenants" / f"{tenant_id}.key"


def certificate_path(secrets_directory: Path, tenant_id: TenantId) -> Path:
    """Of a tenant that was shredded: a restore of the database does not bring its key back, and finds why here."""
    return secrets_directory / "shredded" / f"{tenant_id}.json"


def sign_in_key_path(secrets_directory: Path) -> Path:
    return secrets_directory / "sign-in.key"


def wrapped_files(secrets_directory: Path) -> list[Path]:
    """All that has to be wrapped anew when the master key changes."""
    found = sorted((secrets_directory / "tenants").glob("[0-9]*.key"), key=lambda path: (len(path.name), path.name))
    return [*(path for path in [sign_in_key_path(secrets_directory)] if path.exists()), *found]


def make_tenant_key(secrets_directory: Path, tenant_id: TenantId) -> bytes:
    """The tenant's key: made and wrapped into its file, or read from there if it was made before."""
    with locked(secrets_directory):
        masters = read_master_keys(secrets_directory)
        path = tenant_key_path(secrets_directory, tenant_id)
        if certificate_path(secrets_directory, tenant_id).exists():
            raise KeyUnusable(f"tenant {tenant_id} was shredded and gets no other key")
        make_directory(path.parent)
        write_once(path, wrap(masters.current, secrets.token_bytes(KEY_OCTETS)))
        return masters.unwrap(path.read_text().strip(), str(path))


def read_tenant_key(secrets_directory: Path, masters: MasterKeys, tenant_id: TenantId) -> bytes:
    """Raises KeyUnusable."""
    path = tenant_key_path(secrets_directory, tenant_id)
    try:
        return masters.unwrap(path.read_text().strip(), str(path))
    except FileNotFoundError:
        if certificate_path(secrets_directory, tenant_id).exists():
            raise KeyUnusable(
                f"tenant {tenant_id} was shredded: if a restore brought it back, run `manage.py keys shred {tenant_id}`"
            ) from None
        raise KeyUnusable(f"{path} is missing: without it the mail of tenant {tenant_id} cannot be read") from None


def new_wrapped_key(tenant_key: bytes) -> bytes:
    return aes_key_wrap(tenant_key, secrets.token_bytes(KEY_OCTETS))


def unwrap_key(tenant_key: bytes, wrapped: bytes, what: str) -> bytes:
    """Raises KeyUnusable."""
    return _unwrap_with((tenant_key,), wrapped.hex(), what)


def wrap(master_key: bytes, key: bytes) -> str:
    return aes_key_wrap(master_key, key).hex()


def _unwrap_with(keys: Iterable[bytes], wrapped_hex: str, what: str) -> bytes:
    for key in keys:
        with contextlib.suppress(InvalidUnwrap, ValueError):
            return aes_key_unwrap(key, bytes.fromhex(wrapped_hex))
    raise KeyUnusable(f"the key above it does not unwrap {what}: is this the right master key?")


def _parse_key(text: str, path: Path) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_OCTETS:
        raise KeyUnusable(f"{path} does not hold {KEY_OCTETS} octets in hex")
    return key
