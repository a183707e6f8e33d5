"""The log of changes is cut by weeks, and nobody is ever answered from a log that has a hole."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from storage import changes
from storage.change_retention import cut_changes, date_of_cut, move_horizons
from storage.changes import FIRST_DAY, changes_since
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.housekeeping import make_partitions
from storage.store import MailStore
from storage.types import Modseq
from tests.conftest import Company, RunningServices
from tests.someone import ADD, DELETED, SEEN, Someone

KEEP_DAYS = 60
Owner = psycopg.AsyncConnection[tuple[object, ...]]


@pytest.fixture
async def ada(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person("ada"))


@pytest.fixture
async def owner(services: RunningServices) -> AsyncIterator[Owner]:
    async with await psycopg.AsyncConnection.connect(services.owner_url, autocommit=True) as connection:
        yield connection


async def grow_old(owner: Owner, ada: Someone, *, days: int) -> Modseq:
    """Everything that was logged of her until now was logged so many days ago; returns her modseq."""
    day = await today(owner) - timedelta(days=days)
    await owner.execute("SELECT make_week_partitions_v1(%s, 1)", (day,))
    await owner.execute("UPDATE change SET logged_on = %s WHERE account_id = %s", (day, ada.who.account_id))
    return (await ada.contents()).account_modseq


async def today(owner: Owner) -> date:
    row = await (await owner.execute("SELECT CURRENT_DATE")).fetchone()
    assert row is not None
    assert isinstance(row[0], date)
    return row[0]


async def logged(owner: Owner, ada: Someone) -> int:
    cursor = await owner.execute("SELECT count(*)::integer FROM change WHERE account_id = %s", (ada.who.account_id,))
    row = await cursor.fetchone()
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]


async def is_complete(ada: Someone, modseq: int) -> bool:
    return (await ada.changes("INBOX", Modseq(modseq))).is_complete


async def test_weeks_past_their_time_go_and_later_ones_stay(database: Database, owner: Owner, ada: Someone) -> None:
    await ada.receive()
    old = await grow_old(owner, ada, days=90)
    await ada.flag("INBOX", [1], ADD, SEEN)
    kept = await logged(owner, ada)
    assert await is_complete(ada, 0)
    assert await cut_changes(database, keep_days=KEEP_DAYS) == 1
    assert await logged(owner, ada) == 1 < kept
    assert not await is_complete(ada, old - 1)
    found = await ada.changes("INBOX", old)
    assert found.is_complete
    assert [uid for uid, _, _ in found.changed] == [1]
    assert await cut_changes(database, keep_days=KEEP_DAYS) == 0


async def test_what_is_young_enough_is_kept_whole(database: Database, owner: Owner, ada: Someone) -> None:
    await ada.receive()
    await grow_old(owner, ada, days=KEEP_DAYS - 7)
    await cut_changes(database, keep_days=KEEP_DAYS)
    assert await is_complete(ada, 0)


async def test_an_interruption_before_the_weeks_go_gives_nobody_a_wrong_answer(
    database: Database, owner: Owner, ada: Someone
) -> None:
    await ada.receive()
    old = await grow_old(owner, ada, days=100)
    await ada.flag("INBOX", [1], ADD, SEEN)
    before = await date_of_cut(database, keep_days=KEEP_DAYS)
    assert before is not None
    await move_horizons(database, before)
    assert await logged(owner, ada) > 1
    assert not await is_complete(ada, old - 1)
    assert await is_complete(ada, old)
    assert await cut_changes(database, keep_days=KEEP_DAYS) == 1
    assert await is_complete(ada, old)


async def test_a_week_does_not_go_while_an_account_answers_from_it(
    services: RunningServices, database: Database, owner: Owner, ada: Someone
) -> None:
    await ada.receive()
    await grow_old(owner, ada, days=100)
    before = await date_of_cut(database, keep_days=KEEP_DAYS)
    async with await psycopg.AsyncConnection.connect(services.system_url, autocommit=True) as system:
        with pytest.raises(psycopg.errors.RaiseException, match="a log that is gone"):
            await system.execute("SELECT drop_change_partition_v1(%s)", (before,))
        with pytest.raises(psycopg.errors.RaiseException, match="last week"):
            await system.execute("SELECT drop_change_partition_v1(CURRENT_DATE)")
        with pytest.raises(psycopg.errors.RaiseException, match="last week"):
            await system.execute("SELECT * FROM move_change_horizon_v1(CURRENT_DATE, 0, 0, 10)")
    await cut_changes(database, keep_days=KEEP_DAYS)


async def test_what_was_logged_beside_the_weeks_goes_too(database: Database, owner: Owner, ada: Someone) -> None:
    """The default partition caught it, because nobody had made the week's."""
    await ada.receive()
    row = (await today(owner) - timedelta(days=300), ada.who.account_id)
    await owner.execute("UPDATE change SET logged_on = %s WHERE account_id = %s", row)
    await cut_changes(database, keep_days=KEEP_DAYS)
    assert await logged(owner, ada) == 0
    assert not await is_complete(ada, 1)
    assert await is_complete(ada, (await ada.contents()).account_modseq)


