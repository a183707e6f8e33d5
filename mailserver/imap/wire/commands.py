"""What a client can ask: one frozen value for each command (RFC 3501 §6 and the extensions named beside them).

A parsed command is well formed: names are decoded and canonical, dates are datetimes, sets and flags have their types.
Whether it is allowed now, and whether what it names exists, is the session's business.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NewType

from mailserver.imap.wire.fetch_items import FetchItem
from mailserver.imap.wire.list_options import ListOptions, StatusItem
from mailserver.imap.wire.list_pattern import ListPattern
from mailserver.imap.wire.resync import Resync
from mailserver.imap.wire.search_keys import SearchKey
from mailserver.imap.wire.search_options import PartialRange, ReturnOptions, SortCriterion, ThreadAlgorithm
from mailserver.imap.wire.sequence import SequenceSet, UidSet
from storage.types import FlagChange, Flags, Modseq

Tag = NewType("Tag", bytes)
"""What the client calls its command; the answer repeats it octet for octet."""


# Any state


@dataclass(frozen=True, slots=True)
class Capability:
    tag: Tag


@dataclass(frozen=True, slots=True)
class Noop:
    tag: Tag


@dataclass(frozen=True, slots=True)
class Logout:
    tag: Tag


@dataclass(frozen=True, slots=True)
class Id:
    """ID (RFC 2971): what the client says it is, NIL as an empty tuple. For logs, never for decisions."""

    tag: Tag
    parameters: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Unauthenticate:
    """UNAUTHENTICATE (RFC 8437): the connection is to be used by somebody else."""

    tag: Tag


# Not authenticated


@dataclass(frozen=True, slots=True)
class StartTls:
    tag: Tag


@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTHENTICATE, with the decoded initial response of SASL-IR (RFC 4959) if there was one; `=` is an empty one."""

    tag: Tag
    mechanism: str
    initial_response: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    tag: Tag
    user: str
    password: str = field(repr=False)


# Authenticated


@dataclass(frozen=True, slots=True)
class Enable:
    """ENABLE (RFC 5161): capability names in upper case; unknown ones are to be ignored, not refused."""

    tag: Tag
    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Namespace:
    """NAMESPACE (RFC 2342)."""

    tag: Tag


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT; `condstore` and `resync` are the parameters of RFC 7162 §3.1.8 and §3.2.5."""

    tag: Tag
    mailbox: str
    condstore: bool = False
    resync: Resync | None = None


@dataclass(frozen=True, slots=True)
class Examine:
    """EXAMINE: as SELECT, read-only."""

    tag: Tag
    mailbox: str
    condstore: bool = False
    resync: Resync | None = None


@dataclass(frozen=True, slots=True)
class Create:
    """CREATE. A trailing delimiter announces inferiors to come (RFC 3501 §6.3.3); the parser has removed it.

    `uses`: the special uses it is to have, as `\\Sent` (RFC 6154 §3); there may be unknown ones among them.
    """

    tag: Tag
    mailbox: str
    uses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    tag: Tag
    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    tag: Tag
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    tag: Tag
    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    tag: Tag
    mailbox: str


@dataclass(frozen=True, slots=True)
class List:
    """LIST. Each pattern is the reference and a mailbox argument together. `options` None: the syntax is the basic one.

    `asks_root`: it is not for mailboxes but for the delimiter and the root.
    """

    tag: Tag
    patterns: tuple[ListPattern, ...]
    options: ListOptions | None = None
    asks_root: bool = False


@dataclass(frozen=True, slots=True)
class Lsub:
    """LSUB. Fields as in List, at most one pattern."""

    tag: Tag
    patterns: tuple[ListPattern, ...]
    asks_root: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """STATUS: `items` in the client's order, each once, at least one."""

    tag: Tag
    mailbox: str
    items: tuple[StatusItem, ...]


@dataclass(frozen=True, slots=True)
class GetQuota:
    """GETQUOTA (RFC 9208 §4.1.1)."""

    tag: Tag
    root: str


@dataclass(frozen=True, slots=True)
class GetQuotaRoot:
    """GETQUOTAROOT (RFC 9208 §4.1.2)."""

    tag: Tag
    mailbox: str


@dataclass(frozen=True, slots=True)
class SetQuota:
    """SETQUOTA (RFC 9208 §4.1.3): limits by the name of the resource."""

    tag: Tag
    root: str
    limits: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Compress:
    """COMPRESS (RFC 4978); the mechanism in capitals."""

    tag: Tag
    mechanism: str


class MessageForm(Enum):
    """How the message of an APPEND is sent; the value is for people."""

    LITERAL = "literal"  # no NUL may be in it
    BINARY = "literal8"  # RFC 3516 §4.4
    UTF8 = "UTF8"  # a literal8 in parentheses (RFC 6855 §4)


