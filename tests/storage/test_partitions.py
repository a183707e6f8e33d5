"""Weekly partitions: made ahead, and made good when nobody made them for a while."""

from datetime import date, timedelta

import pytest

from storage.database import Database
from storage.errors import StoreUnavailable
from storage.housekeeping import make_partitions
from storage.outgoing_upkeep import drop_old_days, forget_counts, make_days
from tests.conftest import RunningServices, owner_connection


async def test_a_partition_made_late_takes_over_what_the_default_one_caught(
    services: RunningServices, database: Database
) -> None:
    await make_partitions(database)
    monday = date.today() - timedelta(days=date.today().weekday())  # noqa: DTZ011 (the server's day is meant)
    late = monday + timedelta(weeks=200)
    with owner_connection(services) as connection:
        connection.execute(
            "INSERT INTO change (tenant_id, account_id, modseq, seq, logged_on, kind, mailbox_id)"
            " VALUES (1, 1, 1, 0, %s, 4, 1)",
            (late + timedelta(days=3),),
        )
        assert connection.execute("SELECT count(*) FROM change_default").fetchone() == (1,)
        connection.execute("SELECT make_week_partitions_v1(%s, 1)", (late,))
        assert connection.execute("SELECT count(*) FROM change_default").fetchone() == (0,)
        name = f"change_{late:%Y%m%d}"
        row = connection.execute(
            "SELECT c.relrowsecurity, c.relforcerowsecurity, i.inhparent::regclass::text FROM pg_class c"
            " JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.relname = %s",
            (name,),
        ).fetchone()
        assert row == (True, True, "change")
        assert connection.execute("SELECT count(*) FROM change WHERE logged_on >= %s", (late,)).fetchone() == (1,)
        connection.rollback()


async def test_days_of_events_are_made_ahead_and_dropped_when_they_are_old(
    services: RunningServices, database: Database
) -> None:
    await make_days(database)
    assert await make_days(database) == 0
    with owner_connection(services) as connection:
        connection.execute("SELECT make_day_partitions_v1(CURRENT_DATE - 40, 3)")
        connection.execute(
            "INSERT INTO event (tenant_id, kind, happened_on)"
            " SELECT 1, 1, CURRENT_DATE - d FROM generate_series(38, 40) d"
        )
    assert await drop_old_days(database, 39) == 1
    assert await drop_old_days(database, 30) == 2
    with owner_connection(services) as connection:
        assert connection.execute("SELECT count(*) FROM event WHERE happened_on < CURRENT_DATE - 30").fetchone() == (0,)


async def test_old_days_wait_while_somebody_reads_them(services: RunningServices, database: Database) -> None:
    with owner_connection(services) as connection:
        connection.execute("SELECT make_day_partitions_v1(CURRENT_DATE - 40, 1)")
        connection.commit()
        connection.execute("SELECT count(*) FROM event")
        with pytest.raises(StoreUnavailable):
            await drop_old_days(database, 30)
        connection.rollback()
    assert await drop_old_days(database, 30) == 1


async def test_counts_of_sending_go_when_no_limit_looks_at_them(services: RunningServices, database: Database) -> None:
    with owner_connection(services) as connection:
        connection.execute(
            "INSERT INTO sending_count (tenant_id, account_id, hour, shard, recipients)"
            " SELECT 1, 1, date_trunc('hour', now()) - interval '1 hour' * h, 0, 1 FROM generate_series(20, 29) h"
        )
    assert await forget_counts(database) >= 4
    with owner_connection(services) as connection:
        left = connection.execute(
            "SELECT count(*) FROM sending_count WHERE tenant_id = 1 AND account_id = 1"
        ).fetchone()
    assert left is not None
    assert int(str(left[0])) in (5, 6)
