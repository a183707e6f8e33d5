"""What the server can say: one frozen value for each response (RFC 3501 §7 and the extensions named beside them).

`encode` turns a response into octets. FETCH data arrives here already in wire form, made by `fetch_data`, because it is
most of what an IMAP server writes and Python must not walk through it field by field.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from mailserver.imap.wire.commands import Tag
from mailserver.imap.wire.list_options import StatusItem
from mailserver.imap.wire.response_codes import ResponseCode
from mailserver.imap.wire.search_options import PartialRange
from mailserver.imap.wire.sequence import UidSet
from storage.types import Flags, Modseq, Uid


class Condition(Enum):
    """`resp-cond-state`: how a command ended, or what an untagged notice means."""

    OK = b"OK"
    NO = b"NO"
    BAD = b"BAD"


# Status responses (§7.1). Text is ASCII English for a person; other characters and line ends are replaced when encoded.


@dataclass(frozen=True, slots=True)
class Tagged:
    """The end of the command `tag`."""

    tag: Tag
    condition: Condition
    text: str
    code: ResponseCode | None = None


@dataclass(frozen=True, slots=True)
class Untagged:
    """`* OK`, `* NO`, `* BAD`: the greeting, warnings, the codes of SELECT."""

    condition: Condition
    text: str
    code: ResponseCode | None = None


@dataclass(frozen=True, slots=True)
class Bye:
    """The connection is about to be closed."""

    text: str
    code: ResponseCode | None = None


# Continuation requests (§7.5)


@dataclass(frozen=True, slots=True)
class Continue:
    """`+ text`: go on with the literal, or IDLE has begun."""

    text: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """`+ base64`: a SASL challenge, given here decoded; an empty one is `+ ` alone."""

    octets: bytes


# Server and mailbox status (§7.2)


@dataclass(frozen=True, slots=True)
class Capabilities:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Enabled:
    """ENABLED (RFC 5161): what this ENABLE switched on, maybe nothing."""

    names: tuple[str, ...]


class MailboxAttribute(Enum):
    """RFC 9051 §7.3.1, of which special use is RFC 6154 and IANA's list; the value is the name on the wire."""

    NOSELECT = "\\Noselect"
    NONEXISTENT = "\\NonExistent"
    HAS_CHILDREN = "\\HasChildren"
    HAS_NO_CHILDREN = "\\HasNoChildren"
    SUBSCRIBED = "\\Subscribed"
    ALL = "\\All"
    ARCHIVE = "\\Archive"
    DRAFTS = "\\Drafts"
    FLAGGED = "\\Flagged"
    JUNK = "\\Junk"
    SCHEDULED = "\\Scheduled"
    SENT = "\\Sent"
    TRASH = "\\Trash"


@dataclass(frozen=True, slots=True)
class Listed:
    """`* LIST`. `delimiter` None is NIL. An empty `mailbox` answers `LIST "" ""`.

    `old_name`: what the client called it, or what it was called before (OLDNAME, RFC 9051 §6.3.9.7).
    `has_subscribed_below`: CHILDINFO (§6.3.9.6).
    """

    mailbox: str
    attributes: tuple[MailboxAttribute, ...] = ()
    delimiter: str | None = "/"
    old_name: str | None = None
    has_subscribed_below: bool = False


@dataclass(frozen=True, slots=True)
class LsubListed:
    """`* LSUB`; fields as those of Listed."""

    mailbox: str
    attributes: tuple[MailboxAttribute, ...] = ()
    delimiter: str | None = "/"


@dataclass(frozen=True, slots=True)
class NamespaceEntry:
    prefix: str
    delimiter: str | None = "/"


