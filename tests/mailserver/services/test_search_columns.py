"""Columns of search pages: what is packed comes back, and what is looked for is found in its entry."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.mime.fields import parse_fields
from mailserver.mime.folding import fold
from mailserver.services.search_columns import (
    CUT,
    ENTRY_CHARACTERS,
    ThreadingFacts,
    aligned,
    entries_cut,
    entries_with,
    facts_between,
    facts_joined,
    needle_of,
    pack_columns,
    pack_facts,
    pack_threading,
    stamp_of,
    text_column,
    threading_facts,
    unpack_columns,
    unpack_facts,
    unpack_threading,
)
from storage.search_pages import NEVER, PackedFacts

moments = st.integers(NEVER, 2**62)


@st.composite
def some_facts(draw: st.DrawFn) -> PackedFacts:
    uids = sorted(draw(st.sets(st.integers(1, 2**32 - 1), max_size=9)))
    columns = [array("q", draw(st.lists(moments, min_size=len(uids), max_size=len(uids)))) for _ in range(6)]
    return PackedFacts(array("I", uids), *columns)


@given(some_facts(), st.integers(0, 9))
def test_facts_come_back(facts: PackedFacts, at: int) -> None:
    assert unpack_facts(pack_facts(facts)) == facts
    at = min(at, len(facts.uids))
    parts = [facts_between(facts, 0, at), facts_between(facts, at, len(facts.uids))]
    assert facts_joined(parts) == facts


@pytest.mark.parametrize("octets", [b"", b"\x01", b"\x01\0\0\0", b"\0\0\0\0x"])
def test_facts_that_are_cut_are_noticed(octets: bytes) -> None:
    with pytest.raises(ValueError, match="cut"):
        unpack_facts(octets)


words = st.lists(st.text(alphabet="abß éÉ王\u0301", max_size=6), max_size=12)


@given(words, st.text(alphabet="abß éÉ王\u0301", max_size=3))
def test_entries_are_found_as_one_by_one(texts: list[str], text: str) -> None:
    column = text_column(texts)
    expected = [at for at, each in enumerate(texts) if (fold(text) in fold(each) and (text or each))]
    assert entries_with(column, needle_of(text)) == expected


def test_what_no_text_holds_is_found_nowhere() -> None:
    column = text_column(["a" * ENTRY_CHARACTERS, "b"])
    assert entries_with(column, needle_of(CUT)) == []
    assert entries_with(column, needle_of("a\0b")) == []
    assert entries_cut(column) == [0]


def test_entries_are_cut_to_a_measure() -> None:
    column = text_column(["short", "x" * (ENTRY_CHARACTERS - 1), "x" * ENTRY_CHARACTERS + "beyond"])
    assert entries_cut(column) == [2]
    assert entries_with(column, b"beyond") == []
    assert entries_with(column, b"x") == [1, 2]


def test_texts_are_put_beside_their_messages() -> None:
    uids = array("I", [2, 5, 7])
    assert aligned(uids, ["a", "b", "c"], array("I", [2, 5, 7])) == ["a", "b", "c"]
    assert aligned(uids, ["a", "b", "c"], array("I", [1, 5, 9])) == ["", "b", ""]


@given(st.lists(st.binary(max_size=9), min_size=3, max_size=3))
def test_columns_come_back(columns: list[bytes]) -> None:
    assert unpack_columns(pack_columns(columns), 3) == columns


@pytest.mark.parametrize("octets", [b"", b"\0" * 7, b"\x01" + b"\0" * 7, b"\0" * 9])
def test_columns_that_are_cut_are_noticed(octets: bytes) -> None:
    with pytest.raises(ValueError, match="cut"):
        unpack_columns(octets, 2)


numbers = st.integers(0, 2**64 - 1)
threading = st.builds(
    ThreadingFacts, st.booleans(), numbers, st.lists(numbers, max_size=4).map(lambda n: array("Q", n))
)


@given(st.lists(threading, max_size=6))
def test_threading_comes_back(messages: list[ThreadingFacts]) -> None:
    assert unpack_threading(pack_threading(messages)) == messages


def test_threading_that_is_cut_is_noticed() -> None:
    with pytest.raises(ValueError, match="cut"):
        unpack_threading(pack_threading([ThreadingFacts(False, 1, array("Q", [2, 3]))])[:-8])


def test_a_message_refers_to_what_its_header_says() -> None:
    first = threading_facts(parse_fields(b"Message-ID: <a@x>\r\nSubject: lunch\r\n\r\n"))
    answer = threading_facts(parse_fields(b'Subject: Re: lunch\r\nReferences: <"a"@x>\r\n\r\n'))
    assert list(answer.references) == [first.message_id]
    assert (first.is_reply, answer.is_reply) == (False, True)
    assert answer.message_id == 0


def test_of_a_long_chain_both_ends_stay() -> None:
    header = "References: " + "\r\n ".join(f"<{number}@x>" for number in range(500)) + "\r\n\r\n"
    found = threading_facts(parse_fields(header.encode())).references
    assert len(found) == 101
    assert found[50] == 0
    assert 0 not in [*found[:50], *found[51:]]


def test_other_messages_have_another_stamp() -> None:
    assert stamp_of(array("I", [1, 2])) != stamp_of(array("I", [1, 3]))
    assert 0 <= stamp_of(array("I")) < 2**63
