"""Tables stay aligned whatever script the cells are in."""

from hypothesis import given
from hypothesis import strategies as st

from tenants.management.table import aligned, columns

CELLS = st.text("abc 张三é\u0301한ｆ", max_size=8)


def test_chinese_characters_take_two_columns() -> None:
    assert columns("abc张三") == 7
    assert columns("e\u0301") == 1


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5))
def test_the_second_column_begins_at_the_same_place_in_every_line(rows: list[tuple[str, str]]) -> None:
    width = max(columns(first) for first, _ in rows)
    lines = aligned(rows[0], rows[1:]).split("\n")
    for line, (first, second) in zip(lines, rows, strict=True):
        assert line == (first + " " * (width - columns(first) + 2) + second).rstrip()


def test_numbers_stand_flush_right() -> None:
    assert aligned(["n"], [["5"], ["123"]], right=frozenset({0})) == "  n\n  5\n123"
