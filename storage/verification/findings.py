"""What a verification may find (pure)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tenants.types import AccountId, TenantId


class Kind(StrEnum):
    """Stable names: programs read them."""

    CONTENT_DAMAGED = "content damaged"
    CONTENT_UNREACHABLE = "content unreachable"
    STORED_OCTETS = "stored octets"
    OBJECT_MISSING = "object missing"
    OBJECT_DAMAGED = "object damaged"
    OBJECT_LENGTH = "object length"
    OBJECT_ORPHANED = "object orphaned"
    OBJECT_UNFINISHED = "object unfinished"
    OBJECT_UNUSED = "object unused"
    OBJECT_DOOMED = "object doomed"
    OBJECT_WITHOUT_ROW = "object without row"
    OBJECT_COUNTS = "object counts"
    MESSAGE_HEADER = "message header"
    MESSAGE_WIRE = "message wire"
    MESSAGE_SEGMENTS = "message segments"
    MESSAGE_BLOB = "message blob"
    MESSAGE_UNPLACED = "message unplaced"
    MESSAGE_FLAGS = "message flags"
    MESSAGE_UNREADABLE = "message unreadable"
    ACCOUNT_COUNTS = "account counts"
    ACCOUNT_MODSEQ = "account modseq"
    ACCOUNT_UIDVALIDITY = "account uidvalidity"
    MAILBOX_COUNTS = "mailbox counts"
    MAILBOX_UIDNEXT = "mailbox uidnext"
    MAILBOX_MODSEQ = "mailbox modseq"
    PLACEMENT_WITHOUT_MESSAGE = "placement without message"
    PLACEMENT_OF_OTHER_ACCOUNT = "placement of other account"
    ACCOUNT_WITHOUT_STATE = "account without state"
    MAILBOX_WITHOUT_ROW = "mailbox without row"
    BLOB_USE_WITHOUT_MESSAGE = "blob use without message"
    KEYS_UNUSABLE = "keys unusable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be. `values` fill the words of its kind."""

    kind: Kind
    tenant_id: TenantId
    values: Mapping[str, object] = field(default_factory=dict)
    account_id: AccountId | None = None
    is_repaired: bool = False


@dataclass(slots=True)
class Tally:
    """How far a verification is. `octets` are those that were read as they rest."""

    tenants: int = 0
    accounts: int = 0
    messages: int = 0
    hot_blobs: int = 0
    cold_blobs: int = 0
    objects: int = 0
    octets: int = 0
    repaired: int = 0
    left: int = 0


@dataclass(slots=True)
class Report:
    """Counts, and hands every finding on as it comes; of an object that two parts look at, once."""

    tell: Callable[[Finding], None]
    tally: Tally = field(default_factory=Tally)
    _objects: set[tuple[Kind, TenantId, object]] = field(default_factory=set)

    def add(self, finding: Finding) -> None:
        if finding.kind in (Kind.OBJECT_MISSING, Kind.OBJECT_LENGTH):
            which = (finding.kind, finding.tenant_id, finding.values["object"])
            if which in self._objects:
                return
            self._objects.add(which)
        if finding.is_repaired:
            self.tally.repaired += 1
        else:
            self.tally.left += 1
        self.tell(finding)
