"""Message disposition notifications, written and read (RFC 8098): what became of a message when it had arrived.

multipart/report; report-type=disposition-notification
  text/plain                              for the person
  message/disposition-notification        for programs
  message/rfc822 or a header              what it is about, if that is wished
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from mmap import mmap

from mailserver.dsn.addresses import typed_address
from mailserver.dsn.original import BodyPart, encoded_text, returned_part
from mailserver.mime.addresses import Address, parse_addresses
from mailserver.mime.auto_response import answered_ids
from mailserver.mime.charset import decode_octets
from mailserver.mime.comments import without_comments
from mailserver.mime.dates import format_date
from mailserver.mime.header import decode_header
from mailserver.mime.header_section import fields
from mailserver.mime.part import Part
from mailserver.mime.structure import scan
from mailserver.mime.text import decode_transfer, part_text
from mailserver.mime.wire import encoded_words

ACTION_MODES = ("manual-action", "automatic-action")
AUTOMATICALLY = "mdn-sent-automatically"
SENDING_MODES = ("mdn-sent-manually", AUTOMATICALLY)
TYPES = ("deleted", "dispatched", "displayed", "processed")

_TYPE = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
_ORIGINALS = frozenset({"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"})
_DISPOSITION = re.compile(
    rf"({'|'.join(ACTION_MODES)})\s*/\s*({'|'.join(SENDING_MODES)})\s*;\s*({'|'.join(TYPES)})\b", re.IGNORECASE
)
_KNOWN = frozenset(
    {
        "reporting-ua",
        "mdn-gateway",
        "original-recipient",
        "final-recipient",
        "original-message-id",
        "disposition",
        "error",
    }
)
_FIELD_LIMIT_OCTETS = 65_536
_TEXT_LIMIT_OCTETS = 1_048_576
_VALUE_CHARACTERS = 4_000
_NOT_ON_A_LINE = re.compile(r"[\x00-\x1f\x7f]+")
_LINE_CHARACTERS = 900


@dataclass(frozen=True, slots=True)
class Disposition:
    """Words of RFC 8098 §3.2.6, in lower case: one each of ACTION_MODES, SENDING_MODES and TYPES."""

    action_mode: str
    sending_mode: str
    type: str


@dataclass(frozen=True, slots=True)
class NewNotification:
    """What is sent. `original` is the message that it is about, of which `returns_original` gives all back."""

    sender_name: str
    sender: str
    to: Sequence[str]
    subject: str
    text: str
    disposition: Disposition
    original: bytes
    returns_original: bool
    final_recipient: str  # with its type: `rfc822;ann@demo.test`
    hostname: str
    token: str
    written_at: datetime
    reporting_ua: str | None = None
    original_recipient: str | None = None
    original_message_id: str | None = None
    extension_fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notification:
    """What somebody's notification says. `errors` and `extension_fields` are as they stand, unfolded."""

    subject: str
    text: str | None
    disposition: Disposition
    has_original: bool
    reporting_ua: str | None
    gateway: str | None
    original_recipient: str | None
    final_recipient: str | None
    original_message_id: str | None
    errors: Sequence[str]
    extension_fields: Mapping[str, str]


def compose_notification(new: NewNotification) -> bytes:
    """As it is sent, with the null reverse path (RFC 8098 §3)."""
    parts = [encoded_text("\r\n".join(new.text.splitlines()) + "\r\n"), _fields_part(new)]
    if new.returns_original:
        parts.append(returned_part(new.original, is_whole=True, is_utf8_welcome=True))
    boundary = _boundary(new.token, parts)
    message_id, references = answered_ids(_header_of(new.original))
    subject = _one_line(new.subject)
    name = _one_line(new.sender_name)
    lines = [
        f"Date: {format_date(new.written_at)}",
        f"From: {_phrase(name)} <{new.sender}>" if name else f"From: <{new.sender}>",
        "To: " + ",\r\n\t".join(f"<{each}>" for each in new.to),
        f"Subject: {_words(subject)}",
        f"Message-ID: <{new.token}@{new.hostname}>",
    ]
    if message_id is not None:
        lines += [f"In-Reply-To: {message_id}", "References: " + "\r\n\t".join(references)]
    if new.disposition.sending_mode == AUTOMATICALLY:
        lines.append("Auto-Submitted: auto-replied")
    lines += [
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=disposition-notification;\r\n\tboundary="{boundary}"',
        f"Content-Transfer-Encoding: {'8bit' if any(part.encoding == '8bit' for part in parts) else '7bit'}",
    ]
    octets = "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"
    for part in parts:
        octets += f"--{boundary}\r\nContent-Type: {part.content_type}\r\n".encode()
        octets += f"Content-Transfer-Encoding: {part.encoding}\r\n\r\n".encode() + part.octets + b"\r\n"
    return octets + f"--{boundary}--\r\n".encode()


