"""Postgres: reached in every role, durable, with today's tables, and every tenant behind row-level security."""

import time
from collections.abc import Iterator
from typing import LiteralString

import psycopg

from mailserver.startup_checks import OLDEST_POSTGRES, known_migrations
from webmail.operations.findings import Finding, Patient, fine, problem, warning

OLDEST_VERSION = OLDEST_POSTGRES * 10_000
CLOCK_TOLERANCE_S = 5
CONNECT_TIMEOUT_S = 5
MUST_BE_ON = ("fsync", "full_page_writes")

Connection = psycopg.Connection[tuple[object, ...]]

RIGHTS: LiteralString = "SELECT rolname, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
UNPROTECTED: LiteralString = """
SELECT c.relname
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
 WHERE c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
 ORDER BY c.relname
"""


def check_roles(patient: Patient) -> Iterator[Finding]:
    """Every role reaches Postgres, and none of those that serve may pass row-level security."""
    urls = (
        ("WAYPOST_DATABASE_URL", "waypost_app", patient.config.database.app_url),
        ("WAYPOST_SYSTEM_DATABASE_URL", "waypost_system", patient.config.database.system_url),
    )
    for variable, role, url in urls:
        try:
            with _connect(url) as connection:
                found = connection.execute(RIGHTS).fetchone()
        except psycopg.Error as error:
            yield problem("{variable}: Postgres cannot be reached: {reason}", variable=variable, reason=_reason(error))
            continue
        name, passes_security = found if found is not None else ("", True)
        if passes_security:
            yield problem("{variable}: the role {role} may pass row-level security", variable=variable, role=name)
        elif name != role:
            yield warning("{variable} is the role {role}, not {expected}", variable=variable, role=name, expected=role)
        else:
            yield fine("Postgres is reached as {role}", role=role)


def check_server(patient: Patient) -> Iterator[Finding]:
    """Version, clock, and the settings without which a 250 is no promise."""
    try:
        with _connect(patient.config.database.app_url) as connection:
            yield from _look_at_server(connection, is_production=patient.is_production)
    except psycopg.Error:
        return  # check_roles has said it


def check_tables(patient: Patient) -> Iterator[Finding]:
    try:
        with _connect(patient.config.database.system_url) as connection:
            if connection.execute("SELECT to_regclass('django_migrations')").fetchone() == (None,):
                yield problem("There are no tables yet. Run: manage.py migrate")
                return
            applied = set(connection.execute("SELECT app, name FROM django_migrations"))
            missing = sorted(set(known_migrations()) - applied)
            if missing:
                names = ", ".join(".".join(each) for each in missing)
                yield problem("The tables are older than the program ({names}). Run: manage.py migrate", names=names)
            else:
                yield fine("The tables are up to date")
            unprotected = ", ".join(str(name) for (name,) in connection.execute(UNPROTECTED))
            if unprotected:
                yield problem("Tables of tenants without forced row-level security: {names}", names=unprotected)
            else:
                yield fine("Every table of tenants is under forced row-level security")
    except psycopg.Error as error:
        yield problem("The tables cannot be looked at: {reason}", reason=_reason(error))


def _look_at_server(connection: Connection, *, is_production: bool) -> Iterator[Finding]:
    version = connection.info.server_version
    if version < OLDEST_VERSION:
        yield problem("Postgres {version} is too old; 15 or later is needed", version=version // 10000)
    row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    skew_s = abs(float(str(row[0] if row else 0)) - time.time())
    if skew_s > CLOCK_TOLERANCE_S:
        yield warning("The clocks of Postgres and of this machine differ by {seconds:.0f} s", seconds=skew_s)
    off = [name for name in MUST_BE_ON if _setting(connection, name) != "on"]
    if off:
        yield problem("Postgres has {names} switched off: a crash loses mail that was accepted", names=", ".join(off))
    elif _setting(connection, "synchronous_commit") == "off":
        yield problem("Postgres has synchronous_commit off: a crash loses mail that was accepted")
    else:
        yield fine("Postgres keeps what it has accepted")
    if not _setting(connection, "synchronous_standby_names"):
        text = "Postgres has no synchronous standby: if its machine is lost, mail that was accepted is lost"
        yield problem(text) if is_production else warning(text)


def _setting(connection: Connection, name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    return str(row[0]) if row else ""


def _connect(url: str) -> Connection:
    return psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S, autocommit=True)


def _reason(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
