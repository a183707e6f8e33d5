"""What upkeep does to the tables of events and of sending limits."""

from dataclasses import dataclass

from storage.database import Database
from storage.query import Query

DAYS_AHEAD = 8


@dataclass(frozen=True, slots=True)
class _Count:
    partitions: int


_MAKE = Query("SELECT make_day_partitions_v1(CURRENT_DATE, %(days)s) AS partitions", row=_Count, role="waypost_system")
_DROP = Query(
    "SELECT drop_day_partitions_v1(CURRENT_DATE - %(days)s::integer) AS partitions", row=_Count, role="waypost_system"
)
_FORGET_COUNTS = Query[None](
    "DELETE FROM sending_count WHERE hour < now() - interval '25 hours'",
    role="waypost_system",
    scans=["sending_count"],
)


async def make_days(database: Database) -> int:
    """The partitions of the coming days; returns how many were missing."""
    async with database.system() as connection:
        return (await _MAKE.one(connection, days=DAYS_AHEAD)).partitions


async def drop_old_days(database: Database, kept_days: int) -> int:
    """Returns how many days were dropped."""
    async with database.system() as connection:
        return (await _DROP.one(connection, days=kept_days)).partitions


async def forget_counts(database: Database) -> int:
    """What no limit looks at any more."""
    async with database.system() as connection:
        return await _FORGET_COUNTS.execute(connection)