@dataclass(frozen=True, slots=True)
class AppendMessage:
    """What is said of a message whose `octets` follow as a literal that the framer streams. `received_at` is aware;
    None: now."""

    flags: Flags
    received_at: datetime | None
    octets: int
    form: MessageForm = MessageForm.LITERAL


@dataclass(frozen=True, slots=True)
class Append:
    """APPEND up to its first message; others may follow (RFC 3502)."""

    tag: Tag
    mailbox: str
    message: AppendMessage


@dataclass(frozen=True, slots=True)
class Replace:
    """REPLACE and UID REPLACE (RFC 8508), up to the message. `messages` names one, by a number that is no range."""

    tag: Tag
    messages: SequenceSet | UidSet
    mailbox: str
    message: AppendMessage


@dataclass(frozen=True, slots=True)
class Idle:
    """IDLE (RFC 2177); the line DONE ends it."""

    tag: Tag


# Selected


@dataclass(frozen=True, slots=True)
class Check:
    tag: Tag


@dataclass(frozen=True, slots=True)
class Close:
    tag: Tag


@dataclass(frozen=True, slots=True)
class Unselect:
    """UNSELECT (RFC 3691): as CLOSE, without expunging."""

    tag: Tag


@dataclass(frozen=True, slots=True)
class Expunge:
    tag: Tag


@dataclass(frozen=True, slots=True)
class UidExpunge:
    """UID EXPUNGE (RFC 4315 §2.1)."""

    tag: Tag
    messages: UidSet


class SearchReturns(Enum):
    """What the numbers of the SEARCH, ESEARCH, SORT or THREAD response mean."""

    SEQUENCE_NUMBERS = "sequence numbers"
    UIDS = "uids"


@dataclass(frozen=True, slots=True)
class Search:
    """SEARCH and UID SEARCH. `asks_modseq`: a MODSEQ key was used, so the response carries one (RFC 7162 §3.1.5)."""

    tag: Tag
    returns: SearchReturns
    key: SearchKey
    asks_modseq: bool = False
    options: ReturnOptions | None = None
    names_charset: bool = False


@dataclass(frozen=True, slots=True)
class Sort:
    """SORT and UID SORT (RFC 5256 §3, RFC 5267 §3); fields as in Search, at least one of `criteria`."""

    tag: Tag
    returns: SearchReturns
    criteria: tuple[SortCriterion, ...]
    key: SearchKey
    asks_modseq: bool = False
    options: ReturnOptions | None = None


@dataclass(frozen=True, slots=True)
class Thread:
    """THREAD and UID THREAD (RFC 5256 §3); fields as in Search."""

    tag: Tag
    returns: SearchReturns
    algorithm: ThreadAlgorithm
    key: SearchKey
    asks_modseq: bool = False


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH and UID FETCH. Each item once, at least one.

    UID FETCH has UID among its items, CHANGEDSINCE has MODSEQ (RFC 3501 §6.4.8, RFC 7162 §3.1.4.1). `vanished`: also
    tell what is gone since (§3.2.6). `partial`: only these of the messages named (RFC 9394 §3.3). Only UID FETCH has
    the two.
    """

    tag: Tag
    messages: SequenceSet | UidSet
    items: tuple[FetchItem, ...]
    changed_since: Modseq | None = None
    vanished: bool = False
    partial: PartialRange | None = None


@dataclass(frozen=True, slots=True)
class Store:
    """STORE and UID STORE (RFC 3501 §6.4.6, RFC 7162 §3.1.3). `is_silent`: the new flags need no FETCH response."""

    tag: Tag
    messages: SequenceSet | UidSet
    change: FlagChange
    is_silent: bool
    unchanged_since: Modseq | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY and UID COPY."""

    tag: Tag
    messages: SequenceSet | UidSet
    mailbox: str


@dataclass(frozen=True, slots=True)
class Move:
    """MOVE and UID MOVE (RFC 6851)."""

    tag: Tag
    messages: SequenceSet | UidSet
    mailbox: str


Command = (
    Capability
    | Noop
    | Logout
    | Unauthenticate
    | Id
    | StartTls
    | Authenticate
    | Login
    | Enable
    | Namespace
    | Select
    | Examine
    | Create
    | Delete
    | Rename
    | Subscribe
    | Unsubscribe
    | List
    | Lsub
    | Status
    | GetQuota
    | GetQuotaRoot
    | SetQuota
    | Compress
    | Append
    | Replace
    | Idle
    | Check
    | Close
    | Unselect
    | Expunge
    | UidExpunge
    | Search
    | Sort
    | Thread
    | Fetch
    | Store
    | Copy
    | Move
)
