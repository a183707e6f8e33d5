"""What must hold before a process serves: Postgres answers, it and its tables are new enough, the master key opens.

Postgres being away is waited for. The others do not get better by waiting: StartRefused says what to do.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import storage
import tenants
from mailserver.observability.logs import get_logger
from mailserver.observability.repeats import Repeats
from storage.database import Database
from storage.errors import KeyUnusable, StoreUnavailable
from storage.keys import KeyRing
from storage.query import Query
from tenants.types import TenantId

RETRY_S = (0.2, 5.0)  # first and longest wait before Postgres is tried again
OLDEST_POSTGRES = 15
KEYS_TRIED = 5  # tenants whose keys are opened; one is enough to know the master key

log = get_logger()


class StartRefused(Exception):
    """The process cannot serve until a person has done something; the text says what."""


@dataclass(frozen=True, slots=True)
class _HasTables:
    has_tables: bool


@dataclass(frozen=True, slots=True)
class _Migration:
    app: str
    name: str


@dataclass(frozen=True, slots=True)
class _TenantId:
    id: int


@dataclass(frozen=True, slots=True)
class _Version:
    number: int


_VERSION = Query("SELECT current_setting('server_version_num')::integer AS number", row=_Version, role="waypost_system")
_HAS_TABLES = Query(
    "SELECT to_regclass('django_migrations') IS NOT NULL AS has_tables", row=_HasTables, role="waypost_system"
)
_MIGRATIONS = Query(
    "SELECT app::text, name::text FROM django_migrations",
    row=_Migration,
    role="waypost_system",
    scans=["django_migrations"],
)
_SOME_TENANTS = Query(
    "SELECT id FROM tenant WHERE status = 'active' ORDER BY id LIMIT %(limit)s",
    row=_TenantId,
    role="waypost_system",
    scans=["tenant"],
)


async def wait_for_postgres(database: Database, *, say: Callable[[str], None]) -> None:
    """Return when Postgres answers in both roles. `say` is told what is waited for."""
    wait_s, longest_s = RETRY_S
    repeats = Repeats(time.monotonic)
    while True:
        try:
            await database.open()
            return
        except StoreUnavailable as unavailable:
            if (left_out := repeats.worth_saying("postgres")) is not None:
                cause = unavailable.__cause__ or unavailable
                log.warning("waiting for Postgres", error=_first_line(cause), left_out=left_out)
                say("waiting for Postgres")
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, longest_s)


async def check_version(database: Database) -> None:
    """Raises StartRefused when the server is older than what we are tested with. StoreUnavailable."""
    async with database.system() as connection:
        demand_version((await _VERSION.one(connection)).number)


def demand_version(number: int) -> None:
    """`number` as PostgreSQL gives it in server_version_num. Raises StartRefused."""
    if number < OLDEST_POSTGRES * 10_000:
        raise StartRefused(
            f"PostgreSQL {number // 10_000} is too old: Waypost needs {OLDEST_POSTGRES} or later."
            " docs/operations.md says how to move to a new major version"
        )


async def check_tables(database: Database) -> None:
    """Raises StartRefused unless every migration of this code is applied; newer ones may be. StoreUnavailable."""
    async with database.system() as connection:
        if not (await _HAS_TABLES.one(connection)).has_tables:
            raise StartRefused("the database has no tables yet: run `manage.py migrate`")
        applied = {(each.app, each.name) for each in await _MIGRATIONS.all(connection)}
    missing = sorted(set(known_migrations()) - applied)
    if missing:
        names = ", ".join(f"{app}.{name}" for app, name in missing)
        raise StartRefused(f"the tables are older than this program ({names} is missing): run `manage.py migrate`")


async def check_keys(database: Database, keys: KeyRing) -> None:
    """Raises StartRefused if there are tenants and the master key opens none of them. StoreUnavailable."""
    async with database.system() as connection:
        found = await _SOME_TENANTS.all(connection, limit=KEYS_TRIED)
    failures = []
    for tenant in found:
        try:
            await keys.of(TenantId(tenant.id))
        except KeyUnusable as failure:
            failures.append(failure)
            log.error("the keys of a tenant do not open", tenant=tenant.id, error=str(failure))
        else:
            return
    if failures:
        raise StartRefused(f"the master key opens no tenant's keys: {failures[0]}")


def known_migrations() -> Iterable[tuple[str, str]]:
    """App and name of every migration that this code brings."""
    for package in (tenants, storage):
        for path in (Path(package.__path__[0]) / "migrations").glob("[0-9]*.py"):
            yield package.__name__, path.stem


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
