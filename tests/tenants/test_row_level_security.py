"""What each database role can see and do in the directory's tables."""

from typing import Any

import psycopg
import pytest
from psycopg.errors import CheckViolation, ForeignKeyViolation, InsufficientPrivilege

from tenants import services as administration
from tenants.models import Account, Tenant
from tests.conftest import RunningServices
from tests.tenants.conftest import PASSWORD

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
TABLES = ("tenant", "domain", "account", "address")


async def _count(connection: Connection, table: str) -> int:
    row = await (await connection.execute(f"SELECT count(*) FROM {table}".encode())).fetchone()  # noqa: S608
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("table", TABLES)
async def test_the_application_sees_nothing_without_a_tenant(app: Connection, ann: Account, table: str) -> None:
    assert await _count(app, table) == 0


@pytest.mark.parametrize("table", TABLES)
async def test_the_application_sees_its_tenant_and_no_other(app: Connection, ann: Account, table: str) -> None:
    await app.execute("SELECT set_config('waypost.tenant', %s, false)", (str(ann.tenant_id),))
    assert await _count(app, table) == 1


@pytest.mark.parametrize("table", TABLES)
async def test_the_application_writes_nothing_here(app: Connection, ann: Account, table: str) -> None:
    await app.execute("SELECT set_config('waypost.tenant', %s, false)", (str(ann.tenant_id),))
    with pytest.raises(InsufficientPrivilege):
        await app.execute(f"DELETE FROM {table}".encode())  # noqa: S608


@pytest.mark.parametrize("role", ["app", "system"])
async def test_nobody_but_the_owner_reads_password_hashes_from_the_table(
    services: RunningServices, ann: Account, role: str
) -> None:
    url = {"app": services.app_url, "system": services.system_url}[role]
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        with pytest.raises(InsufficientPrivilege):
            await connection.execute("SELECT password_hash FROM account")


async def test_the_system_role_sees_all_tenants_and_signs_nobody_in(system: Connection, ann: Account) -> None:
    assert await _count(system, "tenant") >= 1
    with pytest.raises(InsufficientPrivilege):
        await system.execute("SELECT * FROM directory_login_v1('ann', 'demo.test')")


@pytest.mark.parametrize("table", TABLES)
async def test_row_level_security_is_forced(system: Connection, table: str) -> None:
    cursor = await system.execute(
        "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::regclass", (table,)
    )
    assert await cursor.fetchone() == (True, True)


async def test_the_directory_functions_fix_their_search_path(system: Connection) -> None:
    cursor = await system.execute(
        "SELECT proname, prosecdef, proconfig FROM pg_proc WHERE proname LIKE 'directory\\_%%' ORDER BY proname", ()
    )
    functions = await cursor.fetchall()
    assert len(functions) == 28
    assert {(is_definer, tuple(settings)) for _, is_definer, settings in functions} == {
        (True, ("search_path=pg_catalog, public, pg_temp",))
    }


@pytest.fixture
def other(orm: None, tenant: Tenant) -> Account:
    domain = f"other-{tenant.slug}"
    administration.add_tenant(domain)
    return administration.add_account(f"bob@{domain}", password=PASSWORD)


def test_an_address_cannot_join_two_tenants(services: RunningServices, ann: Account, other: Account) -> None:
    domain_id = other.addresses.get().domain_id
    with psycopg.connect(services.owner_url) as owner, pytest.raises(ForeignKeyViolation):
        owner.execute(
            "INSERT INTO address (tenant_id, domain_id, local_part, account_id, is_primary)"
            " VALUES (%s, %s, %s, %s, false)",
            (ann.tenant_id, domain_id, "stray", ann.pk),
        )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE account SET quota_octets = 0",
        "UPDATE account SET password_hash = 'plain'",
        "UPDATE account SET status = 'gone'",
        "UPDATE account SET language = 'not a tag'",
        "UPDATE tenant SET slug = 'Demo Test'",
        "UPDATE domain SET name = 'Demo.test'",
        "UPDATE domain SET name = '例子.测试'",
        "UPDATE address SET local_part = 'ann+x'",
        "UPDATE address SET local_part = ''",
    ],
)
def test_the_database_itself_refuses_what_cannot_be(services: RunningServices, ann: Account, statement: str) -> None:
    with psycopg.connect(services.owner_url) as owner, pytest.raises(CheckViolation):
        owner.execute(statement.encode())
