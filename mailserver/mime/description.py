"""All that delivery wants to know of a message, found in one go."""

from dataclasses import dataclass
from datetime import datetime
from mmap import mmap

from mailserver.mime.addresses import parse_addresses
from mailserver.mime.envelope import bodystructure, envelope
from mailserver.mime.fields import Fields
from mailserver.mime.header import display, parse_date
from mailserver.mime.part import Part
from mailserver.mime.structure import DEFAULT_LIMITS, ScanLimits, scan
from mailserver.mime.text import preview
from mailserver.mime.threads import base_subject, ids_in

WIRE_VERSION = 1
"""Of the wire forms made here. Messages stored with another one are rendered again when they are fetched."""

COLUMN_CHARACTERS = 4096
"""Subject, sender and recipients are cut to this; the whole text is in the header."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a message is. `envelope` and `bodystructure` are 7-bit wire forms; a client with UTF8=ACCEPT is served from
    them too unless `differs_in_utf8`. `sender` is the first author's name or address, `recipients` those of To and Cc.
    `sent_at` is the Date field in UTC."""

    header_octets: int
    root: Part
    envelope: bytes
    bodystructure: bytes
    differs_in_utf8: bool
    subject: str
    base_subject: str
    sender: str
    recipients: str
    sent_at: datetime | None
    reference_ids: tuple[bytes, ...]
    preview: str
    has_attachment: bool
    has_message_id: bool
    has_date: bool


def describe(octets: bytes | mmap, limits: ScanLimits = DEFAULT_LIMITS) -> Description:
    """Describe a message. Never raises, whatever the octets."""
    root = scan(octets, limits)
    fields = root.fields or {}
    subject = display(fields.get("subject", ""))[:COLUMN_CHARACTERS]
    return Description(
        header_octets=root.header_octets,
        root=root,
        envelope=envelope(octets, root),
        bodystructure=bodystructure(octets, root),
        differs_in_utf8=_differs_in_utf8(root),
        subject=subject,
        base_subject=base_subject(subject),
        sender=_sender(fields),
        recipients=_recipients(fields),
        sent_at=parse_date(fields.get("date", "")),
        reference_ids=ids_in(fields),
        preview=preview(octets, root),
        has_attachment=has_attachment(root),
        has_message_id=bool(fields.get("message-id")),
        has_date=bool(fields.get("date")),
    )


def has_attachment(root: Part) -> bool:
    """Whether people would say that the message has an attachment: not pictures inside HTML, signatures or reports."""
    pending = [(root, "")]
    is_first_text = True
    while pending:
        part, around = pending.pop()
        if part.type == "multipart":
            pending.extend((child, part.subtype) for child in reversed(part.children[1:]))
            pending.append((part.children[0], "" if part.subtype == "related" else part.subtype))
        elif part.disposition == "attachment":
            if part.subtype not in _SIGNATURES:
                return True
        elif part.type == "text":
            if part.filename and not is_first_text:
                return True
            is_first_text = False
        elif part.type == "message":
            if part.subtype in ("rfc822", "global") and around != "report":
                return True
        elif part.subtype not in _SIGNATURES and around != "related" and not (part.disposition and part.content_id):
            return True
    return False


_SIGNATURES = frozenset(
    {"pgp-signature", "pkcs7-signature", "x-pkcs7-signature", "pgp-encrypted", "pkcs7-mime", "x-pkcs7-mime"}
)


def _differs_in_utf8(root: Part) -> bool:
    for part in root.walk():
        if part.type == "message" and part.subtype == "global":
            return True
        if part.fields and not all(value.isascii() for value in part.fields.values()):
            return True
    return False


def _sender(fields: Fields) -> str:
    for name in ("from", "sender"):
        if value := fields.get(name):
            shown = _shown_addresses(value)
            if shown:
                return shown[0][:COLUMN_CHARACTERS]
    return ""


def _recipients(fields: Fields) -> str:
    shown: list[str] = []
    for name in ("to", "cc"):
        if value := fields.get(name):
            shown += _shown_addresses(value)
    return ", ".join(shown)[:COLUMN_CHARACTERS]


def _shown_addresses(value: str) -> list[str]:
    """Each address as people read it: its name if it has one. Groups show their own name too."""
    shown = []
    for name, _, mailbox, host in parse_addresses(value):
        if name:
            text = display(name)
        elif mailbox:
            text = display(f"{mailbox}@{host}" if host else mailbox)
        else:
            continue
        if text:
            shown.append(text)
    return shown