def parse_notification(octets: bytes | mmap) -> Notification | None:
    """None for a message that is no such notification. Never raises, whatever the octets."""
    root = scan(octets)
    parts = list(root.walk())
    report = next((part for part in parts if part.content_type in _TYPE), None)
    if report is None:
        return None
    named = _named(octets, report)
    found = _DISPOSITION.search(without_comments(named.get("disposition", [""])[0]))
    if found is None:
        return None

    def first(name: str) -> str | None:
        return next(iter(named.get(name, ())), None)

    text = next((part for part in parts if part.content_type == "text/plain"), None)
    subject = next((body for name, body in fields(_header_of(octets)) if name == b"subject"), b"")
    return Notification(
        subject=decode_header(subject),
        text=part_text(octets, text) if text is not None and text.body_octets <= _TEXT_LIMIT_OCTETS else None,
        disposition=Disposition(*(each.lower() for each in found.groups())),
        has_original=any(part.content_type in _ORIGINALS for part in parts),
        reporting_ua=first("reporting-ua"),
        gateway=first("mdn-gateway"),
        original_recipient=first("original-recipient"),
        final_recipient=first("final-recipient"),
        original_message_id=first("original-message-id"),
        errors=named.get("error", []),
        extension_fields={name: values[0] for name, values in named.items() if name.lower() not in _KNOWN},
    )


def asked_to(header: bytes) -> list[str]:
    """The body of Disposition-Notification-To fields, of which there must be one (RFC 8098 §2.1)."""
    return [decode_octets(body, None) for name, body in fields(header) if name == b"disposition-notification-to"]


def is_asked_by_sender(header: bytes) -> bool:
    """Whether the one address that asks is that of the Return-Path; else a person has to agree (RFC 8098 §2.1)."""
    asked = {_compared(each) for body in asked_to(header) for each in parse_addresses(_unfolded(body))}
    returns = [decode_octets(body, None) for name, body in fields(header) if name == b"return-path"]
    came_from = {_compared(each) for body in returns[:1] for each in parse_addresses(_unfolded(body))}
    return len(asked) == 1 and None not in asked and asked == came_from


def is_notification(header: bytes) -> bool:
    """Whether the message is a notification itself."""
    content_type = next((body for name, body in fields(header) if name == b"content-type"), b"").lower()
    return content_type.strip().startswith(b"multipart/report") and b"disposition-notification" in content_type


def original_recipient_of(header: bytes) -> str | None:
    """What the last host wrote of ORCPT (RFC 8098 §2.3)."""
    found = next((body for name, body in fields(header) if name == b"original-recipient"), None)
    return None if found is None else _one_line(decode_octets(found, None)) or None


def _fields_part(new: NewNotification) -> BodyPart:
    disposition = new.disposition
    lines = []
    if new.reporting_ua:
        lines.append(("Reporting-UA", new.reporting_ua))
    if new.original_recipient:
        lines.append(("Original-Recipient", new.original_recipient))
    final = new.final_recipient
    lines.append(("Final-Recipient", final if ";" in final else typed_address(final)))
    if new.original_message_id:
        lines.append(("Original-Message-ID", new.original_message_id))
    modes = f"{disposition.action_mode}/{disposition.sending_mode.replace('mdn-', 'MDN-')}; {disposition.type}"
    lines.append(("Disposition", modes))
    lines += new.extension_fields.items()
    octets = "".join(f"{name}: {_one_line(value)[:_LINE_CHARACTERS]}\r\n" for name, value in lines).encode()
    if octets.isascii():
        return BodyPart("message/disposition-notification", "7bit", octets)
    return BodyPart("message/global-disposition-notification", "8bit", octets)


def _named(octets: bytes | mmap, part: Part) -> dict[str, list[str]]:
    """Known fields by their names in lower case, others as they are written; values unfolded."""
    raw = octets[part.body_offset : part.body_offset + min(part.body_octets, _FIELD_LIMIT_OCTETS)]
    text = decode_octets(decode_transfer(raw, part.encoding), None)
    named: dict[str, list[str]] = {}
    for line in re.sub(r"\r?\n[ \t]+", " ", text).splitlines():
        name, colon, value = line.partition(":")
        name = name.strip()
        if colon and name:
            known = name.lower() if name.lower() in _KNOWN else name
            named.setdefault(known, []).append(value.strip()[:_VALUE_CHARACTERS])
    return named


def _header_of(octets: bytes | mmap) -> bytes:
    head = octets[:_FIELD_LIMIT_OCTETS]
    end = head.find(b"\r\n\r\n")
    return head[: end + 2] if end >= 0 else head


def _boundary(token: str, parts: Sequence[BodyPart]) -> str:
    boundary, count = f"=_{token}", 0
    while any(boundary.encode() in part.octets for part in parts):
        count += 1
        boundary = f"=_{count}_{token}"
    return boundary


def _compared(address: Address) -> tuple[str, str] | None:
    """A local part with its case, a domain without."""
    return (address.mailbox, address.host.lower()) if address.mailbox and address.host else None


def _unfolded(text: str) -> str:
    return text.replace("\r\n", "")


def _one_line(text: str) -> str:
    return " ".join(_NOT_ON_A_LINE.sub(" ", text).split())


def _words(text: str) -> str:
    return text if text.isascii() and "=?" not in text else encoded_words(text).replace("?= =?", "?=\r\n\t=?")


def _phrase(name: str) -> str:
    if not name.isascii() or "=?" in name:
        return _words(name)
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'
