"""How much an account uses."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.query import Connection, Query
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class Usage:
    """Each message once, whatever its placements."""

    used_octets: int
    used_messages: int


@dataclass(frozen=True, slots=True)
class _AccountUsage:
    account_id: int
    used_octets: int


_USED = Query(
    """
    SELECT account_id, used_octets FROM account_state
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = ANY (%(account_ids)s)
    """,
    row=_AccountUsage,
)
_USAGE = Query(
    """
    SELECT used_octets, used_messages FROM account_state
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s
    """,
    row=Usage,
)


async def usage(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> Usage:
    """Zero for an account that was never provisioned."""
    return await _USAGE.first(connection, tenant_id=tenant_id, account_id=account_id) or Usage(0, 0)


async def used_octets(
    connection: Connection, tenant_id: TenantId, account_ids: Sequence[AccountId]
) -> dict[AccountId, int]:
    """Without those that were never provisioned."""
    found = await _USED.all(connection, tenant_id=tenant_id, account_ids=list(account_ids))
    return {AccountId(each.account_id): each.used_octets for each in found}
