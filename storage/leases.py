"""Who does a work of upkeep for a tenant now: a row with an end, so that a process that died is replaced.

A lease keeps two processes from doing the same work twice. It protects nothing: what the work changes is checked again
where it changes.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from storage.database import Database
from storage.errors import StoreUnavailable
from storage.query import Query
from tenants.types import TenantId

LEASE_S = 600.0


@dataclass(frozen=True, slots=True)
class _Token:
    token: int


_TAKE = Query(
    """
    INSERT INTO work_lease (tenant_id, work, leased_until, token)
    VALUES (waypost_tenant(%(tenant_id)s), %(work)s, now() + make_interval(secs => %(lease_s)s), %(token)s)
    ON CONFLICT (tenant_id, work) DO UPDATE SET leased_until = EXCLUDED.leased_until, token = EXCLUDED.token
     WHERE work_lease.leased_until < now() OR work_lease.leased_until > now() + interval '1 day'
    RETURNING token
    """,
    row=_Token,
)
_RENEW = Query[None](
    """
    UPDATE work_lease SET leased_until = now() + make_interval(secs => %(lease_s)s)
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND work = %(work)s AND token = %(token)s
    """
)
_GIVE_BACK = Query[None](
    """
    DELETE FROM work_lease
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND work = %(work)s AND token = %(token)s
    """
)


@dataclass(frozen=True, slots=True)
class Lease:
    """Held until `leased_until`; `renew` before every long piece of work."""

    database: Database
    tenant_id: TenantId
    work: str
    token: int

    async def renew(self) -> bool:
        """Whether it is still ours."""
        async with self.database.read(self.tenant_id) as connection:
            renewed = await _RENEW.execute(
                connection, tenant_id=self.tenant_id, work=self.work, token=self.token, lease_s=LEASE_S
            )
        return renewed == 1


@asynccontextmanager
async def leased(database: Database, tenant_id: TenantId, work: str) -> AsyncIterator[Lease | None]:
    """The lease until the end of the block; None while somebody else has it."""
    token = secrets.randbits(63)
    async with database.read(tenant_id) as connection:
        taken = await _TAKE.first(connection, tenant_id=tenant_id, work=work, lease_s=LEASE_S, token=token)
    if taken is None:
        yield None
        return
    try:
        yield Lease(database, tenant_id, work, token)
    finally:
        try:
            async with database.read(tenant_id) as connection:
                await _GIVE_BACK.execute(connection, tenant_id=tenant_id, work=work, token=token)
        except StoreUnavailable:
            pass  # it ends by itself
