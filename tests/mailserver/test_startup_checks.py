"""What keeps a process from serving."""

import pytest

from mailserver.startup_checks import StartRefused, check_version, demand_version
from storage.database import Database


def test_a_postgres_that_is_too_old_is_refused_with_the_way_out() -> None:
    with pytest.raises(StartRefused, match=r"PostgreSQL 14 is too old: Waypost needs 15 or later.*operations\.md"):
        demand_version(140011)
    demand_version(150000)


async def test_the_server_of_this_test_is_new_enough(database: Database) -> None:
    await check_version(database)
