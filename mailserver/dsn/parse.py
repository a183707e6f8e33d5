"""Delivery status notifications, read, as far as what others send can be (RFC 3464, RFC 6533).

Reads what is there: groups of fields without an empty line between them, addresses without a type, a missing or unknown
Action (the status tells), comments behind a status, any line ends, a report in a transfer encoding that it must not
have. What no part calls a delivery status is no report, whatever its text says.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from mmap import mmap

from mailserver.dsn.addresses import UTF8, decode_unitext
from mailserver.dsn.facts import Action, RecipientReport
from mailserver.mime.charset import decode_octets
from mailserver.mime.comments import without_comments
from mailserver.mime.fields import parse_fields
from mailserver.mime.header import parse_date
from mailserver.mime.part import Part
from mailserver.mime.structure import scan
from mailserver.mime.text import decode_transfer

_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_MESSAGE_TYPES = frozenset({"message/rfc822", "message/global"})
_HEADER_TYPES = frozenset({"text/rfc822-headers", "message/rfc822-headers", "message/global-headers"})
_STATUS_LIMIT_OCTETS = 1_048_576
_HEADER_LIMIT_OCTETS = 65_536
_RECIPIENTS_LIMIT = 10_000
_STATUS_PARTS_LIMIT = 5
_VALUE_CHARACTERS = 4_000
_STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b", re.ASCII)
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,998}>")

Fields = dict[str, str]


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What a notification says. `original_message_id` is the Message-ID of what it is about, with its brackets."""

    recipients: tuple[RecipientReport, ...]
    reporting_host: str | None
    envelope_id: str | None
    arrived_at: datetime | None
    original_message_id: str | None


def parse_dsn(octets: bytes | mmap) -> DeliveryReport | None:
    """None for a message that holds no delivery status, or one that names nobody. Never raises, whatever the octets."""
    root = scan(octets)
    candidates = (part for part in root.walk() if part.content_type in _STATUS_TYPES)
    for part in islice(candidates, _STATUS_PARTS_LIMIT):  # some put their text into one of the same type before it
        message, groups = _message_and_recipients(_groups(_text(octets, part, _STATUS_LIMIT_OCTETS)))
        reports = (_recipient(group, message) for group in groups[:_RECIPIENTS_LIMIT])
        if recipients := tuple(report for report in reports if report is not None):
            return DeliveryReport(
                recipients=recipients,
                reporting_host=_after_type(message.get("reporting-mta")),
                envelope_id=message.get("original-envelope-id"),
                arrived_at=_date(message.get("arrival-date")),
                original_message_id=_original_message_id(octets, root),
            )
    return None


def _message_and_recipients(groups: list[Fields]) -> tuple[Fields, list[Fields]]:
    """The first group is of the message, unless it names a recipient already."""
    if not groups or "final-recipient" in groups[0] or "original-recipient" in groups[0]:
        return {}, groups
    return groups[0], groups[1:]


def _text(octets: bytes | mmap, part: Part, limit_octets: int) -> str:
    length = min(part.body_octets, limit_octets)
    raw = octets[part.body_offset : part.body_offset + length]
    return decode_octets(decode_transfer(raw, part.encoding), None)


def _groups(text: str) -> list[Fields]:
    """Fields by lower-case name, of the message and then of each recipient. A field that comes again begins a group."""
    groups: list[Fields] = []
    group: Fields = {}
    for line in _unfolded(text):
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        is_new = not line or (name in group and name in ("final-recipient", "original-recipient", "action"))
        if is_new and group:
            groups.append(group)
            group = {}
        if colon and name:
            group.setdefault(name, value.strip()[:_VALUE_CHARACTERS])
    return [*groups, group] if group else groups


def _unfolded(text: str) -> Iterator[str]:
    """Lines with their folds undone; an empty one parts groups."""
    pending: list[str] = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if line[:1] in (" ", "\t") and line.strip() and pending:
            pending.append(line.strip())
            continue
        if pending:
            yield " ".join(pending)
        pending = [line] if line.strip() else []
        if not pending:
            yield ""
    if pending:
        yield " ".join(pending)


def _recipient(group: Fields, message: Fields) -> RecipientReport | None:
    address = _address(group.get("final-recipient")) or _address(group.get("original-recipient"))
    if not address:
        return None
    status = _status(group)
    original = group.get("original-recipient")
    return RecipientReport(
        address=address,
        action=_action(group.get("action", ""), status),
        status=status,
        original=_typed(original) if original else None,
        answer=_after_type(group.get("diagnostic-code")),
        remote_host=_after_type(group.get("remote-mta")),
        last_attempt_at=_date(group.get("last-attempt-date")),
        retry_until=_date(group.get("will-retry-until") or message.get("will-retry-until")),
    )


def _status(group: Fields) -> str:
    for value in (group.get("status", ""), group.get("diagnostic-code", "")):
        if found := _STATUS.search(value):
            return f"{found[1]}.{int(found[2])}.{int(found[3])}"
    return {"failed": "5.0.0", "delayed": "4.0.0"}.get(_first_word(group.get("action", "")), "2.0.0")


def _action(value: str, status: str) -> Action:
    try:
        return Action(_first_word(value))
    except ValueError:
        return {"5": Action.FAILED, "4": Action.DELAYED}.get(status[0], Action.DELIVERED)


def _first_word(value: str) -> str:
    return (without_comments(value).split() or [""])[0].lower()


def _typed(value: str) -> str:
    kind, semicolon, address = value.partition(";")
    if not semicolon:
        return f"rfc822;{value.strip()}"
    address = address.strip()
    return f"{kind.strip()};{decode_unitext(address) if kind.strip().lower() == UTF8 else address}"


def _address(value: str | None) -> str:
    """The address alone, without type and the brackets that some put around it."""
    if value is None:
        return ""
    return _typed(value).partition(";")[2].removeprefix("<").removesuffix(">").strip()


def _after_type(value: str | None) -> str | None:
    if value is None:
        return None
    kind, semicolon, rest = value.partition(";")
    is_typed = semicolon and kind.strip() and " " not in kind.strip()
    return (rest if is_typed else value).strip() or None


def _date(value: str | None) -> datetime | None:
    return parse_date(value) if value else None


def _original_message_id(octets: bytes | mmap, root: Part) -> str | None:
    for part in root.walk():
        if part.content_type in _MESSAGE_TYPES or part.content_type in _HEADER_TYPES:
            raw = octets[part.body_offset : part.body_offset + min(part.body_octets, _HEADER_LIMIT_OCTETS)]
            header = re.split(rb"\r?\n\r?\n", decode_transfer(raw, part.encoding), maxsplit=1)[0]
            if found := _MESSAGE_ID.search(parse_fields(header).get("message-id", "")):
                return found[0]
    return None
