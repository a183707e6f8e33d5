"""Ids say which cell gave them out."""

import pytest

from storage.cell import LARGEST_CELL, cell_number, cell_of, first_id, last_id
from tests.conftest import RunningServices, owner_connection


@pytest.mark.parametrize("cell", [0, 1, 77, LARGEST_CELL])
def test_the_ids_of_a_cell_carry_its_number_and_fit_a_bigint(cell: int) -> None:
    assert cell_of(first_id(cell)) == cell_of(last_id(cell)) == cell
    assert last_id(cell) < 2**63
    assert first_id(cell) > last_id(cell - 1)


@pytest.mark.parametrize("text", ["-1", "32768", "one", "1.5", "٣"])
def test_a_wrong_cell_number_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="WAYPOST_CELL_NUMBER"):
        cell_number({"WAYPOST_CELL_NUMBER": text})


def test_the_sequence_of_ids_stays_within_its_cell(services: RunningServices) -> None:
    with owner_connection(services) as connection:
        row = connection.execute(
            "SELECT min_value, max_value FROM pg_sequences WHERE sequencename = 'mail_id'"
        ).fetchone()
    assert row == (first_id(0), last_id(0))
