"""Keeps what must not be logged out of log events: passwords, tokens, subjects, bodies, and octets of any kind.

The callers are to pass ids and counts; this is the net below them. Octets are shown as a count only, because a line
that failed to parse may hold a password. Text is cut, because a header may be as long as its sender likes.
"""

from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any

FORBIDDEN = frozenset(
    {
        "authorization",
        "body",
        "content",
        "cookie",
        "credentials",
        "header",
        "headers",
        "key",
        "line",
        "message",
        "passphrase",
        "password",
        "payload",
        "preview",
        "response",
        "secret",
        "subject",
        "text",
        "token",
    }
)
FORBIDDEN_ENDINGS = ("_password", "_token", "_secret", "_key", "_subject", "_body")
NOT_LOGGED = "[not logged]"
TEXT_LIMIT = 500
TRACEBACK_LIMIT = 20_000
DEPTH_LIMIT = 4


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor; what it returns holds no forbidden name at any depth."""
    for name, value in event.items():
        if is_forbidden(name):
            event[name] = NOT_LOGGED
        elif type(value) is not int and not (type(value) is str and len(value) <= TEXT_LIMIT):  # which most are
            limit = TRACEBACK_LIMIT if name == "exception" else TEXT_LIMIT
            event[name] = _clean(value, limit, DEPTH_LIMIT)
    return event


@lru_cache(1_024)
def is_forbidden(name: str) -> bool:
    lowered = name.lower()
    return lowered in FORBIDDEN or lowered.endswith(FORBIDDEN_ENDINGS)


def _clean(value: Any, limit: int, depth: int) -> Any:
    match value:
        case str():
            return value if len(value) <= limit else f"{value[:limit]}… ({len(value)} characters)"
        case None | bool() | int() | float():
            return value
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} octets>"
        case Mapping() if depth:
            return {
                str(name): NOT_LOGGED if is_forbidden(str(name)) else _clean(each, limit, depth - 1)
                for name, each in value.items()
            }
        case list() | tuple() | set() | frozenset() if depth:
            return [_clean(each, limit, depth - 1) for each in value]
        case _:
            return _clean(str(value), limit, 0)
