"""How full accounts and pools are, and of what their people were told."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.query import Connection, Query
from tenants.types import AccountId, TenantId

POOL = AccountId(0)


@dataclass(frozen=True, slots=True)
class Fullness:
    """`told_percent`: 0 when nobody has been told, or it became emptier since."""

    tenant_id: int
    account_id: int
    used_octets: int
    told_percent: int


_OF_ACCOUNTS = Query(
    """
    SELECT a.tenant_id, a.account_id, a.used_octets, coalesce(q.percent, 0)::integer AS told_percent
      FROM unnest(%(tenant_ids)s::bigint[], %(account_ids)s::bigint[]) AS u (tenant_id, account_id)
      JOIN account_state a ON a.tenant_id = u.tenant_id AND a.account_id = u.account_id
      LEFT JOIN quota_notice q ON q.tenant_id = a.tenant_id AND q.account_id = a.account_id
    """,
    row=Fullness,
    role="waypost_system",
)
_OF_POOLS = Query(
    """
    SELECT u.tenant_id, 0::bigint AS account_id,
           (SELECT coalesce(sum(a.used_octets), 0)::bigint FROM account_state a WHERE a.tenant_id = u.tenant_id)
               AS used_octets,
           coalesce(q.percent, 0)::integer AS told_percent
      FROM unnest(%(tenant_ids)s::bigint[]) AS u (tenant_id)
      LEFT JOIN quota_notice q ON q.tenant_id = u.tenant_id AND q.account_id = 0
    """,
    row=Fullness,
    role="waypost_system",
)
_NOTE = Query[None](
    """
    INSERT INTO quota_notice (tenant_id, account_id, percent)
    VALUES (waypost_tenant(%(tenant_id)s), %(account_id)s, %(percent)s)
    ON CONFLICT (tenant_id, account_id) DO UPDATE SET percent = EXCLUDED.percent
    """
)


async def fullness_of_accounts(
    connection: Connection, accounts: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], Fullness]:
    """Of those that were provisioned, on a system connection."""
    rows = await _OF_ACCOUNTS.all(
        connection, tenant_ids=[each[0] for each in accounts], account_ids=[each[1] for each in accounts]
    )
    return {(row.tenant_id, row.account_id): row for row in rows}


async def fullness_of_pools(connection: Connection, tenant_ids: Sequence[int]) -> dict[int, Fullness]:
    """On a system connection."""
    return {row.tenant_id: row for row in await _OF_POOLS.all(connection, tenant_ids=list(tenant_ids))}


async def note_told(connection: Connection, tenant_id: TenantId, account_id: AccountId, percent: int) -> None:
    """What was told of an account, or (POOL) of the tenant's pool."""
    await _NOTE.execute(connection, tenant_id=tenant_id, account_id=account_id, percent=percent)
