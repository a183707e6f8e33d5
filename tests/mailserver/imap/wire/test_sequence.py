"""Sequence sets are read, written and resolved without expanding a range."""

import itertools
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.imap.wire.sequence import (
    LARGEST,
    MAX_NUMBER,
    SAVED,
    Range,
    SequenceNumberTooLarge,
    SequenceSet,
    UidSet,
    compact,
    format_set,
    joined,
    parse_message_ranges,
    parse_ranges,
    part_of,
    positions_of_numbers,
    positions_of_saved,
    positions_of_uids,
    require_within,
    uid_set,
    uids_at,
)

ENDS = st.integers(LARGEST, 30) | st.just(MAX_NUMBER)
RANGES = st.lists(st.tuples(ENDS, ENDS), min_size=1, max_size=6).map(tuple)
UIDS = st.sets(st.integers(1, 40)).map(lambda uids: array("I", sorted(uids)))


@given(ranges=RANGES)
def test_a_set_comes_back_from_its_wire_form(ranges: tuple[Range, ...]) -> None:
    assert parse_ranges(format_set(SequenceSet(ranges))) == ranges


def test_a_set_as_rfc_3501_shows_it() -> None:
    assert parse_ranges(b"2,4:7,9,12:*") == ((2, 2), (4, 7), (9, 9), (12, LARGEST))


def _members(ranges: tuple[Range, ...], largest: int) -> set[int]:
    """What the RFC says, by expanding: fine for small numbers."""
    found: set[int] = set()
    for ends in ranges:
        low, high = sorted(end or largest for end in ends)
        found.update(range(low, min(high, 100) + 1))
    return found


@given(ranges=RANGES, uids=UIDS)
def test_uids_are_found_as_if_the_set_were_expanded(ranges: tuple[Range, ...], uids: "array[int]") -> None:
    positions = positions_of_uids(UidSet(ranges), uids)
    expected = sorted(_members(ranges, uids[-1]) & set(uids)) if uids else []
    assert uids_at(positions, uids) == expected
    assert all(before.stop < after.start for before, after in itertools.pairwise(positions))


@given(ranges=RANGES, count=st.integers(0, 30))
def test_numbers_are_found_as_if_the_set_were_expanded(ranges: tuple[Range, ...], count: int) -> None:
    positions = positions_of_numbers(SequenceSet(ranges), count)
    expected = sorted(_members(ranges, count) & set(range(1, count + 1)))
    assert [index + 1 for span in positions for index in span] == expected
    assert all(before.stop < after.start for before, after in itertools.pairwise(positions))


def test_a_range_to_the_largest_always_names_the_last_message() -> None:
    uids = array("I", [3, 7, 500])
    assert positions_of_uids(UidSet(((559, LARGEST),)), uids) == [range(2, 3)]


def test_an_empty_mailbox_holds_nothing() -> None:
    assert positions_of_uids(UidSet(((1, LARGEST),)), array("I")) == []
    assert positions_of_numbers(SequenceSet(((1, LARGEST),)), 0) == []


def test_the_whole_of_a_large_mailbox_is_one_range() -> None:
    uids = array("I", range(1, 1_000_001))
    assert positions_of_uids(UidSet(((1, MAX_NUMBER),)), uids) == [range(1_000_000)]


@pytest.mark.parametrize(
    ("ranges", "count", "number"),
    [(((1, 4),), 3, 4), (((LARGEST, LARGEST),), 0, LARGEST), (((9, 1),), 8, 9), (((1, LARGEST),), 0, 1)],
)
def test_a_message_that_is_not_there_is_named(ranges: tuple[Range, ...], count: int, number: int) -> None:
    with pytest.raises(SequenceNumberTooLarge) as refusal:
        require_within(SequenceSet(ranges), count)
    assert refusal.value.number == number


def test_messages_that_are_there_pass() -> None:
    require_within(SequenceSet(((1, LARGEST), (3, 2))), 3)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([], b""),
        ([5], b"5"),
        ([1, 2, 3, 7], b"1:3,7"),
        ([304, 319, 320], b"304,319:320"),
        ([3, 2, 1], b"3,2,1"),
        ([9, 10, 1, 2], b"9:10,1:2"),
    ],
)
def test_runs_are_joined_in_the_order_given(numbers: list[int], expected: bytes) -> None:
    assert compact(numbers) == expected


@given(numbers=st.lists(st.integers(1, 20), max_size=20))
def test_compacting_loses_nothing(numbers: list[int]) -> None:
    ranges = uid_set(numbers).ranges
    assert [number for low, high in ranges for number in range(low, high + 1)] == numbers
    assert format_set(uid_set(numbers)) == compact(numbers)


def test_saved_messages_are_passed_over_by_those_who_do_not_know_them() -> None:
    uids = array("I", [3, 5, 9])
    named = parse_message_ranges(b"2,$")
    assert named == ((2, 2), SAVED)
    assert positions_of_numbers(SequenceSet(named), 3) == [range(1, 2)]
    assert positions_of_uids(UidSet((SAVED,)), uids) == []
    require_within(SequenceSet((SAVED,)), 0)
    assert format_set(SequenceSet(named)) == b"2,$"


def test_a_plain_set_knows_no_saved_messages() -> None:
    with pytest.raises(ValueError, match="made of numbers"):
        parse_ranges(b"$")


@given(st.sets(st.integers(1, 30)), st.sets(st.integers(1, 30)))
def test_saved_uids_stand_where_they_are_left(saved: set[int], there: set[int]) -> None:
    uids = array("I", sorted(there))
    found = positions_of_saved(array("I", sorted(saved)), uids)
    assert uids_at(found, uids) == sorted(saved & there)
    assert all(before.stop < after.start for before, after in itertools.pairwise(found))


@given(
    st.lists(st.integers(0, 20), max_size=6),
    st.lists(st.integers(0, 20), max_size=6),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_positions_are_joined_and_parted(ones: list[int], others: list[int], begin: int, length: int) -> None:
    def spans(numbers: list[int]) -> list[range]:
        return [range(number, number + 3) for number in numbers]

    both = joined(spans(ones), spans(others))
    members = sorted({each for span in [*spans(ones), *spans(others)] for each in span})
    assert [each for span in both for each in span] == members
    part = part_of(both, range(begin, begin + length))
    assert [each for span in part for each in span] == members[begin : begin + length]
