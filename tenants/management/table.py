"""Tables for terminals, aligned also where a character is two columns wide."""

import unicodedata
from collections.abc import Sequence

GAP = "  "


def columns(text: str) -> int:
    """How many terminal columns the text takes (UAX #11: wide and full-width two, combining none)."""
    return sum(_width(character) for character in text)


def aligned(heading: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> str:
    """Lines under a heading; columns whose number is in `right` stand flush right."""
    lines = [list(heading), *[list(row) for row in rows]]
    widths = [max(columns(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(
        GAP.join(_padded(cell, widths[n], flush_right=n in right) for n, cell in enumerate(line)).rstrip()
        for line in lines
    )


def _padded(text: str, width: int, *, flush_right: bool) -> str:
    fill = " " * (width - columns(text))
    return fill + text if flush_right else text + fill


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
