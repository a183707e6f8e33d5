"""How the results of SEARCH, SORT and THREAD are asked for (RFC 4731 §3.1, 5182, 5256 §3, 5267 §3, 5957, 9394 §3)."""

from dataclasses import dataclass
from enum import Enum


class ReturnOption(Enum):
    """The return options without parameters; the value is the name on the wire."""

    MIN = b"MIN"
    MAX = b"MAX"
    ALL = b"ALL"
    COUNT = b"COUNT"
    SAVE = b"SAVE"


@dataclass(frozen=True, slots=True)
class PartialRange:
    """`partial-range`: results counted from 1, or from -1 backwards; both ends as the client wrote them, none is 0."""

    first: int
    last: int

    def positions(self, count: int) -> range:
        """Which of `count` results are meant, as 0-based positions in their order; maybe none."""
        low, high = sorted((self.first, self.last))
        if low < 0:
            return range(max(0, count + low), max(0, count + high + 1))
        return range(min(low - 1, count), min(high, count))


@dataclass(frozen=True, slots=True)
class ReturnOptions:
    """What stood in RETURN (…). An empty list is ALL. ALL and `partial` are never both there (RFC 9394 §3.1)."""

    options: frozenset[ReturnOption]
    partial: PartialRange | None = None

    def __contains__(self, option: ReturnOption) -> bool:
        return option in self.options

    @property
    def saves(self) -> bool:
        return ReturnOption.SAVE in self.options

    @property
    def only_saves(self) -> bool:
        """SAVE alone: there is to be no ESEARCH response (RFC 5182 §1)."""
        return self.options == {ReturnOption.SAVE} and self.partial is None

    @property
    def concerns_all(self) -> bool:
        """ALL or COUNT: SAVE keeps, and MODSEQ tells of, everything that was found (RFC 5182 §2.4, RFC 4731 §3.2)."""
        if ReturnOption.ALL in self.options or ReturnOption.COUNT in self.options:
            return True
        return self.only_saves


class SortKey(Enum):
    """`sort-key`; the value is the name on the wire."""

    ARRIVAL = b"ARRIVAL"
    CC = b"CC"
    DATE = b"DATE"
    DISPLAYFROM = b"DISPLAYFROM"
    DISPLAYTO = b"DISPLAYTO"
    FROM = b"FROM"
    SIZE = b"SIZE"
    SUBJECT = b"SUBJECT"
    TO = b"TO"


@dataclass(frozen=True, slots=True)
class SortCriterion:
    key: SortKey
    is_reverse: bool = False


class ThreadAlgorithm(Enum):
    """`thread-alg`; the value is the name on the wire."""

    ORDEREDSUBJECT = b"ORDEREDSUBJECT"
    REFERENCES = b"REFERENCES"
