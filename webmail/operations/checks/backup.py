"""Backups: WAL that is archived without failures, and a restored database in which new epochs were begun."""

from collections.abc import Iterator

import psycopg

from webmail.operations.findings import Finding, Patient, fine, problem, warning

CONNECT_TIMEOUT_S = 5
_ARCHIVER = """
SELECT current_setting('archive_mode') <> 'off', coalesce(current_setting('waypost.needs_epoch', true), '') = 'on',
       last_failed_time, last_failed_time > coalesce(last_archived_time, '-infinity')
  FROM pg_stat_archiver
"""


def check_backup(patient: Patient) -> Iterator[Finding]:
    try:
        with psycopg.connect(patient.config.database.app_url, connect_timeout=CONNECT_TIMEOUT_S) as connection:
            found = connection.execute(_ARCHIVER).fetchone()
    except psycopg.Error:
        return  # check_roles has said it
    assert found is not None
    is_archived, needs_epoch, failed_at, is_failing = found
    if needs_epoch:
        yield problem(
            "The database was restored: mail programs go wrong before manage.py restore epoch has run"
            " (then: ALTER SYSTEM RESET waypost.needs_epoch)"
        )
    if is_archived and is_failing:
        yield problem("Postgres has failed to archive its WAL since {since:%Y-%m-%d %H:%M:%S %Z}", since=failed_at)
    elif is_archived:
        yield fine("Postgres archives its WAL")
    elif patient.is_production:
        yield warning("Postgres does not archive its WAL: only the moments of backups can be restored")
