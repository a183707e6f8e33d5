"""Weekly partitions: made ahead, and made good when nobody made them for a while."""

from datetime import date, timedelta

from storage.database import Database
from storage.housekeeping import make_partitions
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
