"""What a delivery status notification tells, as plain values (RFC 3464 §2)."""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum

from storage.outgoing_types import ReturnContent


class Action(StrEnum):
    """What became of a message for one recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """What is told of one recipient.

    `address` is the one we accepted. `original` is ORCPT decoded (`rfc822;ann@demo.test`), None if it was not given.
    `status` is an enhanced code, `5.1.1`. `answer` is what the other server said, its lines parted by LF, or what we
    say ourselves when `remote_host` is None. Times are aware; `retry_until` is told of delays.
    """

    address: str
    action: Action
    status: str
    original: str | None = None
    answer: str | None = None
    remote_host: str | None = None
    last_attempt_at: datetime | None = None
    retry_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom the human part is for. `language` is a tag of `tenants.locality.LANGUAGES`, or anything: English then."""

    language: str
    time_zone: tzinfo


@dataclass(frozen=True, slots=True)
class DsnFacts:
    """One notification, about one message and one or several of its recipients.

    `to` is the message's reverse path, never null. `octets` is the message as it was accepted, or its header section
    alone. `return_content` is RET. `is_utf8_welcome`: the way back takes UTF-8 in headers, for the reverse path is
    local or needs it itself. `token` is unique and becomes Message-ID and boundary; `queue_id` is what our logs call
    the message. `future_release` is a `future_release_request`.
    """

    to: str
    reader: Reader
    hostname: str
    token: str
    written_at: datetime
    recipients: tuple[RecipientReport, ...]
    octets: bytes
    arrived_at: datetime | None = None
    received_from: str | None = None
    envelope_id: str | None = None
    return_content: ReturnContent | None = None
    is_utf8_welcome: bool = False
    postmaster: str | None = None  # in From; default is the host's
    queue_id: str | None = None
    future_release: str | None = None
    limit_octets: int = 65_536  # a longer message comes back as its header; with RET=FULL `full_limit_octets` counts
    full_limit_octets: int = 1_048_576


def future_release_request(parameter: str, value: str) -> str:
    """How a notification has HOLDFOR or HOLDUNTIL (RFC 4865 §5.1.2): `for;3600`."""
    return f"{'for' if parameter == 'HOLDFOR' else 'until'};{value.upper()}"
