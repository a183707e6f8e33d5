"""How much an account uses."""

from dataclasses import dataclass

from storage.query import Connection, Query
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class Usage:
    """Each message once, whatever its placements."""

    used_octets: int
    used_messages: int


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
