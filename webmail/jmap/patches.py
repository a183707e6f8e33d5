"""PatchObjects: what is to become of an object, path by path (RFC 8620 §5.3, RFC 6901).

Objects here are two levels deep where they can be changed at all, so a path has one or two parts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webmail.jmap.errors import JsonObject, SetError

_ESCAPE = re.compile(r"~(.?)")


@dataclass(frozen=True, slots=True)
class Patch:
    """Properties that get a new value (None: their default), and members of others that do (None: they go)."""

    whole: Mapping[str, Any]
    members: Mapping[str, Mapping[str, Any]]


def parse_patch(given: JsonObject) -> Patch:
    """Raises SetError (invalidPatch)."""
    whole: dict[str, Any] = {}
    members: dict[str, dict[str, Any]] = {}
    for pointer, value in given.items():
        parts = [_unescaped(part, pointer) for part in pointer.split("/")]
        if len(parts) == 1:
            whole[parts[0]] = value
        elif len(parts) == 2:
            members.setdefault(parts[0], {})[parts[1]] = value
        else:
            raise SetError("invalidPatch", f"{pointer}: what is before its last part is no object")
    for name in members:
        if name in whole:
            raise SetError("invalidPatch", f"{name} is patched as a whole and in part")
    return Patch(whole, members)


def _unescaped(part: str, pointer: str) -> str:
    if any(mark not in ("0", "1") for mark in _ESCAPE.findall(part)):
        raise SetError("invalidPatch", f"{pointer}: no JSON pointer")
    return part.replace("~1", "/").replace("~0", "~")
