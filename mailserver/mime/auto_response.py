"""Whether a program may answer a message, and as whom (RFC 3834 §2, RFC 5230 §4.5, §4.6): from its header alone."""

import re

from mailserver.mime.addresses import parse_addresses
from mailserver.mime.comments import without_comments
from mailserver.mime.header_section import fields

_ANSWERED_ADDRESSES = (b"to", b"cc", b"bcc", b"resent-to", b"resent-cc", b"resent-bcc")
_OF_LISTS = frozenset({b"list-id", b"list-post", b"list-help", b"list-unsubscribe", b"list-subscribe", b"list-owner",
                       b"list-archive", b"mailing-list", b"x-mailing-list"})  # fmt: skip
_BULK = frozenset({"bulk", "list", "junk"})
_SUPPRESSED = frozenset({"all", "oof", "autoreply"})  # X-Auto-Response-Suppress, as Exchange has it
_PROGRAMS = re.compile(
    r"(?:mailer-daemon|listserv|majordomo|postmaster|no-?_?reply|do-?_?not-?_?reply|bounces?|owner)(?:[+=-].*)?"
    r"|owner-.*|.*-(?:owner|request|bounces?|noreply|no-reply)",
    re.IGNORECASE,
)
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>")
_MOST_REFERENCES = 20


def may_answer(header: bytes, reverse_path: str) -> bool:
    """Not what programs sent, what went to many, or what nobody waits for an answer to."""
    if not reverse_path or _PROGRAMS.fullmatch(reverse_path.rpartition("@")[0]):
        return False
    for name, body in fields(header):
        value = _text(body).strip().lower()
        if name in _OF_LISTS:
            return False
        if name == b"auto-submitted" and _word(without_comments(value).strip()) != "no":
            return False
        if name == b"precedence" and _word(value) in _BULK:
            return False
        if name == b"x-auto-response-suppress" and _SUPPRESSED.intersection(re.split(r"[\s,;]+", value)):
            return False
        if name == b"content-type" and value.startswith("multipart/report"):
            return False
        if name in (b"x-autoreply", b"x-autorespond", b"x-auto-reply"):
            return False
    return True


def addressed(header: bytes) -> list[str]:
    """Who it is for by its own fields, those of a resender among them."""
    found: list[str] = []
    for name, body in fields(header):
        if name in _ANSWERED_ADDRESSES:
            unfolded = _text(body).replace("\r\n", "")
            found += [f"{each.mailbox}@{each.host}" for each in parse_addresses(unfolded) if each.mailbox and each.host]
    return found


def answered_ids(header: bytes) -> tuple[str | None, list[str]]:
    """What In-Reply-To and References of an answer say (RFC 5322 §3.6.4)."""
    ids: dict[bytes, list[str]] = {}
    for name, body in fields(header):
        if name in (b"message-id", b"references", b"in-reply-to"):
            ids.setdefault(name, []).extend(_MESSAGE_ID.findall(_text(body)))
    message_ids = ids.get(b"message-id", [])
    if not message_ids:
        return None, []
    in_reply_to = ids.get(b"in-reply-to", [])
    before = ids.get(b"references") or (in_reply_to if len(in_reply_to) == 1 else [])
    return message_ids[0], [*before[-_MOST_REFERENCES:], message_ids[0]]


def subject(header: bytes) -> bytes:
    """As it stands, folded and encoded; empty if there is none."""
    return next((body for name, body in fields(header) if name == b"subject"), b"")


def _word(value: str) -> str:
    """The first word, without a comment or parameters behind it."""
    return (re.split(r"[\s;(]", value, maxsplit=1) or [""])[0]


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("latin-1")
