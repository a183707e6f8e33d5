"""Sets of positions as integers are what sets of positions are."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from mailserver.services import position_mask as masks

COUNT = 40
some = st.sets(st.integers(0, COUNT - 1))


@given(some, some)
def test_masks_are_sets(ones: set[int], others: set[int]) -> None:
    one, other = masks.of_positions(ones, COUNT), masks.of_positions(others, COUNT)
    assert masks.positions_of(one) == sorted(ones)
    assert masks.positions_of(one & other) == sorted(ones & others)
    assert masks.positions_of(one | other) == sorted(ones | others)
    assert masks.positions_of(masks.everything(COUNT) & ~one) == sorted(set(range(COUNT)) - ones)


@given(st.lists(st.tuples(st.integers(0, COUNT - 1), st.integers(0, 9)), max_size=60))
def test_spans_become_masks(ends: list[tuple[int, int]]) -> None:
    spans = [range(begin, min(begin + length, COUNT)) for begin, length in ends]
    assert masks.positions_of(masks.of_spans(spans, COUNT)) == sorted({each for span in spans for each in span})


@given(st.lists(st.integers(0, 31), max_size=COUNT), st.sampled_from([1, 2, 4, 8, 16]))
def test_a_bit_of_many_octets(values: list[int], bit: int) -> None:
    expected = [position for position, value in enumerate(values) if value & bit]
    assert masks.positions_of(masks.of_bit(array("B", values), bit)) == expected


@given(some, st.integers(0, COUNT - 1), st.integers(1, 9))
def test_is_there_any(ones: set[int], begin: int, length: int) -> None:
    asked = masks.has_any(masks.of_positions(ones, COUNT), begin, begin + length)
    assert asked == bool(ones & set(range(begin, begin + length)))


@given(st.sets(st.integers(0, 9_999), max_size=120))
def test_few_among_many(positions: set[int]) -> None:
    assert masks.positions_of(masks.of_positions(positions, 10_000)) == sorted(positions)


def test_nothing_is_in_nothing() -> None:
    assert masks.everything(0) == masks.of_positions((), 0) == masks.of_digits(b"") == masks.of_spans((), 0) == 0
    assert masks.positions_of(0) == []
