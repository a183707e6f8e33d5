"""Every registered statement of `storage`, for tests that look at all of them."""

import importlib
import pkgutil
import re
from typing import Any

import storage
from storage.query import REGISTERED, Query

_NOT_OURS = ("storage.models", "storage.apps", "storage.migrations", "storage.management")  # Django's
for _module in pkgutil.walk_packages(storage.__path__, "storage."):
    if not _module.name.startswith(_NOT_OURS):
        importlib.import_module(_module.name)

STATEMENTS: list[Query[Any]] = REGISTERED


def title(query: Query[Any]) -> str:
    return re.sub(r"\W+", " ", query.sql.decode()).strip()[:60]


def parameters(query: Query[Any]) -> list[str]:
    """The names it takes, in their order, each once."""
    return list(dict.fromkeys(re.findall(r"%\((\w+)\)s", query.sql.decode())))


def numbered(query: Query[Any]) -> bytes:
    """The statement as Postgres gets it: $1 instead of the first name, and so on."""
    text = query.sql.decode()
    for number, name in enumerate(parameters(query), start=1):
        text = text.replace(f"%({name})s", f"${number}")
    return text.replace("%%", "%").encode()
