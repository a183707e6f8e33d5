"""The index of words: how it is read, and who may build it anew."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from storage import message_text
from storage.database import Database
from storage.message_text import index_key
from storage.store import MailStore
from tenants.types import AccountId, TenantId
from tests.conftest import RunningServices

TENANT, ACCOUNT = TenantId(7), AccountId(72)
CALLS = [
    "find_texts_v1(7, 72, %(words)s, %(phrases)s)",
    "find_texts_in_v1(7, 72, 720, %(words)s, %(phrases)s)",
]


@pytest.fixture
def app(filled: RunningServices) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(filled.app_url) as app:
        app.execute("SELECT set_config('waypost.tenant', '7', false)")
        app.commit()
        yield app


def read(app: "psycopg.Connection[Any]") -> tuple[int, int, int]:
    """Whole reads of the table, uses of its indexes, and rows that were fetched by them, in this transaction."""
    row = app.execute(
        "SELECT seq_scan, idx_scan, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'message_text'"
    ).fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize("call", CALLS, ids=["account", "mailbox"])
@pytest.mark.parametrize(
    ("words", "phrases", "rows"),
    [
        ("'{key}filler'", None, 20),
        ("'{key}fill':*", None, 20),
        ("'{key}filler' & '{key}7'", None, 1),
        ("'{key};7' | '{key}7'", None, 1),
        ("'{key}filler' & '{key}word72'", [" filler 3 "], 20),
        ("'{key}nowhere'", None, 0),
        ("'8.50.filler'", None, 20),  # somebody else's, which are left out again
    ],
)
@pytest.mark.parametrize("times", [1, 12], ids=["first", "often"])
def test_words_are_found_by_their_index_and_nothing_else_is_read(
    app: "psycopg.Connection[Any]", call: str, words: str, phrases: list[str] | None, rows: int, times: int
) -> None:
    asked = {"words": words.format(key=index_key(TENANT, ACCOUNT)), "phrases": phrases}
    before = read(app)
    for _ in range(times):
        app.execute(f"SELECT {call}".encode(), asked)
    whole, uses, fetched = (now - then for now, then in zip(read(app), before, strict=True))
    assert whole == 0
    assert uses >= times
    assert fetched == rows * times
    app.rollback()


@pytest.mark.parametrize("call", CALLS, ids=["account", "mailbox"])
def test_what_is_found_is_of_the_account_that_is_asked_about(app: "psycopg.Connection[Any]", call: str) -> None:
    for key, found in ((index_key(TENANT, ACCOUNT), 20 * 8), (index_key(TenantId(8), AccountId(80)), None)):
        asked = {"words": f"'{key}filler'", "phrases": None}
        assert app.execute(f"SELECT length({call})".encode(), asked).fetchone() == (found,)
    app.rollback()


@pytest.mark.parametrize("call", CALLS, ids=["account", "mailbox"])
def test_another_tenant_is_refused(app: "psycopg.Connection[Any]", call: str) -> None:
    asked = {"words": "'8.50.filler'", "phrases": None}
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute(f"SELECT {call.replace('(7', '(8')}".encode(), asked)
    app.rollback()


async def test_upkeep_builds_the_index_anew_where_postgres_lets_it(
    services: RunningServices, database: Database, store: MailStore
) -> None:
    del store
    with psycopg.connect(services.owner_url) as owner:
        may = owner.info.server_version >= 170000
    assert await message_text.reindex(database) is may
    assert (await message_text.size(database)).index_octets > 0
