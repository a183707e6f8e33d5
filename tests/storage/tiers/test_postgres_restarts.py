"""Postgres goes away in the middle of the work and comes back: every message is whole, and the work goes on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local.postgres import Postgres, start_postgres
from storage.blobs.hot import HotBlobs
from storage.blobs.objects import ObjectStore
from storage.blobs.tiered import TieredBlobs
from storage.database import Database, DatabaseConfig
from storage.errors import StoreUnavailable
from storage.key_files import make_master_key
from storage.keys import KeyRing
from storage.store import MailStore
from storage.tiers import doomed
from tests.conftest import RunningServices, new_company, owner_connection
from tests.someone import Someone
from tests.storage.tiers.conftest import Attic, Steps
from tests.storage.tiers.test_compaction import filled, forget
from tests.storage.tiers.test_faults import MOVING, received, whole


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One that nobody else uses."""
    running = start_postgres(tmp_path_factory.mktemp("restarts"), durable=False)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def services(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> RunningServices:
    secrets: Path = tmp_path_factory.mktemp("secrets")
    make_master_key(secrets)
    urls = postgres.urls()
    services = RunningServices(urls.owner, urls.app, urls.system, "", secrets)
    migrated = services.manage("migrate", "--verbosity", "0")
    assert migrated.returncode == 0, migrated.stderr
    return services


@pytest.fixture
async def attic(services: RunningServices, objects: ObjectStore) -> AsyncIterator[Attic]:
    database = Database(DatabaseConfig(services.app_url, services.system_url, max_connections=4))
    await database.open()
    who = await (await new_company(services, database)).person()
    store = MailStore(database, KeyRing(services.secrets, database), TieredBlobs(HotBlobs(), objects), lambda *_: None)
    with owner_connection(services) as owner:
        owner.autocommit = True
        yield Attic(Someone(store, who), objects, await store.keys.of(who.tenant_id), owner, services.secrets)
    await database.close()


@contextlib.asynccontextmanager
async def back(attic: Attic, postgres: Postgres, services: RunningServices) -> AsyncIterator[Attic]:
    """Postgres runs again; whoever held a lease is taken for dead."""
    await asyncio.to_thread(postgres.start)
    with owner_connection(services) as owner:
        owner.autocommit = True
        again = replace(attic, owner=owner)
        again.sql("UPDATE work_lease SET leased_until = now() - interval '1 second' WHERE tenant_id = {t}")
        yield again


def goes_away_at(steps: Steps, step: str, postgres: Postgres) -> None:
    def go(reached: str) -> None:
        if reached == step:
            steps.does = None
            postgres.stop()

    steps.does = go


@pytest.mark.parametrize("step", ["tiering: chosen", *MOVING])
async def test_tiering_goes_on_when_postgres_is_back(
    attic: Attic, postgres: Postgres, services: RunningServices, steps_of_work: Steps, step: str
) -> None:
    expected = await received(attic)
    goes_away_at(steps_of_work, step, postgres)
    with pytest.raises(StoreUnavailable):
        await attic.tier()
    async with back(attic, postgres, services) as again:
        await whole(again, expected)
        await again.tier()
        assert again.hot_and_cold() == (0, 10)
        await whole(again, expected)


@pytest.mark.parametrize("step", ["compaction: read", "moving: written", "moving: moved"])
async def test_compaction_and_deleting_go_on_when_postgres_is_back(
    attic: Attic, postgres: Postgres, services: RunningServices, steps_of_work: Steps, step: str
) -> None:
    expected = await filled(attic)
    await forget(attic, list(range(1, 13)))
    goes_away_at(steps_of_work, step, postgres)
    with pytest.raises(StoreUnavailable):
        await attic.compact()
    async with back(attic, postgres, services) as again:
        await whole(again, expected[12:])
        await again.compact()
        goes_away_at(steps_of_work, "doomed: deleted", postgres)
        arguments = (again.one.store.database, again.objects, again.keys.tenant_id)
        with pytest.raises(StoreUnavailable):
            await doomed.delete_doomed(*arguments, kept_s=0)
    async with back(attic, postgres, services) as again:
        assert await doomed.delete_doomed(*arguments, kept_s=0) == 1
        await whole(again, expected[12:])
