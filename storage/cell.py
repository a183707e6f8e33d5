"""Ids carry the cell that gave them out in their high bits, so that a tenant keeps its ids when it moves (pure).

A cell is one Postgres cluster that holds mail. Bits 48 to 62 of every id of `mail_id` are the cell's number, which
is chosen once, before the first migration, by WAYPOST_CELL_NUMBER; an installation with a single cell leaves it at 0.
"""

from collections.abc import Mapping

ID_BITS = 48
LARGEST_CELL = (1 << 15) - 1


def first_id(cell: int) -> int:
    return (cell << ID_BITS) + 1


def last_id(cell: int) -> int:
    return ((cell + 1) << ID_BITS) - 1


def cell_of(mail_id: int) -> int:
    return mail_id >> ID_BITS


def cell_number(environment: Mapping[str, str]) -> int:
    """The number in WAYPOST_CELL_NUMBER. Raises ValueError with a sentence for who set it."""
    text = environment.get("WAYPOST_CELL_NUMBER", "0").strip()
    if not (text.isascii() and text.isdigit()) or int(text) > LARGEST_CELL:
        raise ValueError(f"WAYPOST_CELL_NUMBER is {text!r}; it must be a whole number from 0 to {LARGEST_CELL}")
    return int(text)
