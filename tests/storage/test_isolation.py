"""A statement about one tenant on a connection that carries another is an error, never an empty answer (DESIGN §6)."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest

from storage.database import Database, DatabaseConfig
from storage.query import Query
from tenants.types import TenantId
from tests.conftest import RunningServices
from tests.storage.statements import STATEMENTS, numbered, parameters, title

MINE, THEIRS = TenantId(7), TenantId(8)  # both have mail in the filled database
THEIR_ACCOUNT, THEIR_INBOX, THEIR_MESSAGE = 80, 800, 80_001

# What a mistaken caller would ask for: things that the other tenant really has.
ASKED: dict[str, Any] = {
    "tenant_id": THEIRS,
    "account_id": THEIR_ACCOUNT,
    "account_ids": [THEIR_ACCOUNT],
    "mailbox_id": THEIR_INBOX,
    "source_id": THEIR_INBOX,
    "target_id": THEIR_INBOX + 1,
    "message_id": THEIR_MESSAGE,
    "uids": [1, 2, 3],
    "mailbox_ids": [THEIR_INBOX],
    "name": "INBOX",
    "names": ["INBOX"],
    "special_uses": [None],
    "digest": b"\0" * 32,
    "digests": [b"\0" * 32],
    "references": [77],
    "keywords": ["word"],
    "quota_octets": None,
    "inbound_id": None,
    "unchanged_since": None,
}
OF_TYPE: dict[str, Any] = {
    **dict.fromkeys(("int8", "int4", "int2"), 1),
    "float8": 1.0,
    "bool": True,
    **dict.fromkeys(("text", "varchar"), "text"),
    "bytea": b"\0",
    "timestamptz": datetime(2026, 1, 1, tzinfo=UTC),
    "date": date(2026, 1, 1),
}
"""What is asked with where the name says nothing of whose it is."""
OF_NO_TENANT = {
    "SELECT chunk codec sealed FROM inbound_content WHERE inbound",
    "SELECT nextval mail_id AS id",
    # who signs in: an address, a passkey, a session or a token says of which tenant
    "SELECT tenant_id account_id local_part domain display_name p",
    "SELECT tenant_id account_id FROM directory_passkey_v1 creden",
    "SELECT tenant_id account_id local_part domain display_name l",
    "SELECT grant_id tenant_id account_id scopes FROM directory_s",
    "SELECT grant_id tenant_id account_id scopes FROM directory_r",
    "SELECT directory_revoke_token_v1 digest s client_id s AS was",
    "SELECT client_id text name text redirect_uris text FROM oaut",  # programs are the installation's
    "SELECT token_id FROM directory_tokens_gone_v1 ids s",
    "SELECT directory_store_scram_v1 account_id s password_hash s",  # only for whose password hash is known
    "SELECT account_id sign_in_epoch FROM directory_sign_in_ends_",  # of the installation: every door hears of them
}
OF_THE_APPLICATION = [query for query in STATEMENTS if query.role == "waypost_app"]


@pytest.fixture(scope="module")
async def busy(filled: RunningServices) -> AsyncIterator[Database]:
    opened = Database(DatabaseConfig(filled.app_url, filled.system_url, max_connections=1))
    yield opened
    await opened.close()


def asked(query: Query[Any], services: RunningServices) -> dict[str, Any]:
    with psycopg.connect(services.app_url, autocommit=True) as connection:
        connection.pgconn.prepare(b"", numbered(query))
        described = connection.pgconn.describe_prepared(b"")
        values = {}
        for at, name in enumerate(parameters(query)):
            found = connection.execute(
                "SELECT typname FROM pg_type WHERE oid = %s", (described.param_type(at),)
            ).fetchone()
            assert found is not None
            of_type = [OF_TYPE[found[0][1:]]] if found[0].startswith("_") else OF_TYPE[found[0]]
            is_blob_name = (name, found[0]) == ("name", "bytea")  # a mailbox's name is text
            values[name] = of_type if is_blob_name else ASKED.get(name, of_type)
    return values


def test_every_statement_of_the_application_names_its_tenant() -> None:
    assert {title(query) for query in OF_THE_APPLICATION if "tenant_id" not in parameters(query)} == OF_NO_TENANT


@pytest.mark.parametrize("query", [q for q in OF_THE_APPLICATION if title(q) not in OF_NO_TENANT], ids=title)
async def test_a_statement_about_another_tenant_raises(
    query: Query[Any], busy: Database, filled: RunningServices
) -> None:
    async def ask() -> None:
        async with busy.read(MINE) as connection:
            await query.execute(connection, **asked(query, filled))

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="carries tenant 7, the statement is for 8"):
        await ask()


@pytest.mark.parametrize("query", [q for q in OF_THE_APPLICATION if title(q) not in OF_NO_TENANT], ids=title)
async def test_a_statement_on_a_connection_of_nobody_touches_nothing(
    query: Query[Any], busy: Database, filled: RunningServices
) -> None:
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege):  # most raise, as above
        async with busy.read(TenantId(0)) as connection:
            assert await query.execute(connection, **asked(query, filled)) == 0


@pytest.mark.parametrize("table", ["message", "placement", "mailbox", "change", "blob_content", "data_key"])
async def test_a_statement_without_where_shows_one_tenant(table: str, busy: Database) -> None:
    async with busy.read(MINE) as connection:
        cursor = await connection.execute(f"SELECT DISTINCT tenant_id FROM {table}".encode())  # noqa: S608
        assert await cursor.fetchall() == [(MINE,)]
    async with busy.read(TenantId(0)) as connection:
        cursor = await connection.execute(f"SELECT DISTINCT tenant_id FROM {table}".encode())  # noqa: S608
        assert await cursor.fetchall() == []
