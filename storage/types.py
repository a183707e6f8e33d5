"""What mail is, as plain values that cross between `storage`, the services and the doors."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, IntFlag
from typing import NewType, Protocol

from tenants.types import AccountId

MailboxId = NewType("MailboxId", int)
MessageId = NewType("MessageId", int)
ThreadId = NewType("ThreadId", int)
Uid = NewType("Uid", int)
UidValidity = NewType("UidValidity", int)
Modseq = NewType("Modseq", int)
BlobDigest = NewType("BlobDigest", bytes)
InboundId = NewType("InboundId", int)
UploadId = NewType("UploadId", int)
PushSubscriptionId = NewType("PushSubscriptionId", int)
IdentityId = NewType("IdentityId", int)
SubmissionId = NewType("SubmissionId", int)


class SystemFlag(IntFlag):
    """System flags as bits of `placement.flags` (RFC 3501 §2.3.2). \\Recent belongs to a session and is not stored."""

    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


NO_FLAGS = SystemFlag(0)


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags of one placement: system flags as bits, keywords as the client spelt them when first used."""

    system: SystemFlag = NO_FLAGS
    keywords: frozenset[str] = frozenset()


class FlagOperation(IntEnum):
    """What STORE does with the flags it names (RFC 3501 §6.4.6)."""

    REPLACE = 0
    ADD = 1
    REMOVE = 2


@dataclass(frozen=True, slots=True)
class FlagChange:
    operation: FlagOperation
    flags: Flags


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox as LIST and STATUS see it. A tombstone (`is_deleted`) is kept for its subscription and
    uidvalidity.

    `octets` is the sum of RFC822.SIZE; `deleted` counts messages with \\Deleted.
    """

    id: MailboxId
    name: str
    special_use: str | None
    is_subscribed: bool
    is_selectable: bool
    is_deleted: bool
    uidvalidity: UidValidity
    uidnext: Uid
    modseq: Modseq
    first_recent_uid: Uid
    messages: int
    unseen: int
    octets: int
    deleted: int


class SegmentKind(IntEnum):
    """How a run of the message's octets is kept: as it is, or as decoded base64 that re-encodes to the same octets."""

    LITERAL = 0
    BASE64 = 1


@dataclass(frozen=True, slots=True)
class Segment:
    """One run of a message, in order. `octets` counts what it contributes to the message.

    `blob` indexes the message's blob list, `offset` and `length` say which octets of that blob. For BASE64 the blob
    holds the decoded octets, and `line_octets` is how many encoded characters stand on a line; each line ends in
    CRLF, the last one too if `ends_in_crlf`.
    """

    kind: SegmentKind
    blob: int
    offset: int
    length: int
    octets: int
    line_octets: int = 0
    ends_in_crlf: bool = False


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """The immutable facts of a message that its row keeps: all that listing, sorting and searching headers needs.

    `header` is the header section with its closing empty line (`header_octets` long; what its column cannot hold is cut
    off here and stands at the beginning of blob 0); `envelope` and `bodystructure`
    are wire forms in the 7-bit-safe encoding of `wire_version`; `references` are keyed hashes of every id in
    Message-ID, In-Reply-To and References; `structure` is the packed MIME index of `mailserver.mime`.
    """

    octets: int
    header_octets: int
    header: bytes
    received_at: datetime
    sent_at: datetime | None
    subject: str
    base_subject: str
    sender: str
    recipients: str
    preview: str
    references: tuple[bytes, ...]
    structure: bytes
    envelope: bytes
    bodystructure: bytes
    wire_version: int
    differs_in_utf8: bool
    has_attachment: bool


class BlobOctets(Protocol):
    """Octets that are read slice by slice: bytes, a view of a mapped file, or what is decoded where it is read."""

    def __len__(self) -> int: ...

    def __getitem__(self, wanted: slice, /) -> bytes | memoryview: ...


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message ready to be placed: its facts, and the blobs it is rebuilt from.

    `parts_from` is the first blob that is a leaf part by itself; one before it is what lies between those.
    """

    facts: MessageFacts
    segments: tuple[Segment, ...]
    blobs: tuple[BlobOctets, ...]
    parts_from: int = 1


@dataclass(frozen=True, slots=True)
class Destination:
    """Where one copy of a message goes. `mailbox_id` None means INBOX. `quota_octets` None: place it whatever is
    used."""

    account_id: AccountId
    mailbox_id: MailboxId | None
    flags: Flags = field(default_factory=Flags)
    quota_octets: int | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A copy that was placed, and is on disk once the transaction that returned it has committed."""

    account_id: AccountId
    mailbox_id: MailboxId
    message_id: MessageId
    uid: Uid
    uidvalidity: UidValidity
    modseq: Modseq
