"""The order of Emails (RFC 8621 §4.4.2). Pure.

Every order is total: Emails that are alike in all comparators stand in the order of arrival.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from mailserver.mime.folding import collation_key
from mailserver.services.account_view import AccountView
from mailserver.services.email_filters import Span, ThreadHasKeyword, bits_of, in_memory, with_keyword


class SortBy(Enum):
    RECEIVED = "receivedAt"
    SENT = "sentAt"
    SIZE = "size"
    FROM = "from"
    TO = "to"
    SUBJECT = "subject"
    KEYWORD = "hasKeyword"
    ALL_IN_THREAD = "allInThreadHaveKeyword"
    SOME_IN_THREAD = "someInThreadHaveKeyword"


TEXTS = (SortBy.FROM, SortBy.TO, SortBy.SUBJECT)


class Collation(Enum):
    """How texts compare (RFC 4790): i;ascii-casemap minds the case of ASCII letters alone, i;unicode-casemap of all
    (RFC 5051); i;ascii-numeric compares the number that a text begins with."""

    ASCII_NUMERIC = "i;ascii-numeric"
    ASCII_CASEMAP = "i;ascii-casemap"
    UNICODE_CASEMAP = "i;unicode-casemap"


@dataclass(frozen=True, slots=True)
class Comparator:
    """`keyword` (in lower case) for those that are about one."""

    by: SortBy
    is_ascending: bool = True
    collation: Collation = Collation.UNICODE_CASEMAP
    keyword: str = ""


ARRIVAL = Comparator(SortBy.RECEIVED)
LATEST_FIRST = Comparator(SortBy.RECEIVED, is_ascending=False)
Keys = Sequence[int] | Sequence[bytes] | Mapping[int, bytes]
"""What slots are compared by."""


def text_key(text: str, collation: Collation) -> bytes:
    """Keys compare as texts do under the collation."""
    match collation:
        case Collation.UNICODE_CASEMAP:
            return collation_key(text).encode("utf-8", "replace")
        case Collation.ASCII_CASEMAP:
            return text.encode("utf-8", "replace").upper()
        case Collation.ASCII_NUMERIC:
            digits = text[: len(text) - len(text.lstrip("0123456789"))].lstrip("0")
            if not text[:1].isdecimal() or not text[:1].isascii():
                return b"\xff"  # no number is greater (RFC 4790 §9.1)
            return len(digits).to_bytes(4, "big") + digits.encode()


def keys_in_memory(view: AccountView, comparator: Comparator) -> Keys:
    facts = view.facts
    match comparator.by:
        case SortBy.SENT:  # a message that says no date comes as if it said an early one
            return facts.sent
        case SortBy.SIZE:
            return facts.octets
        case SortBy.KEYWORD:
            return bits_of(view, with_keyword(view, comparator.keyword))
        case SortBy.ALL_IN_THREAD:
            return bits_of(view, in_memory(view, ThreadHasKeyword(Span.ALL, comparator.keyword)))
        case SortBy.SOME_IN_THREAD:
            return bits_of(view, in_memory(view, ThreadHasKeyword(Span.SOME, comparator.keyword)))
        case _:
            return facts.received


def ordered(slots: Sequence[int], comparators: Sequence[tuple[Comparator, Keys]]) -> list[int]:
    """Slots in the order of arrival, in the order asked for."""
    order = list(slots)
    for comparator, keys in reversed(comparators):
        order.sort(key=keys.__getitem__, reverse=not comparator.is_ascending)  # stable, in reverse too
    return order
