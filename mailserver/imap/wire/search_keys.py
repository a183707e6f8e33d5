"""The tree that SEARCH asks (RFC 3501 §6.4.4, RFC 5032, 7162 §3.1.5, 8474 §6, 8514 §4.3).

Keys that are only shorthand are unfolded by the parser: UNSEEN is Not(HasFlag(SEEN)), NEW is And(Recent, UNSEEN), OLD
is Not(Recent), UNKEYWORD is Not(HasKeyword), SAVEDATESUPPORTED is All, several keys in a row are And.
"""

from dataclasses import dataclass
from datetime import date
from enum import Enum

from mailserver.imap.wire.sequence import SequenceSet, UidSet
from storage.types import Modseq, SystemFlag


@dataclass(frozen=True, slots=True)
class All:
    """ALL: every message of the mailbox."""


@dataclass(frozen=True, slots=True)
class And:
    keys: "tuple[SearchKey, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """Two or more; `OR a OR b c` is one Or of three, so that a client's long chain is no deep tree."""

    keys: "tuple[SearchKey, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    key: "SearchKey"


@dataclass(frozen=True, slots=True)
class InSequence:
    """A bare sequence set; numbers beyond the mailbox match nothing."""

    messages: SequenceSet


@dataclass(frozen=True, slots=True)
class InUids:
    """UID sequence-set."""

    messages: UidSet


@dataclass(frozen=True, slots=True)
class HasFlag:
    """ANSWERED, DELETED, DRAFT, FLAGGED, SEEN: `flag` is a single bit."""

    flag: SystemFlag


@dataclass(frozen=True, slots=True)
class HasKeyword:
    """KEYWORD flag; keywords compare without regard to ASCII case."""

    keyword: str


@dataclass(frozen=True, slots=True)
class Recent:
    """RECENT: the session's \\Recent."""


class AddressField(Enum):
    FROM = "from"
    TO = "to"
    CC = "cc"
    BCC = "bcc"


@dataclass(frozen=True, slots=True)
class AddressContains:
    """FROM, TO, CC, BCC: substring of that header field, without regard to case."""

    field: AddressField
    text: str


@dataclass(frozen=True, slots=True)
class SubjectContains:
    text: str


@dataclass(frozen=True, slots=True)
class HeaderContains:
    """HEADER field text: an empty text matches every message that has the field. `field` is lower-case."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class BodyContains:
    """BODY: substring of the body, header excluded."""

    text: str


@dataclass(frozen=True, slots=True)
class TextContains:
    """TEXT: substring of header or body."""

    text: str


class DateComparison(Enum):
    """BEFORE excludes its day, SINCE includes it; times and zones are disregarded (RFC 3501 §6.4.4)."""

    BEFORE = "before"
    ON = "on"
    SINCE = "since"


@dataclass(frozen=True, slots=True)
class InternalDate:
    """BEFORE, ON, SINCE: the day the message came in."""

    comparison: DateComparison
    day: date


@dataclass(frozen=True, slots=True)
class SentDate:
    """SENTBEFORE, SENTON, SENTSINCE: the day in the Date header."""

    comparison: DateComparison
    day: date


@dataclass(frozen=True, slots=True)
class SaveDate:
    """SAVEDBEFORE, SAVEDON, SAVEDSINCE: the day the message came into this mailbox."""

    comparison: DateComparison
    day: date


@dataclass(frozen=True, slots=True)
class Older:
    """OLDER: came in at least so many seconds ago."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Younger:
    """YOUNGER: came in at most so many seconds ago."""

    seconds: int


@dataclass(frozen=True, slots=True)
class HasEmailId:
    """EMAILID: exactly this ObjectID, case and all."""

    object_id: str


@dataclass(frozen=True, slots=True)
class HasThreadId:
    """THREADID: exactly this ObjectID, case and all."""

    object_id: str


@dataclass(frozen=True, slots=True)
class Larger:
    """LARGER: strictly more octets."""

    octets: int


@dataclass(frozen=True, slots=True)
class Smaller:
    """SMALLER: strictly fewer octets."""

    octets: int


@dataclass(frozen=True, slots=True)
class ModseqAtLeast:
    """MODSEQ. There is one mod-sequence a message, so an entry name is checked and then ignored (RFC 7162 §3.1.5)."""

    modseq: Modseq


SearchKey = (
    All
    | And
    | Or
    | Not
    | InSequence
    | InUids
    | HasFlag
    | HasKeyword
    | Recent
    | AddressContains
    | SubjectContains
    | HeaderContains
    | BodyContains
    | TextContains
    | InternalDate
    | SentDate
    | SaveDate
    | Older
    | Younger
    | HasEmailId
    | HasThreadId
    | Larger
    | Smaller
    | ModseqAtLeast
)
