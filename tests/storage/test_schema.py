"""Every statement against the migrated schema: columns, types, plans, privileges, row-level security (DESIGN §§2-3)."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import date, datetime
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import psycopg
import pytest
from psycopg.pq import ExecStatus

from storage.query import Query
from storage.tiers import compaction, tiering
from tests.conftest import RunningServices
from tests.storage.statements import STATEMENTS, numbered, parameters, title

SYSTEM_TABLES = {  # of no tenant
    "inbound",
    "inbound_content",
    "orphan_object",
    "clock_seen",
    "idle_week",
    "shredding",
    "oauth_client",
}
DIRECTORY_TABLES = {
    "tenant",
    "domain",
    "account",
    "address",
    "mail_group",
    "group_member",
    "forwarding",
    "app_password",
    "retention_rule",
    "web_session",
    "totp",
    "recovery_code",
    "passkey",
    "oauth_grant",
    "bearer_token",
}
TYPES: dict[str, Any] = {
    "bool": bool,
    "int2": int,
    "int4": int,
    "int8": int,
    "float8": float,
    "text": str,
    "bytea": bytes,
    "timestamptz": datetime,
    "date": date,
    "_int2": list[int],
    "_int4": list[int],
    "_int8": list[int],
    "_text": list[str],
    "_bytea": list[bytes],
}


every_query = pytest.mark.parametrize("query", STATEMENTS, ids=title)
every_reading_query = pytest.mark.parametrize("query", [q for q in STATEMENTS if q.row is not None], ids=title)


@pytest.fixture(scope="module")
def roles(filled: RunningServices) -> Iterator[dict[str, "psycopg.Connection[Any]"]]:
    with (
        psycopg.connect(filled.app_url, autocommit=True) as app,
        psycopg.connect(filled.system_url, autocommit=True) as system,
    ):
        app.execute("SELECT set_config('waypost.tenant', '7', false)")
        yield {"waypost_app": app, "waypost_system": system}


@pytest.fixture(scope="module")
def owner(filled: RunningServices) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(filled.owner_url, autocommit=True) as connection:
        yield connection


def test_there_are_statements_to_look_at() -> None:
    assert len(STATEMENTS) > 30


@every_reading_query
def test_columns_are_the_fields_of_the_row(
    query: Query[Any], roles: dict[str, "psycopg.Connection[Any]"], owner: "psycopg.Connection[Any]"
) -> None:
    """Names, order and types; and whether a column that can be NULL is a field that can be None."""
    pgconn = roles[query.role].pgconn
    prepared = pgconn.prepare(b"", numbered(query))
    assert prepared.status == ExecStatus.COMMAND_OK, prepared.error_message.decode()
    described = pgconn.describe_prepared(b"")
    assert query.row is not None
    expected = [field.name for field in fields(query.row)]
    names = [(described.fname(i) or b"").decode() for i in range(described.nfields)]
    assert names == expected
    hints = get_type_hints(query.row)
    for i, name in enumerate(names):
        (type_name,) = owner.execute("SELECT typname FROM pg_type WHERE oid = %s", (described.ftype(i),)).fetchone()
        hint, is_optional = without_none(hints[name])
        assert hint == TYPES[type_name], f"{name} is {type_name}, its field {hint}"
        column = owner.execute(
            "SELECT attnotnull FROM pg_attribute WHERE attrelid = %s AND attnum = %s",
            (described.ftable(i), described.ftablecol(i)),
        ).fetchone()
        if column is not None and "LEFT JOIN" not in query.sql.decode():
            assert is_optional == (not column[0]), f"{name}: NULL in the table, None in the row"


def without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) not in (Union, UnionType):
        return hint, False
    (rest,) = [each for each in get_args(hint) if each is not NoneType]
    return rest, True


@every_query
def test_a_statement_is_planned_without_reading_whole_tables(
    query: Query[Any], roles: dict[str, "psycopg.Connection[Any]"], owner: "psycopg.Connection[Any]"
) -> None:
    """As its role, under row-level security, with the plan that serves every parameter."""
    connection = roles[query.role]
    plan = generic_plan(connection, query)
    parents = dict(owner.execute("SELECT inhrelid::regclass::text, inhparent::regclass::text FROM pg_inherits"))
    read_whole = {
        parents.get(node["Relation Name"], node["Relation Name"])
        for node in nodes(plan[0]["Plan"])
        if node["Node Type"] in ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan")
        and not any(key in node for key in ("Index Cond", "Recheck Cond"))
    }
    assert read_whole <= set(query.scans), json.dumps(plan, indent=1)


@pytest.mark.parametrize(
    ("query", "scan"),
    [
        (tiering._HOT, ("Index Only Scan", "blob_hot")),
        (compaction._SMALL, ("Index Scan", "object_small")),
        (compaction._HALF_DEAD, ("Index Scan", "object_half_dead")),
    ],
    ids=["how much is hot", "small packs", "half dead packs"],
)
def test_what_upkeep_asks_of_every_tenant_every_hour_has_an_index_of_its_own(
    query: Query[Any], scan: tuple[str, str], roles: dict[str, "psycopg.Connection[Any]"]
) -> None:
    """An index whose condition the statement no longer says is left out of plans without a word."""
    plan = generic_plan(roles[query.role], query)
    scans = [(node["Node Type"], node["Index Name"]) for node in nodes(plan[0]["Plan"]) if "Index Name" in node]
    assert scans == [scan]


def generic_plan(connection: "psycopg.Connection[Any]", query: Query[Any]) -> Any:
    if connection.info.server_version >= 160000:
        row = connection.execute(b"EXPLAIN (GENERIC_PLAN, FORMAT JSON) " + numbered(query)).fetchone()
    else:  # here the partitions that NULL leads away from are left out of the plan
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute(b"PREPARE explained AS " + numbered(query))
        values = ", ".join(["NULL"] * len(parameters(query)))
        row = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE explained{f'({values})' if values else ''}").fetchone()
        connection.execute("DEALLOCATE explained")
    return row[0] if isinstance(row[0], list) else json.loads(row[0])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def tables_with_tenants(owner: "psycopg.Connection[Any]") -> list[tuple[str, bool, bool]]:
    """Name, and whether row-level security is enabled and forced; partitions among them."""
    return owner.execute(
        """
        SELECT c.oid::regclass::text, c.relrowsecurity, c.relforcerowsecurity
          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
         ORDER BY 1
        """
    ).fetchall()


def test_row_level_security_is_forced_on_every_table_with_a_tenant(owner: "psycopg.Connection[Any]") -> None:
    tables = tables_with_tenants(owner)
    assert {"account", "domain", "message", "placement", "blob_content", "change"} <= {name for name, _, _ in tables}
    assert any(re.fullmatch(r"change_\d{8}", name) for name, _, _ in tables)
    assert [name for name, is_enabled, is_forced in tables if not (is_enabled and is_forced)] == []


def test_partitions_made_later_are_forced_too(owner: "psycopg.Connection[Any]") -> None:
    owner.execute("SELECT make_week_partitions_v1(CURRENT_DATE + 700, 1)")
    assert [name for name, is_enabled, is_forced in tables_with_tenants(owner) if not (is_enabled and is_forced)] == []


def test_every_index_of_a_mail_table_leads_with_the_tenant(owner: "psycopg.Connection[Any]") -> None:
    rows = owner.execute(
        """
        SELECT i.indrelid::regclass::text, i.indexrelid::regclass::text,
               (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[0])
          FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
         WHERE c.relnamespace = 'public'::regnamespace
        """
    ).fetchall()
    mail = {name for name, _, _ in tables_with_tenants(owner)} - DIRECTORY_TABLES
    assert {"message_pkey", "mailbox_name_is_unique"} <= {index for _, index, _ in rows}
    words = "message_text_words"  # its entries are words that begin with the tenant
    assert [index for table, index, first in rows if table in mail and first != "tenant_id"] == [words]


def test_mail_tables_are_those_with_a_tenant_and_those_of_mail_on_its_way_in(
    owner: "psycopg.Connection[Any]",
) -> None:
    tables = owner.execute(
        """
        SELECT c.oid::regclass::text FROM pg_class c
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
           AND c.relname !~ '^(django|auth)_'
        """
    ).fetchall()
    without = {name for (name,) in tables} - {name for name, _, _ in tables_with_tenants(owner)}
    assert without == SYSTEM_TABLES | {"tenant"}


def test_no_foreign_key_touches_mail(owner: "psycopg.Connection[Any]") -> None:
    rows = owner.execute(
        "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f'"
    ).fetchall()
    mail = ({name for name, _, _ in tables_with_tenants(owner)} | SYSTEM_TABLES) - DIRECTORY_TABLES
    assert [pair for pair in rows if mail & set(pair)] == []


@pytest.mark.parametrize("role", ["waypost_app", "waypost_system"])
def test_the_serving_roles_are_ordinary_and_own_nothing(role: str, owner: "psycopg.Connection[Any]") -> None:
    row = owner.execute(
        """
        SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,
               (SELECT count(*) FROM pg_class c WHERE c.relowner = r.oid),
               (SELECT count(*) FROM pg_proc p WHERE p.proowner = r.oid),
               (SELECT count(*) FROM pg_auth_members m WHERE m.member = r.oid)
          FROM pg_roles r WHERE r.rolname = %s
        """,
        (role,),
    ).fetchone()
    assert row == (False, False, False, False, False, 0, 0, 0)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("message", "subject"),
        ("search_page", "subjects"),
        ("message_text", "words"),
        ("text_vocabulary", "words"),
        ("message", "header"),
        ("message", "preview"),
        ("blob_content", "sealed"),
        ("blob_content", "digest"),
        ("placement", "flags"),
        ("change", "kind"),
        ("thread_reference", "reference"),
        ("data_key", "wrapped"),
        ("mailbox", "name"),
        ("inbound_content", "sealed"),
        ("outgoing_content", "sealed"),
        ("upload_content", "sealed"),
        ("push_subscription", "sealed"),
        ("email_submission", "envelope"),
        ("identity", "text_signature"),
        ("vacation", "text_body"),
        ("smarthost", "sealed_password"),
        ("smarthost", "username"),
    ],
)
def test_the_system_role_sees_no_content(table: str, column: str, owner: "psycopg.Connection[Any]") -> None:
    asked = "SELECT has_column_privilege('waypost_system', %s, %s, 'SELECT')"
    assert owner.execute(asked, (table, column)).fetchone() == (False,)


@pytest.mark.parametrize("table", ["message", "placement", "blob_content", "data_key", "change", "thread_reference"])
def test_the_system_role_writes_no_mail(table: str, owner: "psycopg.Connection[Any]") -> None:
    for privilege in ("INSERT", "UPDATE", "DELETE", "TRUNCATE"):
        asked = "SELECT has_table_privilege('waypost_system', %s, %s)"
        assert owner.execute(asked, (table, privilege)).fetchone() == (False,)


def test_the_application_cannot_lose_keys(owner: "psycopg.Connection[Any]") -> None:
    for privilege in ("INSERT", "UPDATE", "DELETE", "TRUNCATE"):
        asked = "SELECT has_table_privilege('waypost_app', 'data_key', %s)"
        assert owner.execute(asked, (privilege,)).fetchone() == (False,)


def test_the_application_does_not_see_for_whom_mail_waits(owner: "psycopg.Connection[Any]") -> None:
    for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE"):
        asked = "SELECT has_table_privilege('waypost_app', 'inbound', %s)"
        assert owner.execute(asked, (privilege,)).fetchone() == (False,)


def test_functions_that_run_as_their_owner_fix_their_search_path(owner: "psycopg.Connection[Any]") -> None:
    rows = owner.execute(
        """
        SELECT p.proname, coalesce(array_to_string(p.proconfig, ','), ''),
               EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)
          FROM pg_proc p WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace
        """
    ).fetchall()
    assert "make_week_partitions_v1" in {name for name, _, _ in rows}
    for name, settings, is_public in rows:
        assert re.search(r"search_path=.*pg_temp$", settings), name
        assert not is_public, f"everybody may call {name}"


def test_raw_statements_see_the_tenant_of_the_connection_and_nothing_else(
    roles: dict[str, "psycopg.Connection[Any]"], owner: "psycopg.Connection[Any]"
) -> None:
    tables = [name for name, _, _ in tables_with_tenants(owner) if not re.search(r"_(default|\d{8})$", name)]
    for table in tables:
        seen = roles["waypost_app"].execute(f"SELECT DISTINCT tenant_id FROM {table}".encode()).fetchall()  # noqa: S608
        assert seen == ([] if table in DIRECTORY_TABLES else [(7,)]), table


def test_a_partition_cannot_be_read_around_its_table(
    roles: dict[str, "psycopg.Connection[Any]"], owner: "psycopg.Connection[Any]"
) -> None:
    partitions = [name for name, _, _ in tables_with_tenants(owner) if re.search(r"_(default|\d{8})$", name)]
    assert partitions
    for role in ("waypost_app", "waypost_system"):
        for partition in partitions:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                roles[role].execute(f"SELECT 1 FROM {partition}".encode())  # noqa: S608


def test_a_row_for_another_tenant_cannot_be_written(roles: dict[str, "psycopg.Connection[Any]"]) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        roles["waypost_app"].execute("INSERT INTO account_state (tenant_id, account_id) VALUES (8, 1)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        roles["waypost_app"].execute("UPDATE placement SET tenant_id = 8")
