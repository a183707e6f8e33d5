"""Migrations that are applied already, applied again: what they do while mail flows."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString, cast

import psycopg

from storage import migrations
from tests.conftest import RunningServices

_FORGET = """
DELETE FROM django_migrations WHERE app = 'storage' AND name >= %s RETURNING app, name, applied
"""
_REMEMBER = """
INSERT INTO django_migrations (app, name, applied)
SELECT v.app, v.name, v.applied FROM (VALUES (%s, %s, %s::timestamptz)) AS v (app, name, applied)
 WHERE NOT EXISTS (SELECT FROM django_migrations m WHERE m.app = v.app AND m.name = v.name)
"""
_DROP_TRIGGER = ("DROP TRIGGER IF EXISTS note_thread ON change", "DROP FUNCTION IF EXISTS note_thread_v1()")


@contextmanager
def to_come(services: RunningServices, name: str) -> Iterator[None]:
    """As if this migration of `storage`, and all after it, had not been; `migrate storage NAME` applies it alone."""
    with psycopg.connect(services.owner_url, autocommit=True) as owner:
        applied = owner.execute(_FORGET, (name,)).fetchall()
        try:
            yield
        finally:
            for each in applied:
                owner.execute(_REMEMBER, each)


def expunge_with_trigger() -> list[str]:
    """EXPUNGE as it was while a trigger noted the threads of what it removed, and that trigger."""
    found = re.search(r"FUNCTION expunge_v2.*?END \$\$;", _sql("recoverable"), re.DOTALL)
    noting = re.search(r"CREATE FUNCTION note_thread_v1.*?note_thread_v1\(\);", _sql("type_states"), re.DOTALL)
    assert found and noting
    return [*_DROP_TRIGGER, f"CREATE OR REPLACE {found[0]}", noting[0]]


def expunge_without_trigger() -> list[str]:
    return [*_DROP_TRIGGER, _sql("threads_of_expunged")]


def _sql(name: str) -> str:
    return (Path(next(iter(migrations.__path__))) / "sql" / f"{name}.sql").read_text("utf-8")


def run(services: RunningServices, *statements: str) -> object:
    """As the owner. The first value of what the last of them answers."""
    with psycopg.connect(services.owner_url, autocommit=True) as owner:
        for each in statements:
            cursor = owner.execute(cast(LiteralString, each))
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None
