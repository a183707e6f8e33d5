"""The trace of mail beside the queue: acts that no outgoing message stands for."""

from storage.database import Database
from storage.outgoing_types import EventKind
from storage.query import Query
from tenants.types import TenantId

_DROPPED = Query[None](
    f"""
    INSERT INTO event (tenant_id, kind, address, reply_text)
    VALUES (waypost_tenant(%(tenant_id)s), {int(EventKind.REPORT_DROPPED)}, %(address)s, %(reason)s)
    """  # noqa: S608 (a number of ours)
)


async def tell_of_dropped_report(database: Database, tenant_id: TenantId, address: str, reason: str) -> None:
    """A notification for `address` reached nobody. Raises StoreUnavailable."""
    async with database.read(tenant_id) as connection:
        await _DROPPED.execute(connection, tenant_id=tenant_id, address=address, reason=reason)
