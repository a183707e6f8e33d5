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
from tests.storage.statements import STATEMENTS, parameters, title

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
    "name": "INBOX",
    "names": ["INBOX"],
    "special_uses": [None],
    "digest": b"\0" * 32,
    "digests": [b"\0" * 32],
    "references": [77],
    "keywords": ["word"],
    "received_at": datetime(2026, 1, 1, tzinfo=UTC),
    "sent_at": None,
    "content_on": date(2026, 1, 1),
    "quota_octets": None,
    "inbound_id": None,
    "unchanged_since": None,
    **dict.fromkeys(("sealed", "header", "segments", "structure", "envelope", "bodystructure"), b"\0"),
    **dict.fromkeys(("subject", "base_subject", "sender", "recipients", "preview"), "text"),
    **dict.fromkeys(("is_move", "everything", "is_subscribed", "is_selectable", "takes_over_subscription"), True),
    **dict.fromkeys(("differs", "attached"), False),
    **dict.fromkeys(("modseq", "seq", "uidvalidity", "next_uidvalidity", "limit", "limit_octets", "keyword_limit"), 1),
    **dict.fromkeys(("operation", "flags", "first", "last", "chunk", "codec", "key_id", "wire_version"), 1),
    **dict.fromkeys(("octets", "blob_octets", "header_octets", "grace_s"), 1),
}
OF_NO_TENANT = {"SELECT chunk codec sealed FROM inbound_content WHERE inbound"}
OF_THE_APPLICATION = [query for query in STATEMENTS if query.role == "waypost_app"]


@pytest.fixture(scope="module")
async def busy(filled: RunningServices) -> AsyncIterator[Database]:
    opened = Database(DatabaseConfig(filled.app_url, filled.system_url, max_connections=1))
    yield opened
    await opened.close()


def test_every_statement_of_the_application_names_its_tenant() -> None:
    assert {title(query) for query in OF_THE_APPLICATION if "tenant_id" not in parameters(query)} == OF_NO_TENANT


@pytest.mark.parametrize("query", [q for q in OF_THE_APPLICATION if title(q) not in OF_NO_TENANT], ids=title)
async def test_a_statement_about_another_tenant_raises(query: Query[Any], busy: Database) -> None:
    async def ask() -> None:
        async with busy.read(MINE) as connection:
            await query.execute(connection, **{name: ASKED[name] for name in parameters(query)})

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="carries tenant 7, the statement is for 8"):
        await ask()


@pytest.mark.parametrize("query", [q for q in OF_THE_APPLICATION if title(q) not in OF_NO_TENANT], ids=title)
async def test_a_statement_on_a_connection_of_nobody_touches_nothing(query: Query[Any], busy: Database) -> None:
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege):  # most raise, as above
        async with busy.read(TenantId(0)) as connection:
            assert await query.execute(connection, **{name: ASKED[name] for name in parameters(query)}) == 0


@pytest.mark.parametrize("table", ["message", "placement", "mailbox", "change", "blob_content", "data_key"])
async def test_a_statement_without_where_shows_one_tenant(table: str, busy: Database) -> None:
    async with busy.read(MINE) as connection:
        cursor = await connection.execute(f"SELECT DISTINCT tenant_id FROM {table}".encode())  # noqa: S608
        assert await cursor.fetchall() == [(MINE,)]
    async with busy.read(TenantId(0)) as connection:
        cursor = await connection.execute(f"SELECT DISTINCT tenant_id FROM {table}".encode())  # noqa: S608
        assert await cursor.fetchall() == []