async def test_whoever_writes_does_not_wait_long_for_the_cut(
    services: RunningServices, database: Database, owner: Owner, ada: Someone
) -> None:
    """Somebody reads the log for minutes: the cut gives up, and is made another time."""
    await ada.receive()
    old = await grow_old(owner, ada, days=110)
    async with await psycopg.AsyncConnection.connect(services.owner_url) as reader:
        await reader.execute("SELECT count(*) FROM change")
        with pytest.raises(StoreUnavailable):
            await cut_changes(database, keep_days=KEEP_DAYS)
        await ada.flag("INBOX", [1], ADD, SEEN)
    assert not await is_complete(ada, old - 1)
    assert await cut_changes(database, keep_days=KEEP_DAYS) == 1


async def test_who_was_here_lately_asks_the_log_of_these_days_only(
    database: Database, owner: Owner, ada: Someone
) -> None:
    """Of all the weeks that are kept, and those made ahead, one is opened, or two about their turn."""
    for weeks in range(2, 9):
        await owner.execute("SELECT make_week_partitions_v1(CURRENT_DATE - 7 * %s, 1)", (weeks,))
    await make_partitions(database)
    await ada.receive()
    shown = await ada.contents()
    await ada.flag("INBOX", [1], ADD, DELETED)

    async def opened(since_day: date) -> int:
        async with database.read(ada.who.tenant_id) as connection:
            values = {
                "tenant_id": ada.who.tenant_id,
                "account_id": ada.who.account_id,
                "mailbox_id": shown.mailbox.id,
                "modseq": shown.account_modseq,
                "up_to": changes.LAST_MODSEQ,
                "since_day": since_day,
            }
            cursor = await connection.execute(b"EXPLAIN (FORMAT JSON) " + changes._SINCE.sql, values, prepare=True)
            row = await cursor.fetchone()
            assert row is not None
            return json.dumps(row[0]).count('"Relation Name": "change_')

    assert await opened(shown.day) in (1, 2)
    assert await opened(FIRST_DAY) >= 9
    async with database.read(ada.who.tenant_id) as connection:
        found = await changes_since(
            connection,
            ada.who.tenant_id,
            ada.who.account_id,
            shown.mailbox.id,
            shown.account_modseq,
            since_day=shown.day,
        )
    assert [uid for uid, _, _ in found.changed] == [1]
    assert abs((found.day - datetime.now(UTC).date()).days) <= 1


async def test_the_log_tells_what_was_until_a_moment(ada: Someone) -> None:
    await ada.receive()
    cursor = (await ada.contents()).account_modseq
    (seen,) = await ada.flag("INBOX", [1], ADD, SEEN)
    await ada.flag("INBOX", [1], ADD, DELETED)
    await ada.expunge()
    box = await ada.box()
    async with ada.store.database.read(ada.who.tenant_id) as connection:
        found = await changes_since(
            connection, ada.who.tenant_id, ada.who.account_id, box.id, cursor, up_to=seen.modseq
        )
    assert found.changed == [(1, seen.flags, seen.modseq)]
    assert found.expunged == []
