"""What this server can do, told in the session (RFC 8620 §2): one row for each capability that works."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailserver.assembly import Parts
from mailserver.services.email_changing import MAILBOXES_PER_EMAIL
from mailserver.services.mailboxes import DEEPEST_LEVELS, LONGEST_NAME_OCTETS
from mailserver.services.submissions import MOST_DELAY
from webmail.jmap.blob_digests import DIGESTS
from webmail.jmap.errors import JsonObject
from webmail.jmap.limits import (
    BLOB,
    CORE,
    MAIL,
    MDN,
    QUOTA,
    SUBMISSION,
    VACATION,
    VACATION_EXTENSION,
    WEBPUSH,
    WEBSOCKET,
    Limits,
)

COLLATIONS = ("i;ascii-numeric", "i;ascii-casemap", "i;unicode-casemap")

Told = Callable[[Parts, Limits], JsonObject]


@dataclass(frozen=True, slots=True)
class Capability:
    """`of_server` stands in the session's capabilities, `of_account` in each account's; None: not in an account's."""

    of_server: Told
    of_account: Told | None
    at_origin: Callable[[str], JsonObject] | None = None
    """More of the server's that depends on how the client reached us."""


def _nothing(_parts: Parts, _limits: Limits) -> JsonObject:
    return {}


def _core(_parts: Parts, limits: Limits) -> JsonObject:
    return {
        "maxSizeUpload": limits.max_size_upload,
        "maxConcurrentUpload": limits.max_concurrent_upload,
        "maxSizeRequest": limits.max_size_request,
        "maxConcurrentRequests": limits.max_concurrent_requests,
        "maxCallsInRequest": limits.max_calls_in_request,
        "maxObjectsInGet": limits.max_objects_in_get,
        "maxObjectsInSet": limits.max_objects_in_set,
        "collationAlgorithms": list(COLLATIONS),
    }


def _mail_of_account(parts: Parts, _limits: Limits) -> JsonObject:
    """RFC 8621 §1.3.1."""
    return {
        "maxMailboxesPerEmail": MAILBOXES_PER_EMAIL,
        "maxMailboxDepth": DEEPEST_LEVELS,
        "maxSizeMailboxName": LONGEST_NAME_OCTETS,
        "maxSizeAttachmentsPerEmail": parts.config.message_limit_octets * 3 // 4,
        "emailQuerySortOptions": [
            "receivedAt",
            "sentAt",
            "size",
            "from",
            "to",
            "subject",
            "hasKeyword",
            "allInThreadHaveKeyword",
            "someInThreadHaveKeyword",
        ],
        "mayCreateTopLevelMailbox": True,
    }


def _blob_of_account(_parts: Parts, limits: Limits) -> JsonObject:
    """RFC 9404 §3.1."""
    return {
        "maxSizeBlobSet": limits.most_blob_octets,
        "maxDataSources": limits.max_data_sources,
        "supportedTypeNames": ["Mailbox", "Thread", "Email"],
        "supportedDigestAlgorithms": list(DIGESTS),
    }


def _web_push(parts: Parts, _limits: Limits) -> JsonObject:
    """RFC 9749 §3."""
    return {"applicationServerKey": parts.web_push.posting.public_key}


def _web_socket(origin: str) -> JsonObject:
    """RFC 8887 §3."""
    return {"url": f"{origin.replace('http', 'ws', 1)}/jmap/ws/", "supportsPush": True}


def _submission_of_account(parts: Parts, _limits: Limits) -> JsonObject:
    """RFC 8621 §1.3.2. What a SMTP server would say of itself, as far as envelopes may ask for it."""
    delay_s = int(MOST_DELAY.total_seconds())
    return {
        "maxDelayedSend": delay_s,
        "submissionExtensions": {
            "FUTURERELEASE": [str(delay_s)],
            "SIZE": [str(parts.config.message_limit_octets)],
            "DSN": [],
            "8BITMIME": [],
            "SMTPUTF8": [],
        },
    }


CAPABILITIES: Mapping[str, Capability] = {
    CORE: Capability(_core, None),
    MAIL: Capability(_nothing, _mail_of_account),
    BLOB: Capability(_nothing, _blob_of_account),
    QUOTA: Capability(_nothing, _nothing),
    SUBMISSION: Capability(_nothing, _submission_of_account),
    MDN: Capability(_nothing, _nothing),
    VACATION: Capability(_nothing, _nothing),
    VACATION_EXTENSION: Capability(_nothing, _nothing),
    WEBSOCKET: Capability(_nothing, None, _web_socket),
    WEBPUSH: Capability(_web_push, None),
}