@dataclass(frozen=True, slots=True)
class Namespaces:
    """`* NAMESPACE` (RFC 2342): an empty tuple is NIL."""

    personal: tuple[NamespaceEntry, ...]
    other_users: tuple[NamespaceEntry, ...] = ()
    shared: tuple[NamespaceEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerId:
    """`* ID` (RFC 2971): an empty tuple is NIL."""

    parameters: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class MailboxStatus:
    """`* STATUS`; `values` in the order to be written; octets are an object id, None is NIL."""

    mailbox: str
    values: tuple[tuple[StatusItem, int | bytes | None], ...]


@dataclass(frozen=True, slots=True)
class QuotaRoots:
    """`* QUOTAROOT` (RFC 9208 §4.2.2)."""

    mailbox: str
    roots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """`* QUOTA` (RFC 9208 §4.2.1): used and limit of each resource, STORAGE in units of 1024 octets."""

    root: str
    resources: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """`* SEARCH`: sequence numbers or uids. `modseq`: the highest of those found, if a MODSEQ key was used."""

    numbers: Sequence[int]
    modseq: Modseq | None = None


@dataclass(frozen=True, slots=True)
class ExtendedFound:
    """`* ESEARCH` (RFC 4466 §2.6.2, RFC 4731, RFC 9394): what is None or empty is left out, but for `partial`.

    `all` and the results of `partial` are in the order of the results, which for SORT is not that of the numbers.
    """

    tag: Tag
    is_uid: bool
    minimum: int | None = None
    maximum: int | None = None
    count: int | None = None
    all: Sequence[int] = ()
    partial: tuple[PartialRange, Sequence[int]] | None = None
    modseq: Modseq | None = None


@dataclass(frozen=True, slots=True)
class Sorted:
    """`* SORT` (RFC 5256 §4); fields as in Found."""

    numbers: Sequence[int]
    modseq: Modseq | None = None


@dataclass(frozen=True, slots=True)
class Threaded:
    """`* THREAD` (RFC 5256 §4); `lists` is in wire form, empty if nothing was found."""

    lists: bytes


@dataclass(frozen=True, slots=True)
class FlagsDefined:
    """`* FLAGS`: the flags that are in use in this mailbox."""

    flags: Flags


# Mailbox size and message status (§7.3, §7.4)


@dataclass(frozen=True, slots=True)
class Exists:
    count: int


@dataclass(frozen=True, slots=True)
class RecentCount:
    """`* n RECENT`."""

    count: int


@dataclass(frozen=True, slots=True)
class Expunged:
    """`* n EXPUNGE`: the message with this sequence number is gone, and those above it move down by one."""

    number: int


@dataclass(frozen=True, slots=True)
class Vanished:
    """`* VANISHED` (RFC 7162 §3.2.10): these uids are gone, in place of Expunged. Never empty.

    `is_earlier`: the client did not count them; numbers stay as they are.
    """

    uids: UidSet
    is_earlier: bool = False


@dataclass(frozen=True, slots=True)
class FlagsFetched:
    """`* n FETCH (…)` with flags alone, as STORE and changes from elsewhere send them.

    `uid` and `modseq` are written if given: `uid` for UID STORE, `modseq` once CONDSTORE is on.
    """

    number: int
    flags: Flags
    is_recent: bool = False
    uid: Uid | None = None
    modseq: Modseq | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """Whole FETCH responses in wire form, one or many joined."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class FetchStart:
    """The beginning of a FETCH response up to and with a literal's `{n}` CRLF.

    Only FetchChunk may follow until FetchEnd: whoever cannot supply the octets promised must close the connection.
    """

    octets: bytes


@dataclass(frozen=True, slots=True)
class FetchChunk:
    """Octets of an announced literal, or what stands between two literals."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class FetchEnd:
    """The closing parenthesis and the line end."""


Response = (
    Tagged
    | Untagged
    | Bye
    | Continue
    | Challenge
    | Capabilities
    | Enabled
    | Listed
    | LsubListed
    | Namespaces
    | ServerId
    | MailboxStatus
    | QuotaRoots
    | QuotaUsage
    | Found
    | ExtendedFound
    | Sorted
    | Threaded
    | FlagsDefined
    | Exists
    | RecentCount
    | Expunged
    | Vanished
    | FlagsFetched
    | Fetched
    | FetchStart
    | FetchChunk
    | FetchEnd
)
