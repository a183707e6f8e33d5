"""Data keys of a tenant: new ones, what rests under each, and giving up old ones. On a connection of the owner.

A data key is a row. The newest seals once every process knows it (`keys`); the others open until they are retired,
which they can be when nothing that can be asked for rests under them. Their rows stay for as long as somebody may
bring back content of that time: a restored database has its own rows, but a mailbox that is restored into this one
from an archive was sealed with keys of then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from storage.key_files import new_wrapped_key, read_master_keys, read_tenant_key
from storage.keys import ANNOUNCED_S
from tenants.types import TenantId

Owner = psycopg.Connection[tuple[Any, ...]]

SEALING_LASTS_S = 3600.0  # longer than any process goes on sealing with keys that it was given once


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
    """Of one tenant: keys retired now, those whose rows are deleted, those that only a legal hold keeps, and those that
    something still rests under."""

    retired: Sequence[int]
    deleted: Sequence[int]
    held: Sequence[int]
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


# What S3 keeps of replaced packs while a hold lasts, only the keys of then open.
_IS_HELD = """
    SELECT EXISTS (SELECT FROM tenant WHERE id = %(tenant)s AND is_held)
        OR EXISTS (SELECT FROM account WHERE tenant_id = %(tenant)s AND is_held)
        OR EXISTS (SELECT FROM object WHERE tenant_id = %(tenant)s AND is_held)
"""


def retire_data_keys(connection: Owner, tenant_id: TenantId, *, keep_days: int | None) -> Retirement:
    """Retire what nothing rests under; delete what was retired `keep_days` ago (None: nothing). In one transaction."""
    retired: list[int] = []
    deleted: list[int] = []
    in_use: list[DataKeyFacts] = []
    held: list[int] = []
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('data_key'), %s)", (tenant_id % 2**31,))
        now = connection.execute("SELECT now()").fetchall()[0][0]
        facts = data_keys(connection, tenant_id)
        current = next((each for each in facts if each.is_current), None)
        if current is None:
            return Retirement([], [], [], [])  # such as of a tenant that was shredded
        is_held = connection.execute(_IS_HELD, {"tenant": tenant_id}).fetchall()[0][0]
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
                if is_held:
                    held.append(each.id)
                    continue
                deleted.append(each.id)
                connection.execute("DELETE FROM data_key WHERE tenant_id = %s AND id = %s", (tenant_id, each.id))
    return Retirement(retired, deleted, held, in_use)


def order_reseal(connection: Owner, tenant_id: TenantId) -> None:
    """Upkeep seals anew what old keys sealed, and compaction writes its objects anew."""
    connection.execute(
        "INSERT INTO reseal_order (tenant_id, asked_at) VALUES (%s, now()) ON CONFLICT DO NOTHING", (tenant_id,)
    )
