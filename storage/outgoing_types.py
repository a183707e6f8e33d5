"""Mail on its way to other systems, as plain values that cross between `storage`, the services, the queue's worker and
the doors (RFC 5321 §3.3, RFC 3461)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, IntFlag
from typing import NewType

from tenants.types import AccountId, TenantId

OutgoingId = NewType("OutgoingId", int)
ReportId = NewType("ReportId", int)


class Notify(IntFlag):
    """What the sender wants to hear of a recipient (RFC 3461 §4.1); NEVER stands alone."""

    NEVER = 1
    SUCCESS = 2
    FAILURE = 4
    DELAY = 8


class ReturnContent(IntEnum):
    """How much of the message a failure report gives back (RFC 3461 §4.3)."""

    FULL = 1
    HEADERS = 2


class BodyKind(IntEnum):
    """BODY= of MAIL (RFC 6152)."""

    SEVENBIT = 7
    EIGHTBIT = 8


@dataclass(frozen=True, slots=True)
class Submitter:
    """On whose behalf mail is queued. `account_id` None: the installation itself, as for a report."""

    tenant_id: TenantId
    account_id: AccountId | None


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """One address of another system, as given; the domain is an A-label.

    `original_recipient` is ORCPT with its xtext decoded (`rfc822;…`); `notify` None: the sender did not say.
    """

    address: str
    original_recipient: str | None = None
    notify: Notify | None = None

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2].lower()


@dataclass(frozen=True, slots=True)
class Envelope:
    """Of a queued message. `reverse_path` "" is the null sender; `envelope_id` is ENVID, decoded."""

    reverse_path: str
    recipients: tuple[QueuedRecipient, ...]
    envelope_id: str | None = None
    return_content: ReturnContent | None = None
    needs_utf8: bool = False
    body: BodyKind = BodyKind.EIGHTBIT


class QueueState(IntEnum):
    """`outgoing_recipient.state`. Recipients that are over have no row: `event` tells of them."""

    QUEUED = 0
    HELD = 1
    ENDED = 2  # delivered or failed, and the sender is still to be told


class HeldReason(IntEnum):
    """Why a recipient waits for somebody's act, or for its time. Words for people stand in the commands."""

    OUTBOUND_OFF = 1
    ADMINISTRATOR = 2
    SUSPENDED = 3
    SCHEDULED = 4  # queued, not held: it leaves by itself at its time
    ENDS_PROCESSES = 5  # each process that tried it ended before it could say how that went


class ReportKind(IntEnum):
    """What the sender is still to be told of a recipient (RFC 3464 §2.3.3)."""

    NONE = 0
    FAILED = 1
    DELAYED = 2
    RELAYED = 3  # to a system that sends no reports of success itself
    EXPIRED = 4


class EventKind(IntEnum):
    """What happened to mail: one row of `event` each. Numbers are never given out again."""

    QUEUED = 1
    DELIVERED = 2
    DEFERRED = 3
    BOUNCED = 4
    EXPIRED = 5
    HELD = 6
    RELEASED = 7
    REMOVED = 8
    REPORTED = 9
    RETRIED = 10
    REPORT_DROPPED = 11


@dataclass(frozen=True, slots=True)
class LastReply:
    """What another system said last, or what kept us from asking it. `code` 0: no reply came."""

    code: int = 0
    enhanced: str = ""
    text: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """What all recipients of one queued message share; its octets are read with `outgoing_content`. `future_release` is
    how its sender asked that it wait (RFC 4865 §5.1.2)."""

    tenant_id: TenantId
    id: OutgoingId
    account_id: AccountId | None
    reverse_path: str
    envelope_id: str | None
    return_content: ReturnContent | None
    needs_utf8: bool
    body: BodyKind
    octets: int
    queued_at: datetime
    content_name: bytes
    future_release: str | None = None


@dataclass(frozen=True, slots=True)
class LeasedRecipient:
    """One recipient that this process may try now. `token` fences: a later lease of the row makes it worthless.

    `unsettled_leases` in a row ended without a word; this one counts.
    """

    message: QueuedMessage
    ordinal: int
    token: int
    address: str
    domain: str
    original_recipient: str | None
    notify: Notify | None
    attempts: int
    waits_since: datetime
    is_delay_told: bool
    unsettled_leases: int = 1


@dataclass(frozen=True, slots=True)
class Lane:
    """What leases are made by: the mail of one tenant for one domain, so that no tenant stands in another's way."""

    tenant_id: TenantId
    domain: str


class Ending(IntEnum):
    """What an attempt makes of a recipient's row."""

    DELIVERED = 0  # the row goes
    DEFERRED = 1  # tried again at `next_attempt_at`
    FAILED = 2  # the row goes
    EXPIRED = 3  # the row goes
    HELD = 4
    RETURNED = 5  # not tried: the lease is given back, and nothing counts
    PUT_OFF = 6  # not tried, because the site does not answer: as DEFERRED, but no event tells of it


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of one lease. `report` other than NONE keeps the row until the sender has been told."""

    recipient: LeasedRecipient
    ending: Ending
    reply: LastReply
    report: ReportKind = ReportKind.NONE
    next_attempt_at: datetime | None = None
    held_reason: HeldReason | None = None


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """A recipient of whom the sender is to be told, with what came last of it."""

    ordinal: int
    address: str
    original_recipient: str | None
    reply: LastReply
    attempted_at: datetime | None
    waits_since: datetime


@dataclass(frozen=True, slots=True)
class ReportWork:
    """One report to write: the recipients of one message that ended (or wait) alike.

    `claims` is how often it was begun, this time counted. `tokens` fence, in the order of the recipients.
    """

    id: ReportId
    kind: ReportKind
    message: QueuedMessage
    recipients: Sequence[ReportedRecipient]
    tokens: Sequence[int]
    claims: int
