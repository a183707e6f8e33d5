"""What can be searched for within a mailbox, as a tree of values; protocol words are gone (RFC 3501 §6.4.4 …)."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

from storage.types import MessageId, Modseq, SystemFlag, ThreadId


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
class AmongPositions:
    """Sequence sets, UID sets, `$` and \\Recent, resolved by whoever keeps the view: ascending, disjoint."""

    spans: tuple[range, ...]


@dataclass(frozen=True, slots=True)
class HasFlag:
    flag: SystemFlag


@dataclass(frozen=True, slots=True)
class HasKeyword:
    """Compared without case."""

    keyword: str


class EnvelopeField(Enum):
    SUBJECT = "subject"
    FROM = "from"
    TO = "to"
    CC = "cc"
    BCC = "bcc"


@dataclass(frozen=True, slots=True)
class EnvelopeContains:
    """The envelope's field holds the text, case disregarded; an empty text asks only for the field."""

    field: EnvelopeField
    text: str


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
class SavedOn:
    """The day the message came into this mailbox, in UTC."""

    comparison: DateComparison
    day: date


@dataclass(frozen=True, slots=True)
class ReceivedUntil:
    """Came in at this moment or before, to the second (RFC 5032)."""

    moment: datetime


@dataclass(frozen=True, slots=True)
class ReceivedFrom:
    """Came in at this moment or later, to the second (RFC 5032)."""

    moment: datetime


@dataclass(frozen=True, slots=True)
class IsMessage:
    message_id: MessageId


@dataclass(frozen=True, slots=True)
class InThread:
    thread_id: ThreadId


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
    | AmongPositions
    | HasFlag
    | HasKeyword
    | EnvelopeContains
    | HeaderContains
    | BodyContains
    | TextContains
    | ReceivedOn
    | SentOn
    | SavedOn
    | ReceivedUntil
    | ReceivedFrom
    | IsMessage
    | InThread
    | LargerThan
    | SmallerThan
    | ChangedSince
)
