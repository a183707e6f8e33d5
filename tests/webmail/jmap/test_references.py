"""Arguments taken from results before (RFC 8620 §3.7)."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.jmap.errors import MethodError
from webmail.jmap.references import MOST_STEPS, MOST_VALUES, References, Steps, evaluate
from webmail.jmap.requests import Invocation

THREADS = {
    "list": [{"id": "T1", "emailIds": ["M1", "M2"]}, {"id": "T2", "emailIds": ["M3"]}, {"id": "T3", "emailIds": []}]
}
DONE = [
    Invocation("Foo/changes", {"created": ["f1", "f4"], "odd/na~me": {"": 0}}, "t0"),
    Invocation("Thread/get", THREADS, "t2"),
    Invocation("Foo/set", {"again": True}, "t2"),
]


def resolved(arguments: dict[str, Any]) -> dict[str, Any]:
    return References(DONE).resolved(arguments)


def refusal(arguments: dict[str, Any]) -> str:
    with pytest.raises(MethodError) as refused:
        resolved(arguments)
    return refused.value.kind


def reference(result_of: Any, name: Any, path: Any) -> dict[str, Any]:
    return {"resultOf": result_of, "name": name, "path": path}


@pytest.mark.parametrize(
    ("call_id", "name", "path", "value"),
    [
        ("t0", "Foo/changes", "/created", ["f1", "f4"]),
        ("t0", "Foo/changes", "/created/1", "f4"),
        ("t0", "Foo/changes", "/created/*", ["f1", "f4"]),
        ("t0", "Foo/changes", "/odd~1na~0me/", 0),
        ("t0", "Foo/changes", "", DONE[0].arguments),
        ("t2", "Thread/get", "/list/*/id", ["T1", "T2", "T3"]),
        ("t2", "Thread/get", "/list/*/emailIds", ["M1", "M2", "M3"]),
        ("t2", "Thread/get", "/list/*/emailIds/*", ["M1", "M2", "M3"]),
        ("t2", "Thread/get", "/list/2/emailIds", []),
    ],
)
def test_a_reference_is_what_it_points_to(call_id: str, name: str, path: str, value: Any) -> None:
    given = {"accountId": "A1", "#ids": reference(call_id, name, path)}
    assert resolved(given) == {"accountId": "A1", "ids": value}


@pytest.mark.parametrize(
    ("call_id", "name", "path"),
    [
        ("t1", "Foo/changes", "/created"),  # no such call
        ("t0", "Foo/get", "/created"),  # it was answered by another name
        ("t2", "Foo/set", "/again"),  # only the first response counts
        ("t0", "Foo/changes", "created"),
        ("t0", "Foo/changes", "/updated"),
        ("t0", "Foo/changes", "/created/2"),
        ("t0", "Foo/changes", "/created/-"),
        ("t0", "Foo/changes", "/created/01"),
        ("t0", "Foo/changes", "/created/+1"),
        ("t0", "Foo/changes", "/created/0/0"),
        ("t0", "Foo/changes", "/*"),  # an object is not mapped through
        ("t0", "Foo/changes", "/odd~2"),
        ("t2", "Thread/get", "/list/*/name"),
        ("t2", "Thread/get", "/list/**/id"),
        (1, "Foo/changes", "/created"),
        ("t0", None, "/created"),
        ("t0", "Foo/changes", ["created"]),
    ],
)
def test_a_reference_to_nothing_is_refused(call_id: Any, name: Any, path: Any) -> None:
    assert refusal({"#ids": reference(call_id, name, path)}) == "invalidResultReference"


@pytest.mark.parametrize("value", [None, [], "t0", {}, {"resultOf": "t0", "name": "Foo/changes"}])
def test_what_is_no_reference_is_refused(value: Any) -> None:
    assert refusal({"#ids": value}) == "invalidResultReference"


def test_an_argument_comes_one_way_only() -> None:
    assert refusal({"ids": [], "#ids": reference("t0", "Foo/changes", "/created")}) == "invalidArguments"


def test_references_cannot_grow_without_end() -> None:
    """Each call holds the one before twice: after thirty calls that would be a billion values."""
    done = [Invocation("Core/echo", {"a": "x"}, "0")]
    references = References(done)
    kind = ""
    for number in range(1, 32):
        twice = {f"#{name}": reference(str(number - 1), "Core/echo", "") for name in ("a", "b")}
        try:
            done.append(Invocation("Core/echo", references.resolved(twice), str(number)))
        except MethodError as refused:
            kind = refused.kind
            break
    assert kind == "requestTooLarge"
    assert len(done) < 20


def test_long_strings_count_as_many_values() -> None:
    done = [Invocation("Core/echo", {"a": "x" * 64 * MOST_VALUES}, "0")]
    with pytest.raises(MethodError):
        References(done).resolved({"#b": reference("0", "Core/echo", "/a")})


def test_long_names_count_as_many_values() -> None:
    """One of megabytes that thousands of references repeat would make an answer of gigabytes."""
    done = [Invocation("Core/echo", {"a": {"x" * 64 * (MOST_VALUES // 4): 1}}, "0")]
    several = {f"#{number}": reference("0", "Core/echo", "/a") for number in range(5)}
    with pytest.raises(MethodError) as refused:
        References(done).resolved(several)
    assert refused.value.kind == "requestTooLarge"


def test_references_that_find_nothing_do_not_look_for_it_without_end() -> None:
    """Else one request would keep everybody waiting for a minute."""
    done = [Invocation("Foo/get", {"list": [{"id": "f", "parts": []}] * 500}, "0")]
    many = {f"#{number}": reference("0", "Foo/get", "/list/*/parts") for number in range(100_000)}
    with pytest.raises(MethodError) as refused:
        References(done).resolved(many)
    assert refused.value.kind == "requestTooLarge"


@given(
    st.text(), st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_whatever_the_path_it_finds_something_or_refuses(path: str, value: Any) -> None:
    with contextlib.suppress(MethodError):
        evaluate(value, path, Steps(MOST_STEPS))
