"""A company comes back from its archive in an installation that has never heard of it."""

import shutil
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from storage import steps
from storage.archive.files import Archive
from storage.archive.format import ArchiveUnusable
from storage.archive.restoring_tenant import RestoredTenant, TenantThere, restore_tenant
from storage.archive.tables import LEFT_OUT, TABLES, Table
from storage.blobs.hot import HotBlobs
from storage.blobs.tiered import TieredBlobs
from storage.database import Database, DatabaseConfig
from storage.errors import KeyUnusable
from storage.keys import KeyRing
from storage.store import MailStore
from tests.conftest import RunningServices, owner_connection, plain_message, running_services
from tests.someone import Someone
from tests.storage.archive.conftest import Join, Office
from tests.storage.archive.pictures import pictures
from tests.storage.tiers.conftest import Interrupted, Steps


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServices]:
    """Another installation, empty, with its own master key."""
    with running_services(tmp_path_factory.mktemp("elsewhere")) as running:
        yield running


@pytest.fixture
async def store_there(elsewhere: RunningServices) -> AsyncIterator[MailStore]:
    database = Database(DatabaseConfig(app_url=elsewhere.app_url, system_url=elsewhere.system_url))
    yield MailStore(database, KeyRing(elsewhere.secrets, database), TieredBlobs(HotBlobs()), lambda *_: None)
    await database.close()


def bring_keys(office: Office, elsewhere: RunningServices) -> None:
    """The master key and the tenant's key file, out of the safe."""
    name = f"{office.attic.keys.tenant_id}.key"
    (elsewhere.secrets / "tenants").mkdir(exist_ok=True, mode=0o700)
    shutil.copy(office.services.secrets / "master.key", elsewhere.secrets / "master.key")
    shutil.copy(office.services.secrets / "tenants" / name, elsewhere.secrets / "tenants" / name)


def rows(services: RunningServices, table: Table, tenant_id: int) -> list[object]:
    with owner_connection(services) as owner:
        query = f"SELECT row_to_json(t) FROM {table.name} t WHERE {table.tenant_column} = %s ORDER BY {table.key}"  # noqa: S608
        return [row for (row,) in owner.execute(query.encode(), [tenant_id])]


async def restore(archive: Archive, elsewhere: RunningServices) -> RestoredTenant:
    return await restore_tenant(archive, elsewhere.owner_url, elsewhere.secrets)


async def test_everybody_and_everything_is_there_again(
    filled: Office, colleague: Join, elsewhere: RunningServices, store_there: MailStore
) -> None:
    bob = await colleague()
    await bob.append("INBOX", plain_message(7))
    ann = filled.one
    before, bobs = await pictures(ann), await pictures(bob)
    used = await ann.usage()
    archive = await filled.archive(whole_tenant=True)
    bring_keys(filled, elsewhere)
    told = await restore(archive, elsewhere)
    assert (told.accounts, told.messages, told.lost) == (2, archive.manifest.counts["message"], 0)

    there = Someone(store_there, ann.who)
    after = await pictures(there)
    assert {name: each.messages for name, each in after.items()} == {
        name: each.messages for name, each in before.items()
    }
    assert all(after[name].uidvalidity != before[name].uidvalidity for name in before)
    assert (await pictures(Someone(store_there, bob.who)))["INBOX"].messages == bobs["INBOX"].messages
    assert await there.usage() == used

    with owner_connection(elsewhere) as owner:
        assert owner.execute("SELECT slug FROM tenant").fetchall() == [
            (filled.person.address.split("@")[1].replace(".", "-"),)
        ]
        addresses = owner.execute(
            "SELECT a.local_part || '@' || d.name FROM address a JOIN domain d ON d.id = a.domain_id"
        ).fetchall()
        assert addresses == [(filled.person.address,)]

    for table in TABLES:
        if table.name not in ("account_state", "mailbox", "placement"):  # their numbers have leapt
            assert rows(filled.services, table, told.tenant_id) == rows(elsewhere, table, told.tenant_id), table.name

    placed = await there.receive(plain_message(500))
    assert placed.message_id > max(each[0] for picture in before.values() for each in picture.messages.values()) + 2**32
    assert placed.uid == before["INBOX"].uidnext

    with pytest.raises(TenantThere):
        await restore(archive, elsewhere)


async def test_a_restore_that_is_interrupted_leaves_no_tenant_and_can_be_done_again(
    filled: Office, elsewhere: RunningServices, store_there: MailStore
) -> None:
    before = await pictures(filled.one)
    archive = await filled.archive(whole_tenant=True)
    bring_keys(filled, elsewhere)
    for step in ("archive: some content is there", "archive: rows are there"):
        steps.listener = Steps([], ends_at=step)
        try:
            with pytest.raises(Interrupted):
                await restore(archive, elsewhere)
        finally:
            steps.listener = None
        with owner_connection(elsewhere) as owner:
            found = owner.execute("SELECT FROM message WHERE tenant_id = %s", [archive.manifest.tenant_id])
            assert found.rowcount == 0
    await restore(archive, elsewhere)
    after = await pictures(Someone(store_there, filled.one.who))
    assert {name: each.messages for name, each in after.items()} == {
        name: each.messages for name, each in before.items()
    }


async def test_without_the_tenants_key_nothing_is_written(filled: Office, elsewhere: RunningServices) -> None:
    archive = await filled.archive(whole_tenant=True)
    with pytest.raises(KeyUnusable):
        await restore(archive, elsewhere)
    with owner_connection(elsewhere) as owner:
        assert owner.execute("SELECT FROM blob WHERE tenant_id = %s", [archive.manifest.tenant_id]).rowcount == 0


async def test_a_domain_that_is_somebody_elses_there_is_told(filled: Office, elsewhere: RunningServices) -> None:
    archive = await filled.archive(whole_tenant=True)
    bring_keys(filled, elsewhere)
    domain = filled.person.address.split("@")[1]
    with owner_connection(elsewhere) as owner:
        owner.execute(
            "INSERT INTO tenant (id, slug, name, status, cell, language, time_zone)"
            " VALUES (900000, 'other', 'Other', 'active', 'main', 'en', 'UTC')"
        )
        owner.execute("INSERT INTO domain (tenant_id, name, status) VALUES (900000, %s, 'active')", [domain])
    with pytest.raises(TenantThere, match=domain):
        await restore(archive, elsewhere)


async def test_an_archive_of_a_mailbox_is_no_tenants(filled: Office, elsewhere: RunningServices) -> None:
    with pytest.raises(ArchiveUnusable):
        await restore(await filled.archive(), elsewhere)
    with pytest.raises(ArchiveUnusable):
        await filled.restore(await filled.archive(whole_tenant=True, name="tenant"))


def test_every_table_with_a_tenant_is_archived_or_left_out_for_a_reason(services: RunningServices) -> None:
    """A new table has to be thought of."""
    with psycopg.connect(services.owner_url) as owner:
        found = owner.execute(
            """
            SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
             WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
               AND a.attname = 'tenant_id' AND NOT a.attisdropped
            """
        ).fetchall()
    assert {name for (name,) in found} | {"tenant"} == {table.name for table in TABLES} | LEFT_OUT.keys()
