"""A new master key: files alone change, and no two of them have to change together.

Each line is durable before the next, and whoever dies between two begins again where it stopped:

1. `master.key.next` is written. Every process can open with it MASTERS_KNOWN_S later, and only then 2 begins.
2. `master.key` is added to `master.key.previous`, then `master.key.next` takes its place: one rename.
3. Each file that the master key wraps is replaced by one wrapped with the new key.
4. `master.key.previous` stays until nothing needs it: mail on its way in that was sealed before, and addresses that
   were signed before and are good for three weeks. `forget_previous_masters` looks, and destroys it.

What is wrapped opens with all of them. Tenant keys stay what they are: no row of Postgres changes.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from storage.durable_files import sync_directory
from storage.errors import KeyUnusable
from storage.key_files import (
    KEY_OCTETS,
    MasterKeys,
    ReplacedKey,
    fingerprint,
    master_key_path,
    next_master_path,
    read_master_key,
    read_master_keys,
    read_next_master,
    read_previous_masters,
    remember_former_masters,
    sign_in_key_path,
    wrap,
    wrapped_files,
    write_previous_masters,
)
from storage.keys import MASTERS_KNOWN_S, open_inbound, read_sign_in_key
from storage.secret_files import destroy_all_drafts, locked, replace_file, write_once
from storage.steps import reached

Owner = psycopg.Connection[tuple[Any, ...]]

ANNOUNCED_MASTER_S = 2 * MASTERS_KNOWN_S
SIGNATURES_LAST = timedelta(days=22)  # rewritten reverse paths are good for 21 days


@dataclass(frozen=True, slots=True)
class Rotated:
    """`wrapped` files were wrapped anew. `is_new`: the rotation began here, and did not only end what had begun."""

    fingerprint: str
    wrapped: int
    is_new: bool


def prepare_master_key(secrets_directory: Path) -> float:
    """Make the next master key, unless there is one; returns for how many seconds more it is to be made known.

    Where hosts have copies of the directory, copy it to all of them before the switch.
    """
    with locked(secrets_directory):
        masters = read_master_keys(secrets_directory)
        write_once(
            sign_in_key_path(secrets_directory), wrap(masters.current, read_sign_in_key(secrets_directory, masters))
        )
        reached("master key: sign-in key kept")
        path = next_master_path(secrets_directory)
        write_once(path, secrets.token_hex(KEY_OCTETS))
        reached("master key: next written")
        age_s = datetime.now(UTC).timestamp() - path.stat().st_mtime
        return max(0.0, ANNOUNCED_MASTER_S - max(0.0, age_s))


def rotate_master_key(secrets_directory: Path, *, wait: Callable[[float], None]) -> Rotated:
    """Take the next master key into use; or only end a rotation that was interrupted. Raises KeyUnusable."""
    with locked(secrets_directory):
        is_half_done = bool(_unfinished(secrets_directory)) and read_next_master(secrets_directory) is None
    if not is_half_done:
        wait(prepare_master_key(secrets_directory))
    with locked(secrets_directory):
        if not is_half_done:
            _switch(secrets_directory)
        wrapped = _wrap_anew(secrets_directory)
        return Rotated(fingerprint(read_master_key(secrets_directory)), wrapped, not is_half_done)


def _switch(secrets_directory: Path) -> None:
    coming = read_next_master(secrets_directory)
    if coming is None:
        raise KeyUnusable(f"{next_master_path(secrets_directory)} is gone: another rotation ended meanwhile")
    current = read_master_key(secrets_directory)
    before = read_previous_masters(secrets_directory)
    if current not in [each.key for each in before]:
        write_previous_masters(secrets_directory, [ReplacedKey(current, datetime.now(UTC)), *before])
    reached("master key: previous kept")
    next_master_path(secrets_directory).replace(master_key_path(secrets_directory))
    sync_directory(secrets_directory)
    reached("master key: switched")


def _wrap_anew(secrets_directory: Path) -> int:
    """Raises KeyUnusable at a file that no master key opens, after all others are done."""
    masters = read_master_keys(secrets_directory)
    wrapped = 0
    problems = []
    destroy_all_drafts(secrets_directory)
    for path in _unfinished(secrets_directory):
        try:
            key = masters.unwrap(path.read_text().strip(), str(path))
        except KeyUnusable as problem:
            problems.append(problem)
            continue
        replace_file(path, wrap(masters.current, key))
        wrapped += 1
        reached("master key: file wrapped anew")
    if problems:
        raise problems[0]
    return wrapped


def _unfinished(secrets_directory: Path) -> list[Path]:
    """What the current master key alone does not open."""
    current = MasterKeys(read_master_key(secrets_directory))
    found = []
    for path in wrapped_files(secrets_directory):
        try:
            current.unwrap(path.read_text().strip(), str(path))
        except KeyUnusable:
            found.append(path)
    return found


@dataclass(frozen=True, slots=True)
class StillNeeded:
    """Why a replaced master key is kept."""

    fingerprint: str
    replaced_at: datetime
    signatures_until: datetime | None
    inbound: int


def forget_previous_masters(
    secrets_directory: Path,
    connection: Owner,
    *,
    now: datetime,
    keep_signatures: bool = True,
) -> tuple[list[str], list[StillNeeded]]:
    """Destroy replaced master keys that nothing needs; returns fingerprints of those, and why others are kept.

    Without `keep_signatures`, bounces of mail that was passed on before the switch are refused. Raises KeyUnusable.
    """
    with locked(secrets_directory):
        _wrap_anew(secrets_directory)
        current = read_master_key(secrets_directory)
        replaced = [each for each in read_previous_masters(secrets_directory) if each.key != current]
        gone: list[str] = []
        kept: list[ReplacedKey] = []
        needed: list[StillNeeded] = []
        for each in replaced:
            signed_until = each.replaced_at + SIGNATURES_LAST
            signatures = signed_until if keep_signatures and now < signed_until else None
            inbound = _inbound_under(connection, MasterKeys(each.key))
            if signatures is None and inbound == 0:
                gone.append(fingerprint(each.key))
            else:
                kept.append(each)
                needed.append(StillNeeded(fingerprint(each.key), each.replaced_at, signatures, inbound))
        if gone:
            remember_former_masters(secrets_directory, gone)
        reached("master key: former remembered")
        write_previous_masters(secrets_directory, kept)
        return gone, needed


def _inbound_under(connection: Owner, masters: MasterKeys) -> int:
    """Messages on their way in whose first chunk this key sealed; one by one, for they may be large."""
    found = 0
    for (inbound_id,) in connection.execute("SELECT id FROM inbound ORDER BY id").fetchall():
        row = connection.execute(
            "SELECT codec, sealed FROM inbound_content WHERE inbound_id = %s AND chunk = 0", (inbound_id,)
        ).fetchone()
        if row is not None and open_inbound(masters, inbound_id, 0, row[0], bytes(row[1])) is not None:
            found += 1
    return found
