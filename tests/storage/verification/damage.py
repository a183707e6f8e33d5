"""Damage done to a company's mail, and a look at it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from storage.blobs.layout import SealedChunk
from storage.blobs.objects import ObjectStore
from storage.blobs.packs import SealedContent
from storage.store import MailStore
from storage.tiers.moving import Source, move
from storage.types import BlobDigest
from storage.verification.blob_rows import hot_blobs, hot_chunks
from storage.verification.bucket import Bucket
from storage.verification.findings import Finding, Kind, Report, Tally
from storage.verification.ground import Choice, Ground
from storage.verification.pace import Pace
from storage.verification.progress import Position
from storage.verification.run import verify_tenant
from tenants.types import TenantId


@dataclass(frozen=True, slots=True)
class Looked:
    findings: Sequence[Finding]
    tally: Tally
    positions: Sequence[Position]

    @property
    def kinds(self) -> list[Kind]:
        return [finding.kind for finding in self.findings]


@dataclass(frozen=True, slots=True)
class Damager:
    owner_url: str
    store: MailStore
    tenant_id: TenantId
    bucket: Bucket | None = None

    async def sql(self, statement: str, *values: object) -> list[Any]:
        """By the owner, past everything that guards the tables; {t} is the tenant."""
        async with await psycopg.AsyncConnection.connect(self.owner_url, autocommit=True) as owner:
            cursor = await owner.execute(statement.replace("{t}", str(self.tenant_id)).encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def look(self, *, begin: Position | None = None, **choice: Any) -> Looked:
        findings: list[Finding] = []
        positions: list[Position] = []
        report = Report(findings.append)
        ground = self.ground(report, Choice(**choice))
        await verify_tenant(ground, self.tenant_id, begin=begin, moved=positions.append)
        return Looked(findings, report.tally, positions)

    def ground(self, report: Report, choice: Choice) -> Ground:
        store = self.store
        return Ground(store.database, store.keys, self.bucket, store.announce, choice, report, Pace(None))

    def with_bucket(self, bucket: Bucket) -> "Damager":
        return replace(self, bucket=bucket)


async def go_cold(store: MailStore, objects: ObjectStore, tenant_id: TenantId, *, clear: bool = True) -> int:
    """Move all that is hot into one pack; `clear` what Postgres would keep of it for some weeks. Returns its id."""
    keys = await store.keys.of(tenant_id)
    async with store.database.read(tenant_id) as connection:
        rows = await hot_blobs(connection, tenant_id, b"", b"\xff" * 21, None, 10_000)
        chunks = await hot_chunks(connection, tenant_id, [row.digest for row in rows], 0, 10_000)
    sources = [
        Source(
            SealedContent(
                BlobDigest(row.digest),
                row.octets,
                [SealedChunk(each.key_id, each.codec, each.sealed) for each in chunks[row.digest]],
            ),
            None,
        )
        for row in rows
    ]
    assert (await move(store.database, objects, keys, sources)).blobs == len(rows)
    async with store.database.transaction(tenant_id) as connection:
        if clear:
            await connection.execute("DELETE FROM blob_content")
        found = await (
            await connection.execute("SELECT object_id FROM blob WHERE digest = %s", [rows[0].digest])
        ).fetchone()
    assert found is not None
    return int(found[0])
