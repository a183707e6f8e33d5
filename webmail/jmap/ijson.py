"""I-JSON: JSON without what one reader takes for this and the next for that (RFC 7493, RFC 8620 §1.5)."""

import json
import math
import re
from typing import Any

import orjson

MOST_DEPTH = 100
MOST_MARKS = 1_000_000
"""Brackets and commas of one text: each stands for a value that takes memory, dozens of octets for one."""

_LARGEST = 2**63 - 1
_TOO_LONG_NUMBER = re.compile(rb"[0-9]{309}")
"""A double holds 308 digits; other integers need not be looked at one by one."""
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
_NONCHARACTER = re.compile(
    rb"\xef\xb7[\x90-\xaf]|\xef\xbf[\xbe\xbf]|[\xf0-\xf4][\x9f\xaf\xbf\x8f]\xbf[\xbe\xbf]"  # U+FDD0 …, U+nFFFE, U+nFFFF
)
_REPLACEMENT = "�".encode()


class NotIJson(Exception):
    """The octets are no I-JSON, or more than we read."""


class TooManyValues(NotIJson):
    """It may well be I-JSON, but of so many small values that reading it would cost many times its size."""


def parse(octets: bytes) -> Any:
    """The value that a text stands for. Raises NotIJson.

    Refused beside what is no JSON: names that come twice in an object, halves of surrogate pairs, numbers too large for
    a double, anything nested deeper than MOST_DEPTH.
    """
    marks = octets.count(b"[") + octets.count(b"{")
    if marks + octets.count(b",") > MOST_MARKS:
        raise TooManyValues("too many values")
    try:
        value = json.loads(
            octets.decode(),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_finite_integer if _TOO_LONG_NUMBER.search(octets) else int,
        )
        if _HALF_PAIR.search(octets):
            orjson.loads(octets)  # which takes whole pairs only
    except RecursionError:
        raise NotIJson("nested too deep") from None
    except ValueError as error:
        raise NotIJson(str(error)) from None
    if marks > MOST_DEPTH:
        _demand_shallow(value)
    return value


def write(value: Any) -> bytes:
    """The text of a value; what I-JSON has no place for (RFC 7493 §2.1) becomes U+FFFD."""
    try:
        octets = orjson.dumps(value)
    except TypeError:
        octets = orjson.dumps(_writable(value))
    if b"\xbf\xbe" in octets or b"\xbf\xbf" in octets or b"\xef\xb7" in octets:
        return _NONCHARACTER.sub(_REPLACEMENT, octets)
    return octets


def is_text(octets: bytes) -> bool:
    """Whether they are text that a string of I-JSON can hold unchanged."""
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return _NONCHARACTER.search(octets) is None


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a name comes twice in an object")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _finite_integer(text: str) -> int:
    number = int(text)
    _finite(text)
    return number


def _demand_shallow(value: Any) -> None:
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise NotIJson("nested too deep")


def _writable(value: Any) -> Any:
    """The same with U+FFFD for what no UTF-8 can hold, and doubles for what is too large for other numbers (RFC 7493
    §2.2). Raises TypeError for a value that is no JSON at all."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case dict():
            return {_writable(name): _writable(each) for name, each in value.items()}
        case list() | tuple():
            return [_writable(each) for each in value]
        case int() if not -_LARGEST <= value <= _LARGEST:
            return float(value)
        case _:
            return value
