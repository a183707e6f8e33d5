"""Environment variables to values that Django's settings want. Pure but for reading the master key."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from tenants.scram_keys import ITERATIONS, LEAST_ITERATIONS, MOST_ITERATIONS

CONNECT_TIMEOUT_S = 5
DATABASE_VARIABLES = {"owner": "WAYPOST_OWNER_DATABASE_URL", "app": "WAYPOST_DATABASE_URL"}


def database_settings(environment: Mapping[str, str], role: str) -> dict[str, dict[str, Any]]:
    """DATABASES for this role; empty when its variable is unset, so that commands without a database still run."""
    if not role:
        return {}
    if role not in DATABASE_VARIABLES:
        raise ImproperlyConfigured(f"WAYPOST_DATABASE_ROLE is {role!r}; it can be owner or app")
    variable = DATABASE_VARIABLES[role]
    url = environment.get(variable, "")
    if not url:
        return {}
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except ProgrammingError as error:
        raise ImproperlyConfigured(f"{variable} is not a libpq URL: {error}") from None
    settings = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.pop("dbname", ""),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        "OPTIONS": {"connect_timeout": CONNECT_TIMEOUT_S, **parts},
    }
    return {"default": settings}


def allowed_hosts(environment: Mapping[str, str]) -> list[str]:
    """Names this server answers to: its own, loopback, and those in WAYPOST_ALLOWED_HOSTS (comma-separated)."""
    more = [host.strip() for host in environment.get("WAYPOST_ALLOWED_HOSTS", "").split(",")]
    return [
        host for host in ("localhost", "127.0.0.1", "[::1]", environment.get("WAYPOST_HOSTNAME", ""), *more) if host
    ]


def trusted_origins(hosts: Sequence[str]) -> list[str]:
    """The same names as origins over TLS; a host that begins with a dot stands for those below it."""
    return [f"https://{'*' + host if host.startswith('.') else host}" for host in hosts if host != "*"]


def scram_iterations(environment: Mapping[str, str]) -> int:
    """What mailserver reads too: WAYPOST_LOGIN_SCRAM_ITERATIONS; 0 keeps nothing of passwords for SCRAM."""
    text = environment.get("WAYPOST_LOGIN_SCRAM_ITERATIONS", "").strip()
    if text and (not text.isdecimal() or not (text == "0" or LEAST_ITERATIONS <= int(text) <= MOST_ITERATIONS)):
        raise ImproperlyConfigured(
            f"WAYPOST_LOGIN_SCRAM_ITERATIONS is {text!r}; it can be 0, or {LEAST_ITERATIONS} to {MOST_ITERATIONS}"
        )
    return int(text) if text else ITERATIONS


def secret_key(environment: Mapping[str, str], *, is_required: bool) -> str:
    """Django's signing key: WAYPOST_SECRET_KEY, else derived from the installation's master key.

    Where neither is there and nothing is signed (management commands before the master key exists), one that lives as
    long as the process.
    """
    if given := environment.get("WAYPOST_SECRET_KEY", ""):
        return given
    directory = environment.get("WAYPOST_SECRETS", "")
    master_key = Path(directory) / "master.key"
    if directory and master_key.is_file():
        return hmac.new(master_key.read_bytes(), b"waypost django secret key v1", hashlib.sha256).hexdigest()
    if is_required:
        raise ImproperlyConfigured("set WAYPOST_SECRETS (a directory with master.key) or WAYPOST_SECRET_KEY")
    return secrets.token_urlsafe(50)
