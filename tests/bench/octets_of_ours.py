"""What messages take in PostgreSQL, table by table, and in S3: hot as delivered, and cold after upkeep's own work."""

import asyncio
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import psycopg

from deploy.local.objects import start_objects
from mailserver.services.delivery import Deliveries
from storage.blobs.hot import HotBlobs
from storage.blobs.objects import ObjectStore
from storage.blobs.tiered import TieredBlobs
from storage.change_retention import cut_changes
from storage.database import Database, DatabaseConfig
from storage.keys import KeyRing
from storage.parts.homes import PartStore
from storage.store import MailStore
from storage.tiers import tiering
from storage.tiers.weeks import drop_idle
from tenants.types import Recipient
from tests.conftest import as_recipient, new_company, objects_config, running_services

KEPT_CHANGES_DAYS = 60
_AGE_DAYS = 112
_AT_ONCE = 16
_SLICES = 10

_TABLES = """
    SELECT coalesce(parent.relname, t.relname), pg_relation_size(t.oid),
           pg_table_size(t.oid) - pg_relation_size(t.oid), pg_indexes_size(t.oid)
      FROM pg_class t
      LEFT JOIN pg_inherits i ON i.inhrelid = t.oid
      LEFT JOIN pg_class parent ON parent.oid = i.inhparent
     WHERE t.relnamespace = 'public'::regnamespace AND t.relkind = 'r'
"""
_OLDER = """
    UPDATE change SET logged_on = logged_on - {days} WHERE tenant_id = {tenant};
    UPDATE blob_content SET content_on = content_on - {days} WHERE tenant_id = {tenant};
    UPDATE blob SET content_on = content_on - {days}, touched_at = touched_at - interval '{days} days'
     WHERE tenant_id = {tenant} AND object_id IS NULL;
"""


@dataclass(frozen=True, slots=True)
class Table:
    """Octets: of the rows, of what lies beside them (TOAST, maps of free space), of the indexes."""

    rows: int = 0
    beside: int = 0
    indexes: int = 0

    @property
    def total(self) -> int:
        return self.rows + self.beside + self.indexes

    def __add__(self, other: "Table") -> "Table":
        return Table(self.rows + other.rows, self.beside + other.beside, self.indexes + other.indexes)

    def __sub__(self, other: "Table") -> "Table":
        return Table(self.rows - other.rows, self.beside - other.beside, self.indexes - other.indexes)


Tables = dict[str, Table]


@dataclass(frozen=True, slots=True)
class Stored:
    tables: Tables
    objects: int

    @property
    def octets(self) -> int:
        return sum(table.total for table in self.tables.values()) + self.objects


@dataclass(frozen=True, slots=True)
class Measured:
    hot: Stored
    cold: Stored


class Ours:
    """An installation of its own."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> "Ours":
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="waypost-octets-")))
        directory.chmod(0o755)
        self._services = self._stack.enter_context(running_services(directory / "services"))
        s3 = start_objects(directory / "s3")
        self._stack.callback(s3.stop)
        self._access = s3.access()
        self._owner = self._stack.enter_context(psycopg.connect(self._services.owner_url, autocommit=True))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    async def measure(self, corpus: Iterable[bytes]) -> Measured:
        database = Database(DatabaseConfig(self._services.app_url, system_url=self._services.system_url))
        await database.open()
        config = objects_config(self._access)
        objects = ObjectStore(config)
        await objects.prepare()
        parts = PartStore(database, objects, waiting_octets=config.waiting_octets)
        try:
            keys = KeyRing(self._services.secrets, database)
            store = MailStore(database, keys, TieredBlobs(HotBlobs(), objects), lambda *_: None, parts=parts)
            return await self._measure(store, objects, corpus)
        finally:
            await parts.close()
            await objects.close()
            await database.close()

    async def _measure(self, store: MailStore, objects: ObjectStore, corpus: Iterable[bytes]) -> Measured:
        company = await new_company(self._services, store.database)
        self._tidy()
        before = self._tables()
        await _deliver(store, as_recipient(await company.person()), corpus)
        self._tidy()
        hot = self._stored(before, company.tenant_id)
        self._make_older(company.tenant_id)
        keys = await store.keys.of(company.tenant_id)
        octets = (await tiering.hot(store.database, company.tenant_id)).octets
        for left in reversed(
            range(_SLICES)
        ):  # a bit of it every day, and the room that the old rows took is used again
            await tiering.tier(
                store.database, objects, keys, cold_after_days=None, hot_budget_octets=octets * left // _SLICES
            )
            self._tidy()
        await drop_idle(store.database, quiet_s=0)
        await drop_idle(store.database, quiet_s=0)
        await cut_changes(store.database, keep_days=KEPT_CHANGES_DAYS)
        self._tidy()
        return Measured(hot, self._stored(before, company.tenant_id))

    def _make_older(self, tenant_id: int) -> None:
        """As if it had been delivered that long ago, in rows as dense as they were then."""
        then = (datetime.now(UTC) - timedelta(days=_AGE_DAYS)).date()
        self._owner.execute("SELECT make_week_partitions_v1(%s, 1)", [then])
        self._owner.execute(_OLDER.format(days=_AGE_DAYS, tenant=tenant_id).encode())
        self._owner.execute("VACUUM FULL blob, blob_content, change")

    def _tidy(self) -> None:
        """As autovacuum would soon."""
        self._owner.execute("VACUUM ANALYZE")

    def _tables(self) -> Tables:
        tables: Tables = {}
        for name, *sizes in self._owner.execute(_TABLES):
            tables[name] = tables.get(name, Table()) + Table(*sizes)
        return tables

    def _stored(self, before: Tables, tenant_id: int) -> Stored:
        tables = {name: table - before.get(name, Table()) for name, table in self._tables().items()}
        row = self._owner.execute(
            "SELECT coalesce(sum(octets), 0)::bigint FROM object WHERE tenant_id = %s AND state = 1", [tenant_id]
        ).fetchone()
        assert row is not None
        return Stored({name: table for name, table in tables.items() if table.total}, row[0])


async def _deliver(store: MailStore, recipient: Recipient, corpus: Iterable[bytes]) -> None:
    deliveries = Deliveries(store)
    now = datetime.now(UTC)
    for some in batched(corpus, _AT_ONCE):
        await asyncio.gather(
            *(deliveries.deliver(octets, [recipient], reverse_path="", received_at=now) for octets in some)
        )


def batched(corpus: Iterable[bytes], count: int) -> Iterator[list[bytes]]:
    rest = iter(corpus)
    while some := list(islice(rest, count)):
        yield some
