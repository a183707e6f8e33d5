"""Arguments that are taken from the results of calls before (RFC 8620 §3.7): JSON Pointers (RFC 6901) with `*`."""

import re
from collections.abc import Sequence
from typing import Any

from webmail.jmap.errors import InvalidArguments, JsonObject, MethodError
from webmail.jmap.requests import Invocation

MOST_VALUES = 100_000
"""Of all references of one request. Else each call could hold the one before twice, and the answer the last 2^31 times.
"""
MOST_STEPS = 1_000_000
"""Of all of them through lists: a hundred thousand references that find nothing each look through a whole answer."""
TEXT_OF_A_VALUE = 64  # characters of a string, or of a name, that count as one value

_EACH = "*"
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_BAD_ESCAPE = re.compile(r"~(?![01])")


class References:
    """Resolves the references of one request, within its budget."""

    def __init__(self, responses: Sequence[Invocation]) -> None:
        self._responses = responses
        self._values_left = MOST_VALUES
        self._steps = Steps(MOST_STEPS)

    def resolved(self, arguments: JsonObject) -> JsonObject:
        """The arguments as the method sees them. Raises invalidResultReference, invalidArguments, requestTooLarge."""
        if not any(name.startswith("#") for name in arguments):
            return arguments
        found: JsonObject = {}
        for name, value in arguments.items():
            if not name.startswith("#"):
                found[name] = value
            elif name[1:] in arguments:
                raise InvalidArguments(f"{name[1:]} is given twice, by itself and by reference")
            else:
                found[name[1:]] = self._resolve(name, value)
        return found

    def _resolve(self, name: str, reference: object) -> Any:
        match reference:
            case {"resultOf": str(call_id), "name": str(response_name), "path": str(path)}:
                pass
            case _:
                raise _unresolved(f"{name} must be an object of resultOf, name and path")
        response = next((each for each in self._responses if each.call_id == call_id), None)
        if response is None or response.name != response_name:
            raise _unresolved(f"{name}: no such response")
        value = evaluate(response.arguments, path, self._steps)
        self._values_left -= values_in(value, most=self._values_left)
        if self._values_left < 0:
            raise MethodError("requestTooLarge", "references of a request add up to too many values")
        return value


class Steps:
    """How many items of lists may be looked at."""

    __slots__ = ("_left",)

    def __init__(self, most: int) -> None:
        self._left = most

    def take(self, items: int) -> None:
        """Raises requestTooLarge."""
        self._left -= items
        if self._left < 0:
            raise MethodError("requestTooLarge", "references of a request look through too much")


def evaluate(value: Any, path: str, steps: Steps) -> Any:
    """What a path points to. `*` maps through a list; lists that come of that are joined. Raises MethodError."""
    if path and not path.startswith("/"):
        raise _unresolved("a path begins with /")
    if _BAD_ESCAPE.search(path):
        raise _unresolved("in a path ~ is written ~0, and / in a name ~1")
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in path.split("/")[1:]]
    return _evaluate(value, tokens, 0, steps)


def _evaluate(value: Any, tokens: list[str], at: int, steps: Steps) -> Any:
    for place in range(at, len(tokens)):
        token = tokens[place]
        if isinstance(value, dict):
            if token not in value:
                raise _unresolved(f"there is no {token[:100]}")
            value = value[token]
        elif isinstance(value, list | tuple) and token == _EACH:
            return _mapped(value, tokens, place + 1, steps)
        elif isinstance(value, list | tuple) and _INDEX.fullmatch(token) and int(token) < len(value):
            value = value[int(token)]
        else:
            raise _unresolved(f"there is no {token[:100]}")
    return value


def _mapped(items: Sequence[Any], tokens: list[str], at: int, steps: Steps) -> list[Any]:
    steps.take(len(items))
    joined: list[Any] = []
    for item in items:
        result = _evaluate(item, tokens, at, steps)
        if isinstance(result, list | tuple):
            joined.extend(result)
        else:
            joined.append(result)
    return joined


def values_in(value: Any, *, most: int) -> int:
    """How many values it is made of, counted as often as they stand in it, long names of members as well; more than
    `most` are not looked at."""
    count, left = 0, [value]
    while left and count <= most:
        each = left.pop()
        count += 1
        if isinstance(each, str):
            count += len(each) // TEXT_OF_A_VALUE
        elif isinstance(each, dict):
            left.extend(each.values())
            count += sum(len(name) // TEXT_OF_A_VALUE for name in each)
        elif isinstance(each, list | tuple):
            left.extend(each)
    return count


def _unresolved(description: str) -> MethodError:
    return MethodError("invalidResultReference", description)
