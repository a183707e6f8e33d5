"""What mail took in each tier, day by day: for plots and tables. Written by `usage_measuring`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from storage.database import Database
from storage.query import Query
from tenants.types import AccountId, TenantId

WHOLE_TENANT = AccountId(0)


@dataclass(frozen=True, slots=True)
class UsagePoint:
    """One day of an account or a tenant. `octets` are those of its messages as clients see them, the others what they
    take: sealed content hot in Postgres, cold in packs, large parts in objects of their own, and the rows of messages.

    `dead_octets`, of tenants alone: in objects, but not used any more (waiting for compaction or for deletion).
    """

    account_id: int
    day: date
    messages: int
    octets: int
    hot_octets: int
    cold_octets: int
    part_octets: int
    dead_octets: int
    row_octets: int

    @property
    def stored_octets(self) -> int:
        """All that it takes."""
        return self.hot_octets + self.cold_octets + self.part_octets + self.dead_octets + self.row_octets


_SERIES = Query(
    """
    SELECT t.account_id, t.day, t.messages, t.octets, t.hot_octets, t.cold_octets, t.part_octets, t.dead_octets,
           t.row_octets
      FROM tier_usage t
     WHERE t.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND t.account_id = %(account_id)s
       AND t.day BETWEEN %(since)s AND %(until)s
     ORDER BY t.day
    """,
    row=UsagePoint,
)
_LARGEST = Query(
    """
    SELECT t.account_id, t.day, t.messages, t.octets, t.hot_octets, t.cold_octets, t.part_octets, t.dead_octets,
           t.row_octets
      FROM tier_usage t
     WHERE t.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND t.day = %(day)s AND t.account_id <> 0
     ORDER BY t.octets DESC, t.account_id LIMIT %(limit)s
    """,
    row=UsagePoint,
)


async def usage_series(
    database: Database, tenant_id: TenantId, account_id: AccountId | None, since: date, until: date
) -> Sequence[UsagePoint]:
    """The days from `since` to `until`, both included, of an account or (None) of the whole tenant.

    Daily for about three months, Mondays for two years. A day on which nobody measured is missing.
    """
    async with database.read(tenant_id) as connection:
        return await _SERIES.all(
            connection,
            tenant_id=tenant_id,
            account_id=WHOLE_TENANT if account_id is None else account_id,
            since=since,
            until=until,
        )


async def largest_accounts(database: Database, tenant_id: TenantId, day: date, limit: int) -> Sequence[UsagePoint]:
    """Accounts that were measured on that day, those with most mail first."""
    async with database.read(tenant_id) as connection:
        return await _LARGEST.all(connection, tenant_id=tenant_id, day=day, limit=limit)
