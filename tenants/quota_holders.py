"""Who is told how full something is: people with a quota, and the administrators of tenants with a pool."""

from dataclasses import dataclass

from psycopg.rows import class_row

from tenants.directory import Connection


@dataclass(frozen=True, slots=True)
class QuotaHolder:
    """An active account with its primary address. `pool_octets`: of its tenant, if it is to be told of that."""

    tenant_id: int
    account_id: int
    local_part: str
    domain: str
    language: str
    time_zone: str
    quota_octets: int | None
    pool_octets: int | None


HOLDERS = """
    SELECT a.tenant_id, a.id AS account_id, p.local_part, d.name AS domain, a.language, a.time_zone, a.quota_octets,
           CASE WHEN a.is_administrator THEN t.quota_octets END AS pool_octets
      FROM account a
      JOIN tenant t ON t.id = a.tenant_id
      JOIN address p ON p.account_id = a.id AND p.is_primary
      JOIN domain d ON d.id = p.domain_id
     WHERE a.id > %(after)s AND a.status = 'active' AND t.status = 'active'
       AND (a.quota_octets IS NOT NULL OR (a.is_administrator AND t.quota_octets IS NOT NULL))
     ORDER BY a.id LIMIT %(limit)s
"""


async def quota_holders(connection: Connection, *, after: int, limit: int) -> list[QuotaHolder]:
    """By ascending account id, on a system connection."""
    async with connection.cursor(row_factory=class_row(QuotaHolder)) as cursor:
        await cursor.execute(HOLDERS, {"after": after, "limit": limit})
        return await cursor.fetchall()
