"""What is a Request, and how one that is none is refused (RFC 8620 §3.3, §3.6.1)."""

import json
from typing import Any

import pytest

from webmail.jmap.errors import RequestError
from webmail.jmap.limits import CORE, MAIL, Limits
from webmail.jmap.requests import Invocation, Request, parse_request

GOOD = {"using": [CORE], "methodCalls": [["Core/echo", {"a": 1}, "c1"]]}


def parsed(given: Any) -> Request:
    octets = given if isinstance(given, bytes) else json.dumps(given).encode()
    return parse_request(octets, limits=Limits(), capabilities={CORE, MAIL})


def refusal(given: Any) -> RequestError:
    with pytest.raises(RequestError) as refused:
        parsed(given)
    return refused.value


def test_a_request_is_read() -> None:
    assert parsed({**GOOD, "createdIds": {"k1": "M7"}, "more": 1}) == Request(
        frozenset({CORE}), (Invocation("Core/echo", {"a": 1}, "c1"),), {"k1": "M7"}
    )
    assert parsed(GOOD).created_ids is None


@pytest.mark.parametrize(
    "octets", [b"", b"this is not json", b'{"using": [], "using": [], "methodCalls": []}', b"[" * 9999]
)
def test_what_is_no_json_is_told_so(octets: bytes) -> None:
    assert refusal(octets).kind == "notJSON"


@pytest.mark.parametrize(
    "given",
    [
        [],
        "text",
        None,
        {},
        {"foo": "bar"},
        {**GOOD, "using": None},
        {**GOOD, "using": CORE},
        {**GOOD, "using": [1]},
        {**GOOD, "methodCalls": None},
        {**GOOD, "methodCalls": {}},
        {**GOOD, "methodCalls": ["Core/echo"]},
        {**GOOD, "methodCalls": [["Core/echo", {}]]},
        {**GOOD, "methodCalls": [["Core/echo", {}, "c", "d"]]},
        {**GOOD, "methodCalls": [["Core/echo", [], "c"]]},
        {**GOOD, "methodCalls": [["Core/echo", {}, 1]]},
        {**GOOD, "methodCalls": [[None, {}, "c"]]},
        {**GOOD, "createdIds": []},
        {**GOOD, "createdIds": {"a": 1}},
        {**GOOD, "createdIds": {"not an id": "M1"}},
        {**GOOD, "createdIds": {"a": "not an id"}},
    ],
)
def test_what_is_no_request_is_told_so(given: Any) -> None:
    assert refusal(given).kind == "notRequest"


def test_a_capability_that_nobody_knows_is_named() -> None:
    refused = refusal({**GOOD, "using": [CORE, "https://example.com/apis/foobar"]})
    assert refused.problem() == {
        "type": "urn:ietf:params:jmap:error:unknownCapability",
        "status": 400,
        "detail": "https://example.com/apis/foobar is not a capability of this server",
    }


def test_too_many_calls_are_refused_whole() -> None:
    calls = [["Core/echo", {}, "c"]] * (Limits().max_calls_in_request + 1)
    assert len(parsed({**GOOD, "methodCalls": calls[1:]}).calls) == Limits().max_calls_in_request
    problem = refusal({**GOOD, "methodCalls": calls}).problem()
    assert (problem["type"], problem["limit"]) == ("urn:ietf:params:jmap:error:limit", "maxCallsInRequest")
