"""Ids as JMAP writes them: a letter, then a number; the same as IMAP's OBJECTIDs (RFC 8620 §1.2, RFC 8474).

What is malformed reads as None, never an exception: to a client it is an id of nothing, as another account's is.
A blob is a message, an upload, or a part of either: `BM12`, `BU7`, `BM12-2_1` (part 2.1 as IMAP counts them, RFC 9051
§6.4.5).
"""

import re
from dataclasses import dataclass

from storage.types import IdentityId, MailboxId, MessageId, PushSubscriptionId, SubmissionId, ThreadId, UploadId
from tenants.types import AccountId

PartPath = tuple[int, ...]

VACATION_ID = "singleton"  # RFC 8621 §8

_ANY_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_NUMBERED = re.compile(r"[A-Z][1-9][0-9]{0,18}")
_BLOB = re.compile(r"B([MU])([1-9][0-9]{0,18})(?:-([1-9][0-9]{0,5}(?:_[1-9][0-9]{0,5}){0,99}))?")
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class MessageBlob:
    """A message as it came, or the decoded content of one of its parts."""

    message: MessageId
    part: PartPath | None = None


@dataclass(frozen=True, slots=True)
class UploadBlob:
    """What was uploaded, or, where that is a message, the decoded content of one of its parts."""

    upload: UploadId
    part: PartPath | None = None


BlobRef = MessageBlob | UploadBlob


def is_id(text: str) -> bool:
    """Whether it could be an id at all (RFC 8620 §1.2)."""
    return _ANY_ID.fullmatch(text) is not None


def account_id(account: AccountId) -> str:
    return f"A{account}"


def mailbox_id(mailbox: MailboxId) -> str:
    return f"F{mailbox}"


def email_id(message: MessageId) -> str:
    return f"M{message}"


def thread_id(thread: ThreadId) -> str:
    return f"T{thread}"


def identity_id(identity: IdentityId) -> str:
    return f"I{identity}"


def submission_id(submission: SubmissionId) -> str:
    return f"S{submission}"


def push_subscription_id(subscription: PushSubscriptionId) -> str:
    return f"P{subscription}"


def blob_id(blob: BlobRef) -> str:
    match blob:
        case MessageBlob(message, part):
            whole = f"BM{message}"
        case UploadBlob(upload, part):
            whole = f"BU{upload}"
    return whole if part is None else f"{whole}-{'_'.join(map(str, part))}"


def parse_account_id(text: str) -> AccountId | None:
    number = _number(text, "A")
    return None if number is None else AccountId(number)


def parse_mailbox_id(text: str) -> MailboxId | None:
    number = _number(text, "F")
    return None if number is None else MailboxId(number)


def parse_email_id(text: str) -> MessageId | None:
    number = _number(text, "M")
    return None if number is None else MessageId(number)


def parse_thread_id(text: str) -> ThreadId | None:
    number = _number(text, "T")
    return None if number is None else ThreadId(number)


def parse_identity_id(text: str) -> IdentityId | None:
    number = _number(text, "I")
    return None if number is None else IdentityId(number)


def parse_submission_id(text: str) -> SubmissionId | None:
    number = _number(text, "S")
    return None if number is None else SubmissionId(number)


def parse_push_subscription_id(text: str) -> PushSubscriptionId | None:
    number = _number(text, "P")
    return None if number is None else PushSubscriptionId(number)


def parse_blob_id(text: str) -> BlobRef | None:
    found = _BLOB.fullmatch(text)
    if found is None or (number := int(found[2])) > _LARGEST:
        return None
    part = tuple(map(int, found[3].split("_"))) if found[3] else None
    return MessageBlob(MessageId(number), part) if found[1] == "M" else UploadBlob(UploadId(number), part)


def _number(text: str, letter: str) -> int | None:
    if text[:1] != letter or _NUMBERED.fullmatch(text) is None:
        return None
    number = int(text[1:])
    return number if number <= _LARGEST else None
