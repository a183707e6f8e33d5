"""The master key and the tenants' keys: there, private, and opening what they should."""

import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg

from storage.errors import KeyUnusable
from storage.key_files import read_master_key
from storage.keys import check_tenant_keys
from webmail.operations.findings import Finding, Patient, fine, problem, warning


def check_secrets(patient: Patient) -> Iterator[Finding]:
    """Only the account that runs Waypost may read them."""
    directory = patient.config.secrets
    if not directory.is_dir():
        yield problem("The directory of the keys, {path}, is not there", path=directory)
        return
    exposed = [path for path in (directory, *sorted(directory.rglob("*"))) if _is_exposed(path)]
    if exposed:
        yield problem(
            "Others may read {path} (and {count} more). Run: chmod -R go= {directory}",
            path=exposed[0],
            count=len(exposed) - 1,
            directory=directory,
        )
    else:
        yield fine("Only their owner may read the keys")


def check_keys(patient: Patient) -> Iterator[Finding]:
    try:
        read_master_key(patient.config.secrets)
    except KeyUnusable as unusable:
        yield problem("The master key cannot be used: {reason}", reason=unusable)
        return
    if not patient.owner_url:
        yield warning("WAYPOST_OWNER_DATABASE_URL is not set, so the tenants' keys were not tried")
        return
    try:
        with psycopg.connect(patient.owner_url, connect_timeout=5) as connection:
            failures = check_tenant_keys(patient.config.secrets, connection)
    except psycopg.Error as error:
        yield problem("The tenants' keys cannot be looked at: {reason}", reason=str(error).splitlines()[0])
        return
    for failure in failures:
        yield problem("Keys that do not open: {reason}", reason=failure)
    if not failures:
        yield fine("The keys of every tenant open")


def _is_exposed(path: Path) -> bool:
    return bool(path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
