"""Somebody whose mail is old enough to go cold."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from storage import steps
from storage.blobs.objects import ObjectStore
from storage.blobs.tiered import object_name
from storage.key_rotation import rotate_data_key
from storage.keys import TenantKeys
from storage.store import MailStore
from storage.tiers import compaction, promotion, tiering
from storage.tiers.moving import Moved
from storage.types import BlobDigest
from tests.conftest import Company, RunningServices, owner_connection
from tests.someone import Someone


@dataclass(frozen=True, slots=True)
class Attic:
    """A person of a fresh tenant, the object store, and what upkeep would do with the tenant's blobs."""

    one: Someone
    objects: ObjectStore
    keys: TenantKeys
    owner: "psycopg.Connection[tuple[Any, ...]]"
    secrets: Path

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """As the owner, of the tenant: `{t}` is its id."""
        cursor = self.owner.execute(statement.format(t=self.keys.tenant_id).encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def age(self, days: int = 100) -> None:
        """Everything hot of the tenant becomes so old, and copies of what was cold between are gone."""
        self.sql(
            """
            DELETE FROM blob_content c USING blob b
             WHERE c.tenant_id = {t} AND b.tenant_id = c.tenant_id AND b.digest = c.digest AND b.object_id IS NULL
               AND b.content_on <> c.content_on
            """
        )
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

    async def with_new_key(self) -> TenantKeys:
        """The tenant's keys after a rotation that everybody has heard of."""
        rotate_data_key(self.secrets, self.owner, self.keys.tenant_id)
        self.sql("UPDATE data_key SET created_at = created_at - interval '1 day' WHERE tenant_id = {t}")
        self.one.store.keys.forget(self.keys.tenant_id)
        return await self.one.store.keys.of(self.keys.tenant_id)

    def with_keys(self, keys: TenantKeys) -> "Attic":
        return replace(self, keys=keys)

    async def flip_a_bit_in_the_first_live_blob(self) -> BlobDigest:
        """In the pack, where it stands."""
        ((digest, object_id, offset, stored, octets),) = self.sql(
            """
            SELECT b.digest, b.object_id, b.object_offset, b.stored_octets, o.octets
              FROM blob b JOIN object o ON o.tenant_id = b.tenant_id AND o.id = b.object_id
             WHERE b.tenant_id = {t} ORDER BY b.object_offset LIMIT 1
            """
        )
        name = object_name(self.keys.tenant_id, object_id)
        kept = bytearray(await self.objects.get(name, 0, octets))
        kept[offset + stored // 2] ^= 1
        await self.objects.put(name, kept)
        return BlobDigest(digest)

    def week(self, days: int) -> str:
        """The partition of so many days ago."""
        ((name,),) = self.sql(
            "SELECT 'blob_content_' || to_char(date_trunc('week', CURRENT_DATE - %s::integer), 'YYYYMMDD')", days
        )
        return str(name)

    def make_week(self, days: int) -> None:
        """A partition of content so long ago; the one of the log that comes with it is of no use here."""
        self.sql("SELECT make_week_partitions_v1(CURRENT_DATE - %s::integer, 1)", days)
        self.sql(f"DROP TABLE IF EXISTS {self.week(days).replace('blob_content', 'change')}")

    def drop_old_weeks(self) -> None:
        """No copies in Postgres of what is cold."""
        self.sql(
            """
            DELETE FROM blob_content c USING blob b
             WHERE c.tenant_id = {t} AND b.tenant_id = c.tenant_id AND b.digest = c.digest AND b.object_id IS NOT NULL
            """
        )

    def hot_and_cold(self) -> tuple[int, int]:
        """How many blobs of the tenant rest in Postgres, and how many in objects."""
        found = self.sql(
            "SELECT count(*) FILTER (WHERE object_id IS NULL), count(object_id) FROM blob WHERE tenant_id = {t}"
        )
        return found[0][0], found[0][1]


@pytest.fixture
async def attic(
    services: RunningServices, company: Company, tiered_store: MailStore, objects: ObjectStore
) -> AsyncIterator[Attic]:
    who = await company.person()
    with owner_connection(services) as owner:
        owner.autocommit = True
        keys = await tiered_store.keys.of(company.tenant_id)
        yield Attic(Someone(tiered_store, who), objects, keys, owner, services.secrets)


class Interrupted(Exception):
    """Work ended at a step."""


@dataclass(slots=True)
class Steps:
    """Notes the steps that work reaches; ends it at one, or does something there, if told."""

    seen: list[str]
    ends_at: str | None = None
    does: Callable[[str], None] | None = None

    def __call__(self, step: str) -> None:
        self.seen.append(step)
        if self.does is not None:
            self.does(step)
        if step == self.ends_at:
            raise Interrupted(step)


@pytest.fixture
def steps_of_work() -> Iterator[Steps]:
    noted = Steps([])
    steps.listener = noted
    yield noted
    steps.listener = None
