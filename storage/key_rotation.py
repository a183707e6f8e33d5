"""Rotation: new data keys of tenants, and, apart, a new master key. On a connection of the owner, or with files alone.

**The master key.** Each line is durable before the next, and whoever dies between two begins again where it stopped:

1. `master.key.next` is written. Every process can open with it MASTERS_KNOWN_S later, and only then 2 begins.
2. `master.key` is added to `master.key.previous`, then `master.key.next` takes its place: one rename.
3. Each file that the master key wraps is replaced by one wrapped with the new key.
4. `master.key.previous` stays until nothing needs it: mail on its way in that was sealed before, and addresses that
   were signed before and are good for three weeks. `forget_previous_masters` looks, and destroys it.

What is wrapped opens with all of them, so no two files have to change together. Tenant keys stay what they are: no row
of Postgres changes.

**A data key** is a row. The newest seals once every process knows it (`keys`); the others open until they are retired,
which they can be when nothing that can be asked for rests under them. Their rows stay for as long as somebody may
bring back content of that time: a restored database has its own rows, but a mailbox that is restored into this one
from an archive was sealed with keys of then.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from storage.key_files import (
    KEY_OCTETS,
    KeyUnusable,
    MasterKeys,
    ReplacedKey,
    destroy_all_drafts,
    fingerprint,
    locked,
    master_key_path,
    new_wrapped_key,
    next_master_path,
    read_master_key,
    read_master_keys,
    read_next_master,
    read_previous_masters,
    read_tenant_key,
    remember_former_masters,
    replace_file,
    sign_in_key_path,
    sync_directory,
    wrap,
    wrapped_files,
    write_once,
    write_previous_masters,
)
from storage.keys import ANNOUNCED_S, MASTERS_KNOWN_S, open_inbound, read_sign_in_key
from storage.steps import reached
from tenants.types import TenantId

Owner = psycopg.Connection[tuple[Any, ...]]

ANNOUNCED_MASTER_S = 2 * MASTERS_KNOWN_S
SIGNATURES_LAST = timedelta(days=22)  # rewritten reverse paths are good for 21 days
SEALING_LASTS_S = 3600.0  # longer than any process goes on sealing with keys that it was given once


# -- the master key


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


# -- data keys


@dataclass(frozen=True, slots=True)
class DataKeyFacts:
    """A data key of a tenant, and what can be asked for that rests under it: chunks and sealed octets by place."""

    id: int
    created_at: datetime
    retired_at: datetime | None
    is_current: bool
    rests: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Retirement:
    """Of one tenant: keys retired now, those whose rows are deleted, and those that something still rests under."""

    retired: Sequence[int]
    deleted: Sequence[int]
    in_use: Sequence[DataKeyFacts]


def rotate_data_key(
    secrets_directory: Path,
    connection: Owner,
    tenant_id: TenantId,
    *,
    older_than_days: int | None = None,
) -> int | None:
    """A new data key; None if the newest is not older than that. It seals ANNOUNCED_S later. Raises KeyUnusable."""
    tenant_key = read_tenant_key(secrets_directory, read_master_keys(secrets_directory), tenant_id)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('data_key'), %s)", (tenant_id % 2**31,))
        row = connection.execute(
            """
            INSERT INTO data_key (tenant_id, id, purpose, wrapped, created_at)
            SELECT %(tenant)s, max(id) + 1, 'data', %(wrapped)s, clock_timestamp() FROM data_key
             WHERE tenant_id = %(tenant)s
            HAVING %(days)s::integer IS NULL
                OR max(created_at) FILTER (WHERE purpose = 'data') < now() - make_interval(days => %(days)s)
            RETURNING id
            """,
            {"tenant": tenant_id, "wrapped": new_wrapped_key(tenant_key), "days": older_than_days},
        ).fetchone()
    return None if row is None else int(row[0])


def data_keys(connection: Owner, tenant_id: TenantId, *, with_use: bool = True) -> list[DataKeyFacts]:
    """By id. What rests under them is counted exactly: that reads every row of the tenant's content, not the octets."""
    rows = connection.execute(
        """
        SELECT id, created_at, retired_at, created_at <= now() - make_interval(secs => %s) FROM data_key
         WHERE tenant_id = %s AND purpose = 'data' ORDER BY id
        """,
        (ANNOUNCED_S, tenant_id),
    ).fetchall()
    rests: dict[int, dict[str, tuple[int, int]]] = {}
    if with_use:
        connection.execute("SELECT set_config('waypost.tenant', %s, false)", (str(tenant_id),))
        for key_id, place, chunks, octets in connection.execute(
            "SELECT key_id, place, chunks, octets FROM sealed_under_v1(%s)", (tenant_id,)
        ):
            rests.setdefault(key_id, {})[place] = (chunks, octets)
    current = max((id_ for id_, _, _, is_announced in rows if is_announced), default=rows[0][0] if rows else None)
    return [
        DataKeyFacts(id_, created_at, retired_at, id_ == current, rests.get(id_, {}))
        for id_, created_at, retired_at, _ in rows
    ]


def retire_data_keys(connection: Owner, tenant_id: TenantId, *, keep_days: int | None) -> Retirement:
    """Retire what nothing rests under; delete what was retired `keep_days` ago (None: nothing). In one transaction."""
    retired, deleted, in_use = [], [], []
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('data_key'), %s)", (tenant_id % 2**31,))
        now = connection.execute("SELECT now()").fetchall()[0][0]
        facts = data_keys(connection, tenant_id)
        current = next(each for each in facts if each.is_current)
        is_settled = now - current.created_at > timedelta(seconds=SEALING_LASTS_S)
        for each in facts:
            if each.id >= current.id:
                continue
            if each.rests or not is_settled:
                in_use.append(each)
                if each.retired_at is not None:  # a restore brought back what it had sealed
                    connection.execute(
                        "UPDATE data_key SET retired_at = NULL WHERE tenant_id = %s AND id = %s", (tenant_id, each.id)
                    )
            elif each.retired_at is None:
                retired.append(each.id)
                connection.execute(
                    "UPDATE data_key SET retired_at = now() WHERE tenant_id = %s AND id = %s", (tenant_id, each.id)
                )
            elif keep_days is not None and now - each.retired_at > timedelta(days=keep_days):
                deleted.append(each.id)
                connection.execute("DELETE FROM data_key WHERE tenant_id = %s AND id = %s", (tenant_id, each.id))
    return Retirement(retired, deleted, in_use)


def order_reseal(connection: Owner, tenant_id: TenantId) -> None:
    """Upkeep seals anew what old keys sealed, and compaction writes its objects anew."""
    connection.execute(
        "INSERT INTO reseal_order (tenant_id, asked_at) VALUES (%s, now()) ON CONFLICT DO NOTHING", (tenant_id,)
    )
