"""Arguments are read by name and type, and nothing is passed over (RFC 8620 §3.5, §5)."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from mailserver.assembly import Parts
from tenants.types import AccountId, Address, Principal, TenantId
from webmail.jmap.arguments import LARGEST, Arguments
from webmail.jmap.errors import MethodError
from webmail.jmap.filters import Comparator, FilterCondition, FilterOperator, Operator
from webmail.jmap.limits import Limits
from webmail.jmap.method import Context
from webmail.jmap.standard import StandardChanges, StandardGet, StandardQuery, StandardSet

ANN = Principal(TenantId(1), AccountId(7), Address("ann", "a.test"), "Ann", "en", "UTC", None, False)
NONE = cast(Parts, None)  # reading arguments needs none of them


def taken(**arguments: Any) -> Arguments:
    context = Context(NONE, ANN, Limits(), frozenset(), created_ids={"k1": "M5"})
    return Arguments(context, {"accountId": "A7", **arguments})


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(MethodError) as error:
        act()
    return error.value.kind


def test_a_get_names_objects_once_and_knows_what_was_made() -> None:
    asked = taken(ids=["M1", "M2", "M1", "#k1", "#k2"], properties=["name"]).standard_get({"id", "name", "size"})
    assert asked == StandardGet(("M1", "M2", "M5", "#k2"), frozenset({"name"}), Limits().max_objects_in_get)
    assert asked.shown({"id": "M1", "name": "x", "size": 3}) == {"id": "M1", "name": "x"}
    assert taken().standard_get(None) == StandardGet(None, None, Limits().max_objects_in_get)


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"ids": "M1"}, "invalidArguments"),
        ({"ids": [1]}, "invalidArguments"),
        ({"ids": [""]}, "invalidArguments"),
        ({"ids": ["a b"]}, "invalidArguments"),
        ({"ids": ["x" * 256]}, "invalidArguments"),
        ({"properties": ["colour"]}, "invalidArguments"),
        ({"properties": "name"}, "invalidArguments"),
        ({"properties": [None]}, "invalidArguments"),
        ({"accountId": None}, "invalidArguments"),
        ({"accountId": 7}, "invalidArguments"),
        ({"accountId": "A8"}, "accountNotFound"),
        ({"ids": [f"M{number}" for number in range(501)]}, "requestTooLarge"),
    ],
)
def test_a_get_that_makes_no_sense_is_refused(arguments: dict[str, Any], kind: str) -> None:
    assert refused(lambda: taken(**arguments).standard_get({"id", "name"})) == kind


def test_an_account_must_be_named() -> None:
    context = Context(NONE, ANN, Limits(), frozenset())
    assert refused(lambda: Arguments(context, {}).standard_get(None)) == "invalidArguments"


def test_an_argument_that_nobody_knows_is_refused() -> None:
    reading = taken(ids=None, colour="blue")
    reading.standard_get(None)
    assert refused(reading.end) == "invalidArguments"


def test_changes_are_asked_since_a_state() -> None:
    assert taken(sinceState="1-2", maxChanges=5).standard_changes() == StandardChanges("1-2", 5)


@pytest.mark.parametrize(
    "arguments", [{}, {"sinceState": None}, {"sinceState": "s", "maxChanges": 0}, {"sinceState": "s", "maxChanges": -1}]
)
def test_changes_since_nothing_are_refused(arguments: dict[str, Any]) -> None:
    assert refused(lambda: taken(**arguments).standard_changes()) == "invalidArguments"


def test_a_set_says_what_to_make_change_and_destroy() -> None:
    asked = taken(
        create={"k9": {"a": 1}}, update={"M1": {}, "#k9": {"b": 2}}, destroy=["M2", "M2", "#k9"]
    ).standard_set()
    assert asked == StandardSet(None, {"k9": {"a": 1}}, {"M1": {}, "#k9": {"b": 2}}, ("M2", "#k9"))
    asked.demand_state("anything")
    assert refused(lambda: taken(ifInState="1-1").standard_set().demand_state("1-2")) == "stateMismatch"


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"create": []}, "invalidArguments"),
        ({"create": {"k": []}}, "invalidArguments"),
        ({"create": {"#k": {}}}, "invalidArguments"),
        ({"create": {"": {}}}, "invalidArguments"),
        ({"update": {"M1": None}}, "invalidArguments"),
        ({"destroy": {"M1": True}}, "invalidArguments"),
        ({"ifInState": 5}, "invalidArguments"),
        ({"create": {f"k{n}": {} for n in range(300)}, "destroy": [f"M{n}" for n in range(201)]}, "requestTooLarge"),
    ],
)
def test_a_set_that_makes_no_sense_is_refused(arguments: dict[str, Any], kind: str) -> None:
    assert refused(lambda: taken(**arguments).standard_set()) == kind


def test_a_query_is_read_with_its_filter_and_sort() -> None:
    asked = taken(
        filter={"operator": "OR", "conditions": [{"a": 1}, {"operator": "NOT", "conditions": [{}]}]},
        sort=[
            {"property": "size", "isAscending": False},
            {"property": "hasKeyword", "keyword": "k", "collation": "i;octet"},
        ],
        position=-5,
        anchorOffset=-1,
        limit=10.0,
        calculateTotal=True,
    ).standard_query()
    assert asked == StandardQuery(
        FilterOperator(
            Operator.OR,
            (FilterCondition({"a": 1}), FilterOperator(Operator.NOT, (FilterCondition({}),))),
        ),
        (Comparator("size", False), Comparator("hasKeyword", True, "i;octet", {"keyword": "k"})),
        position=-5,
        anchor=None,
        anchor_offset=-1,
        limit=10,
        is_total_wanted=True,
    )


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"filter": []}, "invalidArguments"),
        ({"filter": {"operator": "AND"}}, "invalidArguments"),
        ({"filter": {"operator": ["AND"], "conditions": []}}, "invalidArguments"),
        ({"filter": {"operator": "AND", "conditions": [], "a": 1}}, "invalidArguments"),
        ({"filter": {"operator": "AND", "conditions": ["a"]}}, "invalidArguments"),
        ({"filter": {"operator": "AND", "conditions": [{}] * 500}}, "unsupportedFilter"),
        ({"sort": {}}, "invalidArguments"),
        ({"sort": ["size"]}, "invalidArguments"),
        ({"sort": [{"property": "size", "isAscending": None}]}, "invalidArguments"),
        ({"sort": [{"property": "size"}] * 17}, "unsupportedSort"),
        ({"limit": -1}, "invalidArguments"),
        ({"limit": 1.5}, "invalidArguments"),
        ({"limit": True}, "invalidArguments"),
        ({"position": LARGEST + 1}, "invalidArguments"),
        ({"position": None}, "invalidArguments"),
        ({"anchor": 5}, "invalidArguments"),
        ({"calculateTotal": None}, "invalidArguments"),
        ({"calculateTotal": "yes"}, "invalidArguments"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(arguments: dict[str, Any], kind: str) -> None:
    assert refused(lambda: taken(**arguments).standard_query()) == kind
