"""Somebody whose mail is old enough to go cold."""

from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from storage.blobs.objects import ObjectStore
from storage.keys import TenantKeys
from storage.store import MailStore
from storage.tiers import compaction, promotion, tiering
from storage.tiers.moving import Moved
from tests.conftest import Company, RunningServices, owner_connection
from tests.someone import Someone


@dataclass(frozen=True, slots=True)
class Attic:
    """A person of a fresh tenant, the object store, and what upkeep would do with the tenant's blobs."""

    one: Someone
    objects: ObjectStore
    keys: TenantKeys
    owner: "psycopg.Connection[tuple[Any, ...]]"

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """As the owner, of the tenant: `{t}` is its id."""
        cursor = self.owner.execute(statement.format(t=self.keys.tenant_id).encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def age(self, days: int = 100) -> None:
        """Everything hot of the tenant becomes so old."""
        self.sql(
            """
            UPDATE blob_content c SET content_on = c.content_on - %s FROM blob b
             WHERE c.tenant_id = {t} AND b.tenant_id = c.tenant_id AND b.digest = c.digest AND b.object_id IS NULL
               AND b.content_on = c.content_on
            """,
            days,
        )
        self.sql(
            """
            UPDATE blob SET content_on = content_on - %s, touched_at = touched_at - make_interval(days => %s)
             WHERE tenant_id = {t} AND object_id IS NULL
            """,
            days,
            days,
        )

    async def tier(self, *, cold_after_days: int | None = 30, hot_budget_octets: int | None = None) -> Moved:
        return await tiering.tier(
            self.one.store.database,
            self.objects,
            self.keys,
            cold_after_days=cold_after_days,
            hot_budget_octets=hot_budget_octets,
        )

    async def compact(self) -> Moved:
        return await compaction.compact(self.one.store.database, self.objects, self.keys)

    async def promote(self, within_days: int | None = 7) -> int:
        return await promotion.promote(self.one.store.database, self.objects, self.keys, within_days=within_days)

    def hot_and_cold(self) -> tuple[int, int]:
        """How many blobs of the tenant rest in Postgres, and how many in objects."""
        found = self.sql(
            "SELECT count(*) FILTER (WHERE object_id IS NULL), count(object_id) FROM blob WHERE tenant_id = {t}"
        )
        return found[0][0], found[0][1]


@pytest.fixture
async def attic(services: RunningServices, company: Company, tiered_store: MailStore, objects: ObjectStore) -> "Any":
    who = await company.person()
    with owner_connection(services) as owner:
        owner.autocommit = True
        keys = await tiered_store.keys.of(company.tenant_id)
        yield Attic(Someone(tiered_store, who), objects, keys, owner)
