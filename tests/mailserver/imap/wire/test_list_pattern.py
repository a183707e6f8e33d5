"""LIST patterns (RFC 3501 §6.3.8)."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.imap.wire.list_pattern import ListPattern


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*", ["INBOX", "a", "a/b/c", "台北/日本語"], []),
        ("%", ["INBOX", "a"], ["a/b", "/"]),
        ("", [], ["a"]),
        ("INBOX", ["INBOX"], ["INBOX/a", "INBO"]),
        ("inbox", ["INBOX"], ["a"]),
        ("in*", ["INBOX", "indeed"], ["IN"]),
        ("inbox/%", ["INBOX/a"], ["INBOX", "INBOX/a/b"]),
        ("a/%", ["a/b", "a/"], ["a", "a/b/c"]),
        ("a/*", ["a/b", "a/b/c"], ["a", "b/a/"]),
        ("%/b", ["a/b", "/b"], ["a/c/b", "b"]),
        ("*b*d", ["abcd", "bd", "b/d", "abdd"], ["abc", "db"]),
        ("a%%c", ["abc", "ac"], ["a/c"]),
        ("a%*c", ["a/b/c", "ac"], ["a/b"]),
        ("台*", ["台北", "台"], ["北"]),
        ("a.c", ["a.c"], ["abc"]),
    ],
)
def test_wildcards(pattern: str, matching: list[str], others: list[str]) -> None:
    compiled = ListPattern(pattern)
    assert [name for name in matching if not compiled.matches(name)] == []
    assert [name for name in others if compiled.matches(name)] == []


@given(pattern=st.text("ab/*%", max_size=8), name=st.text("ab/", max_size=8))
def test_matching_agrees_with_a_regular_expression(pattern: str, name: str) -> None:
    expression = "".join({"*": ".*", "%": "[^/]*"}.get(character, character) for character in pattern)
    assert ListPattern(pattern).matches(name) == (re.fullmatch(expression, name) is not None)


def test_a_hostile_pattern_costs_little() -> None:
    pattern = ListPattern("*a" * 2000 + "b")
    started = time.process_time()
    assert not pattern.matches("a" * 1000)
    assert time.process_time() - started < 1


def test_a_pattern_without_wildcards_is_literal() -> None:
    assert ListPattern("a/b").is_literal
    assert not ListPattern("a/%").is_literal
