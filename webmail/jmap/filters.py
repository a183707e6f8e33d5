"""What a /query filters and sorts by, as far as every type has it (RFC 8620 §5.5): operators, and comparators.

The conditions themselves, and the properties that may be sorted by, belong to each type.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from webmail.jmap.errors import InvalidArguments, JsonObject, MethodError

MOST_CONDITIONS = 500
MOST_COMPARATORS = 16
_MISPLACED = ("anchor", "anchorOffset", "calculateTotal", "limit", "position")
"""Arguments of the query itself, which jmapc writes into each comparator as well; there they mean nothing."""


class Operator(StrEnum):
    AND = "AND"
    OR = "OR"
    NOT = "NOT"


@dataclass(frozen=True, slots=True)
class FilterOperator:
    """AND: all of them match, OR: at least one, NOT: none. Of no conditions: AND and NOT match, OR does not."""

    operator: Operator
    conditions: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class FilterCondition:
    """What a type's own condition says, unread. All its properties must match."""

    properties: JsonObject


Filter = FilterOperator | FilterCondition


@dataclass(frozen=True, slots=True)
class Comparator:
    """`more` holds what a type's sort takes beside, such as `keyword`."""

    property: str
    is_ascending: bool = True
    collation: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


def parse_filter(given: JsonObject) -> Filter:
    """Raises InvalidArguments, and unsupportedFilter for one that is too large."""
    count = 0

    def parse(node: object) -> Filter:
        nonlocal count
        count += 1
        if count > MOST_CONDITIONS:
            raise MethodError("unsupportedFilter", f"at most {MOST_CONDITIONS} conditions")
        if not isinstance(node, dict):
            raise InvalidArguments("filter: a condition must be an object")
        if "operator" not in node:
            return FilterCondition(node)
        conditions = node.get("conditions")
        if node["operator"] not in list(Operator) or not isinstance(conditions, list) or len(node) > 2:
            raise InvalidArguments("filter: an operator is AND, OR or NOT, with a list of conditions")
        return FilterOperator(Operator(node["operator"]), tuple(parse(each) for each in conditions))

    return parse(given)


def parse_sort(given: object) -> tuple[Comparator, ...]:
    """Raises InvalidArguments, and unsupportedSort for too many comparators."""
    if given is None:
        return ()
    if not isinstance(given, list):
        raise InvalidArguments("sort must be a list of comparators")
    if len(given) > MOST_COMPARATORS:
        raise MethodError("unsupportedSort", f"at most {MOST_COMPARATORS} comparators")
    return tuple(map(_parse_comparator, given))


def _parse_comparator(given: object) -> Comparator:
    if not isinstance(given, dict):
        raise InvalidArguments("sort: a comparator must be an object")
    more = dict(given)
    name, is_ascending, collation = (
        more.pop("property", None),
        more.pop("isAscending", True),
        more.pop("collation", None),
    )
    for each in _MISPLACED:
        more.pop(each, None)
    if not isinstance(name, str) or not isinstance(is_ascending, bool) or not isinstance(collation, str | None):
        raise InvalidArguments("sort: a comparator has a property, and may have isAscending and collation")
    return Comparator(name, is_ascending, collation, more)
