"""Weeks of hot content that are no longer in use are dropped whole: no row of them is ever vacuumed.

A week of which little is left (a tenant that keeps everything hot, blobs that are read often) is emptied first: what is
left moves into the present week, and is as young as that from then on.
"""

from dataclasses import dataclass
from datetime import date

from storage.database import Database
from storage.query import Query
from tenants.types import TenantId

QUIET_S = 86_400.0
LITTLE = 0.25  # of what the week takes on disk
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Week:
    """`octets` on disk with indexes."""

    week: str
    monday: date
    octets: int


@dataclass(frozen=True, slots=True)
class _Count:
    count: int


@dataclass(frozen=True, slots=True)
class _IsDropped:
    is_dropped: bool


@dataclass(frozen=True, slots=True)
class _Use:
    tenant_id: int
    live_octets: int


_WEEKS = Query("SELECT week, monday, octets FROM content_weeks_v1()", row=Week, role="waypost_system")
_DROP = Query("SELECT drop_content_week_v1(%(quiet_s)s) AS is_dropped", row=_IsDropped, role="waypost_system")
_USE = Query(
    "SELECT tenant_id, live_octets FROM content_week_use_v1(%(monday)s, %(enough)s)", row=_Use, role="waypost_system"
)
_REHOME = Query("SELECT rehome_blobs_v1(%(tenant_id)s, %(monday)s, %(limit)s) AS count", row=_Count)


async def weeks(database: Database) -> list[Week]:
    """The past weeks, oldest first; the last two are not looked at."""
    async with database.system_single() as connection:
        return await _WEEKS.all(connection)


async def drop_idle(database: Database, *, quiet_s: float = QUIET_S) -> int:
    """Drop the weeks that have been idle so long. Returns how many."""
    dropped = 0
    while True:
        async with database.system_single() as connection:
            if not (await _DROP.one(connection, quiet_s=quiet_s)).is_dropped:
                return dropped
        dropped += 1


async def empty_nearly_idle(database: Database) -> int:
    """Move what little is left of old weeks into this one. Returns how many blobs moved."""
    moved = 0
    for week in await weeks(database):
        little = int(LITTLE * week.octets)
        async with database.system_single() as connection:
            users = await _USE.all(connection, monday=week.monday, enough=little)
        if sum(user.live_octets for user in users) >= little:
            continue
        for user in users:
            moved += await _rehome(database, TenantId(user.tenant_id), week.monday)
    return moved


async def _rehome(database: Database, tenant_id: TenantId, monday: date) -> int:
    moved = 0
    while True:
        async with database.read(tenant_id) as connection:
            count = (await _REHOME.one(connection, tenant_id=tenant_id, monday=monday, limit=_AT_ONCE)).count
        moved += count
        if count < _AT_ONCE:
            return moved
