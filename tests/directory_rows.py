"""Rows of the directory for companies and people of tests, who otherwise are known to the mail store only."""

from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from tenants.types import Principal, TenantId
from tests.conftest import RunningServices

_HASH = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"


@dataclass(frozen=True, slots=True)
class Directory:
    """Written as the owner, straight into the tables."""

    services: RunningServices

    def tenant(self, tenant_id: TenantId, **columns: object) -> None:
        """Make the tenant, or change it."""
        made: dict[str, object] = {"slug": f"t{tenant_id}.test", "name": "Company", "status": "active", "cell": "main"}
        made |= {"language": "en", "time_zone": "UTC"}
        self._put("tenant", {"id": tenant_id}, made, columns)

    def account(self, who: Principal, **columns: object) -> None:
        """Make the account, or change it. Its tenant is there already."""
        made: dict[str, object] = {"display_name": who.display_name, "password_hash": _HASH, "is_administrator": False}
        made |= {"language": who.language, "time_zone": "UTC", "status": "active", "quota_octets": who.quota_octets}
        made |= {"tenant_id": who.tenant_id}
        self._put("account", {"id": who.account_id}, made, columns)

    def address(self, who: Principal) -> None:
        """Their primary one, in a domain of its own."""
        self.run(
            """
            WITH made AS (
                INSERT INTO domain (tenant_id, name, status) VALUES (%(tenant)s, %(domain)s, 'active') RETURNING id)
            INSERT INTO address (tenant_id, domain_id, local_part, account_id, is_primary)
            SELECT %(tenant)s, id, %(local_part)s, %(account)s, true FROM made
            """,
            tenant=who.tenant_id,
            domain=f"{who.address.local_part}.test",
            local_part=who.address.local_part,
            account=who.account_id,
        )

    def rule(self, tenant_id: TenantId, folder: str, days: int, action: str, who: Principal | None = None) -> None:
        with psycopg.connect(self.services.owner_url) as owner:
            owner.execute(
                "INSERT INTO retention_rule (tenant_id, account_id, folder, days, action) VALUES (%s, %s, %s, %s, %s)",
                (tenant_id, who.account_id if who else None, folder, days, action),
            )

    def run(self, statement: LiteralString, **values: object) -> list[tuple[Any, ...]]:
        """As the owner, who sees every tenant."""
        with psycopg.connect(self.services.owner_url) as owner:
            cursor = owner.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def _put(self, table: str, key: dict[str, int], made: dict[str, object], columns: dict[str, object]) -> None:
        row = {**key, **made, **columns}
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT (id) DO UPDATE SET {}").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(map(sql.Placeholder, row)),
            sql.SQL(", ").join(
                sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in (columns or {"id": 0})
            ),
        )
        with psycopg.connect(self.services.owner_url) as owner:
            owner.execute(statement, row)
