"""Somebody who gets large attachments, in a tenant of their own, with an S3 that has bad days."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from deploy.local.objects import ObjectAccess
from storage.blobs.breaker import BreakerState
from storage.blobs.hot import HotBlobs
from storage.blobs.objects import ObjectsConfig, ObjectStore
from storage.blobs.tiered import TieredBlobs
from storage.keys import TenantKeys
from storage.parts.homes import PartStore
from storage.parts.moving_waiting import move_waiting
from storage.parts.waiting_room import waiting
from storage.store import MailStore
from storage.tiers.doomed import doom_abandoned
from storage.types import BlobDigest
from tests.conftest import Company, RunningServices, objects_config
from tests.letters import TEXT, attachment, lines_of, multipart
from tests.someone import ADD, DELETED, Someone
from tests.storage.blobs.faulty_proxy import FaultyProxy

LIVE, DOOMED = 1, 2


def letter(octets: bytes, *, number: int = 1) -> bytes:
    """A message with this attachment."""
    return multipart(TEXT, attachment(lines_of(octets, 76, ends=True)), subject=f"Letter {number}")


@dataclass(frozen=True, slots=True)
class Desk:
    """`objects` speaks to S3 through `proxy`, and gives up soon."""

    one: Someone
    keys: TenantKeys
    objects: ObjectStore
    objects_config: ObjectsConfig
    proxy: FaultyProxy
    tenant: "psycopg.Connection[tuple[Any, ...]]"

    @property
    def store(self) -> MailStore:
        return self.one.store

    async def with_room(self, more_octets: int) -> "Desk":
        """The same, where so much more may wait in Postgres than does now, of whatever tenants."""
        now = await waiting(self.store.database)
        parts = PartStore(self.store.database, self.objects, waiting_octets=now.octets + more_octets)
        return replace(self, one=replace(self.one, store=replace(self.store, parts=parts)))

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """As the application, of the tenant: `{t}` is its id."""
        cursor = self.tenant.execute(statement.format(t=self.keys.tenant_id).encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def blobs(self) -> list[tuple[int, str]]:
        """How long each blob is and where it rests: `hot`, `waiting` or `part`."""
        return [
            (octets, where)
            for octets, where in self.sql(
                """
                SELECT b.octets, CASE WHEN o.kind = 2 AND o.state = 1 THEN 'part'
                                      WHEN b.object_id IS NOT NULL THEN 'lost'
                                      WHEN b.is_waiting THEN 'waiting' ELSE 'hot' END
                  FROM blob b LEFT JOIN object o ON o.tenant_id = b.tenant_id AND o.id = b.object_id
                 WHERE b.tenant_id = {t} ORDER BY b.octets
                """
            )
        ]

    def objects_in(self, state: int) -> int:
        return int(self.sql("SELECT count(*) FROM object WHERE tenant_id = {t} AND state = %s", state)[0][0])

    def forget_hot_copies(self) -> None:
        """So that what is read of a part comes from S3."""
        self.sql(
            """
            DELETE FROM blob_content c USING blob b
             WHERE c.tenant_id = {t} AND b.tenant_id = c.tenant_id AND b.digest = c.digest AND b.object_id IS NOT NULL
            """
        )

    def collect_now(self) -> int:
        """Everything that no message uses goes, however lately it was claimed: as if a day had passed."""
        return int(
            self.sql("SELECT delete_blobs_v1({t}, (SELECT array_agg(digest) FROM blob WHERE tenant_id = {t}), -1)")[0][
                0
            ]
            or 0
        )

    def give_up_uploads_now(self) -> None:
        """As the sweep does a day later."""
        self.sql("UPDATE object SET state = 2, doomed_at = now() WHERE tenant_id = {t} AND state = 0")

    async def collect(self) -> int:
        async with self.store.database.read(self.keys.tenant_id) as connection:
            digests = [BlobDigest(row[0]) for row in self.sql("SELECT digest FROM blob WHERE tenant_id = {t}")]
            return await HotBlobs(grace_s=-1).delete(connection, self.keys, digests)

    async def give_up_uploads(self) -> int:
        return await doom_abandoned(self.store.database, self.keys.tenant_id, after_s=-1)

    async def move_waiting(self) -> list[BlobDigest]:
        """Of all tenants. Returns which of this one are damaged."""
        moved = await move_waiting(self.store.database, self.objects, self.store.keys)
        return [digest for tenant_id, digest in moved.damaged if tenant_id == self.keys.tenant_id]

    async def until_s3_answers(self) -> None:
        self.proxy.heal()
        while self.objects.breaker is not BreakerState.CLOSED:
            await asyncio.sleep(0)
            if self.objects.breaker is BreakerState.HALF_OPEN:
                await self.objects.look()

    async def throw_away(self, name: str = "INBOX") -> None:
        """Every message of the mailbox, for good."""
        uids = await self.one.uids(name)
        if uids:
            await self.one.flag(name, uids, ADD, DELETED)
            await self.one.expunge(name)
        await self.one.empty_bin()


@asynccontextmanager
async def open_desk(
    services: RunningServices, company: Company, store: MailStore, s3: ObjectAccess
) -> AsyncIterator[Desk]:
    who = await company.person()
    with (
        FaultyProxy(s3.url) as proxy,
        psycopg.connect(services.app_url, autocommit=True) as tenant,
    ):
        tenant.execute("SELECT set_config('waypost.tenant', %s, false)", (str(company.tenant_id),))
        config = replace(
            objects_config(s3), url=proxy.url, read_timeout_s=2.0, attempts=2, breaker_failures=3, breaker_rest_s=0.2
        )
        objects = ObjectStore(config)
        parts = PartStore(store.database, objects, waiting_octets=100_000_000)
        with_parts = replace(store, blobs=TieredBlobs(HotBlobs(), objects), parts=parts)
        keys = await store.keys.of(company.tenant_id)
        yield Desk(Someone(with_parts, who), keys, objects, config, proxy, tenant)
        proxy.heal()
        await parts.close()
        await objects.close()
