"""ObjectIDs (RFC 8474): our ids as a letter for their kind and the number, so that no two kinds can be mistaken."""

import re

from storage.types import MailboxId, MessageId, ThreadId

OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}")
_OURS = re.compile(r"[MT]([1-9][0-9]{0,18})", re.ASCII)


def mailbox_object_id(mailbox_id: MailboxId) -> bytes:
    """MAILBOXID."""
    return b"F%d" % mailbox_id


def email_object_id(message_id: MessageId) -> bytes:
    """EMAILID."""
    return b"M%d" % message_id


def thread_object_id(thread_id: ThreadId) -> bytes:
    """THREADID."""
    return b"T%d" % thread_id


def message_named(object_id: str) -> MessageId | None:
    """The message whose EMAILID this could be; None: it is of nobody's making here."""
    return MessageId(int(object_id[1:])) if object_id[:1] == "M" and _OURS.fullmatch(object_id) else None


def thread_named(object_id: str) -> ThreadId | None:
    """The thread whose THREADID this could be; None: it is of nobody's making here."""
    return ThreadId(int(object_id[1:])) if object_id[:1] == "T" and _OURS.fullmatch(object_id) else None
