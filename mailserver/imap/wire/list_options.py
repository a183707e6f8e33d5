"""What LIST and STATUS can be asked for (RFC 9051 §6.3.9, §6.3.11, RFC 5258, 5819, 6154 and those named below)."""

from dataclasses import dataclass
from enum import Enum


class StatusItem(Enum):
    """`status-att`; the value is the name on the wire."""

    MESSAGES = b"MESSAGES"
    RECENT = b"RECENT"
    UIDNEXT = b"UIDNEXT"
    UIDVALIDITY = b"UIDVALIDITY"
    UNSEEN = b"UNSEEN"
    DELETED = b"DELETED"
    DELETED_STORAGE = b"DELETED-STORAGE"  # RFC 9208 §4.1.4
    SIZE = b"SIZE"  # RFC 8438
    HIGHESTMODSEQ = b"HIGHESTMODSEQ"  # RFC 7162
    MAILBOXID = b"MAILBOXID"  # RFC 8474
    APPENDLIMIT = b"APPENDLIMIT"  # RFC 7889


class Selection(Enum):
    """`list-select-opt`: which names are listed. There are no remote mailboxes, so REMOTE adds none."""

    SUBSCRIBED = b"SUBSCRIBED"
    REMOTE = b"REMOTE"
    RECURSIVEMATCH = b"RECURSIVEMATCH"
    SPECIAL_USE = b"SPECIAL-USE"


class ReturnOption(Enum):
    """`return-option`: what is told of a name, beside STATUS."""

    SUBSCRIBED = b"SUBSCRIBED"
    CHILDREN = b"CHILDREN"
    SPECIAL_USE = b"SPECIAL-USE"


@dataclass(frozen=True, slots=True)
class ListOptions:
    """The options of the extended syntax; what a selection implies is in `returns` too. `status` may be empty."""

    selection: frozenset[Selection] = frozenset()
    returns: frozenset[ReturnOption] = frozenset()
    status: tuple[StatusItem, ...] = ()
