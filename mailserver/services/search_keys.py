"""What can be searched for within a mailbox, as a tree of values; protocol words are gone (RFC 3501 §6.4.4)."""

from dataclasses import dataclass
from datetime import date
from enum import Enum

from storage.types import Modseq, SystemFlag


class DateComparison(Enum):
    """BEFORE excludes its day, SINCE includes it."""

    BEFORE = "before"
    ON = "on"
    SINCE = "since"


@dataclass(frozen=True, slots=True)
class Everything:
    pass


@dataclass(frozen=True, slots=True)
class AllOf:
    keys: "tuple[SearchProgram, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    keys: "tuple[SearchProgram, ...]"


@dataclass(frozen=True, slots=True)
class NoneOf:
    key: "SearchProgram"


@dataclass(frozen=True, slots=True)
class AmongUids:
    """Sequence sets, UID sets and \\Recent, resolved by whoever keeps the view."""

    uids: frozenset[int]


@dataclass(frozen=True, slots=True)
class HasFlag:
    flag: SystemFlag


@dataclass(frozen=True, slots=True)
class HasKeyword:
    """Compared without case."""

    keyword: str


@dataclass(frozen=True, slots=True)
class HeaderContains:
    """A field with this name (lower-case) holds the text, case disregarded; an empty text asks only for the field."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class BodyContains:
    text: str


@dataclass(frozen=True, slots=True)
class TextContains:
    """In the header or the body."""

    text: str


@dataclass(frozen=True, slots=True)
class ReceivedOn:
    """The day the message came in, in UTC."""

    comparison: DateComparison
    day: date


@dataclass(frozen=True, slots=True)
class SentOn:
    """The day that the Date field names, in the zone it is written in."""

    comparison: DateComparison
    day: date


@dataclass(frozen=True, slots=True)
class LargerThan:
    octets: int


@dataclass(frozen=True, slots=True)
class SmallerThan:
    octets: int


@dataclass(frozen=True, slots=True)
class ChangedSince:
    """A modseq of at least this (RFC 7162 §3.1.5)."""

    modseq: Modseq


SearchProgram = (
    Everything
    | AllOf
    | AnyOf
    | NoneOf
    | AmongUids
    | HasFlag
    | HasKeyword
    | HeaderContains
    | BodyContains
    | TextContains
    | ReceivedOn
    | SentOn
    | LargerThan
    | SmallerThan
    | ChangedSince
)
