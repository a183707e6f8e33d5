"""The order of messages: SORT's criteria (RFC 5256 §3, RFC 5957). Pure.

Every order is total: messages that are alike in all criteria keep the order of the mailbox, also under REVERSE.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from mailserver.services.search_page import Page
from storage.search_pages import NEVER, Column


class SortBy(Enum):
    ARRIVAL = "arrival"
    CC = "cc"
    DATE = "date"
    DISPLAY_FROM = "display from"
    DISPLAY_TO = "display to"
    FROM = "from"
    SIZE = "size"
    SUBJECT = "subject"
    TO = "to"


@dataclass(frozen=True, slots=True)
class Criterion:
    by: SortBy
    is_reverse: bool = False

    @property
    def is_of_facts(self) -> bool:
        """A number decides, not a text."""
        return self.by in (SortBy.ARRIVAL, SortBy.DATE, SortBy.SIZE)


def columns_for(criteria: Iterable[Criterion]) -> tuple[Column, ...]:
    """What pages must have so that their keys can be asked for."""
    return () if all(criterion.is_of_facts for criterion in criteria) else (Column.SORTING,)


def fact_keys(page: Page, by: SortBy) -> "array[int]":
    """What the page's messages are compared by, one each."""
    match by:
        case SortBy.ARRIVAL:
            return page.facts.received
        case SortBy.DATE:
            return sent_dates(page)
        case _:
            return page.facts.octets


def text_keys(page: Page, by: SortBy) -> list[bytes]:
    """What the page's messages are compared by, one each: collation keys."""
    sorting = page.sorting
    assert sorting is not None
    match by:
        case SortBy.CC:
            column = sorting.cc
        case SortBy.DISPLAY_FROM:
            column = sorting.display_sender
        case SortBy.DISPLAY_TO:
            column = sorting.display_to
        case SortBy.FROM:
            column = sorting.sender
        case SortBy.TO:
            column = sorting.to
        case _:
            column = sorting.subject
    return column.split(b"\0")


def sent_dates(page: Page) -> "array[int]":
    """The moment in the Date field; where there is none, the day the message came in stands for it (RFC 5256 §2.2)."""
    facts = page.facts
    if NEVER not in facts.sent:
        return facts.sent
    return array("q", [sent if sent != NEVER else came for sent, came in zip(facts.sent, facts.received, strict=True)])


def ordered(
    positions: Sequence[int], criteria: Sequence[Criterion], values: Sequence[Sequence[int] | Sequence[bytes]]
) -> list[int]:
    """Ascending positions in the order asked for. `values[i][position]` is compared for `criteria[i]`."""
    order = list(positions)
    for criterion, column in reversed(list(zip(criteria, values, strict=True))):
        order.sort(key=column.__getitem__, reverse=criterion.is_reverse)  # stable, in reverse too
    return order
