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


def test_thousands_of_names_against_the_most_hostile_pattern_cost_little() -> None:
    pattern = ListPattern("%a*" * 400)
    names = [f"{number:05}" + "ab" * 100 for number in range(500)]
    started = time.process_time()
    assert not any(pattern.matches(name) for name in names)
    assert time.process_time() - started < 2


@pytest.mark.parametrize("pattern", ["a" * 1025, "*" + "a*" * 1025, "%" + "a" * 60_000])
def test_a_pattern_longer_than_any_name_matches_nothing(pattern: str) -> None:
    assert not ListPattern(pattern).matches("a" * 1000)


def test_accents_match_however_they_are_written() -> None:
    assert ListPattern("Cafe\u0301/%").matches("Caf\u00e9/menu")
