"""Delivery status notifications, written (RFC 3464, RFC 6522, RFC 6533).

    multipart/report
      text/plain                  for the person: who did not get it, what was answered, what to do
      message/delivery-status     for programs; message/global-delivery-status when addresses need UTF-8 and may have it
      message/rfc822 or a header  what it is about

Nothing that came from others can break the form: answers and subjects lose their controls, the boundary occurs nowhere
in the parts, and what cannot travel as it is travels encoded.
"""

import re

from mailserver.dsn.explanation import explain, subject_of
from mailserver.dsn.facts import Action, DsnFacts
from mailserver.dsn.original import BodyPart, encoded_text, returned_part
from mailserver.dsn.status import status_part
from mailserver.dsn.words import words_for
from mailserver.mime.dates import format_date
from mailserver.mime.wire import encoded_words
from storage.outgoing_types import ReturnContent

_MESSAGE_ID = re.compile(
    rb"(?:\A|\n)message-id[ \t]*:[ \t]*(?:\r\n[ \t]+)?(<[!-;=?-~]{1,250}>)[ \t]*\r\n", re.IGNORECASE
)


def compose_dsn(facts: DsnFacts) -> bytes:
    """The notification as it is sent, with the null reverse path, to `facts.to`. Raises ValueError for a null `to`."""
    if not facts.to or not facts.recipients:
        raise ValueError("a notification is for somebody, and about somebody")
    words = words_for(facts.reader.language)
    is_whole = _returns_whole(facts)
    parts = [
        encoded_text(explain(facts, words, returns_whole=is_whole)),
        status_part(facts),
        returned_part(facts.octets, is_whole=is_whole, is_utf8_welcome=facts.is_utf8_welcome),
    ]
    boundary = _boundary(facts.token, parts)
    header = [
        f"Date: {format_date(facts.written_at)}",
        f"From: {_phrase(words.sender_name)} <{facts.postmaster or f'postmaster@{facts.hostname}'}>",
        f"To: <{facts.to}>",
        f"Subject: {_folded_words(subject_of(facts, words))}",
        f"Message-ID: <{facts.token}@{facts.hostname}>",
        *_references(facts.octets),
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"',
        f"Content-Transfer-Encoding: {'8bit' if any(part.encoding == '8bit' for part in parts) else '7bit'}",
    ]
    octets = "".join(f"{line}\r\n" for line in header).encode()
    return octets + b"\r\n" + b"".join(_delimited(boundary, part) for part in parts) + f"--{boundary}--\r\n".encode()


def _returns_whole(facts: DsnFacts) -> bool:
    """Only who is told of a failure gets it back whole (RFC 3461 §6.2)."""
    wish = facts.return_content
    if wish is ReturnContent.HEADERS or all(each.action is not Action.FAILED for each in facts.recipients):
        return False
    return len(facts.octets) <= (facts.full_limit_octets if wish is ReturnContent.FULL else facts.limit_octets)


def _boundary(token: str, parts: list[BodyPart]) -> str:
    """One that occurs in none of the parts; `=_` cannot in what is quoted-printable or base64 (RFC 2045 §6.7)."""
    boundary = f"=_{token}"
    count = 0
    while any(boundary.encode() in part.octets for part in parts):
        count += 1
        boundary = f"=_{count}_{token}"
    return boundary


def _delimited(boundary: str, part: BodyPart) -> bytes:
    head = f"--{boundary}\r\nContent-Type: {part.content_type}\r\nContent-Transfer-Encoding: {part.encoding}\r\n\r\n"
    return head.encode() + part.octets + b"\r\n"


def _references(octets: bytes) -> list[str]:
    """So that clients show the report beside what it is about."""
    end = octets.find(b"\r\n\r\n")
    found = _MESSAGE_ID.search(octets[: end + 2] if end >= 0 else octets[:65_536])
    if found is None:
        return []
    message_id = found[1].decode("ascii")
    return [f"In-Reply-To: {message_id}", f"References: {message_id}"]


def _phrase(text: str) -> str:
    return text if text.isascii() else encoded_words(text)


def _folded_words(text: str) -> str:
    """What only looks like an encoded word, in a subject that was decoded, would be decoded once more."""
    return text if text.isascii() and "=?" not in text else encoded_words(text).replace("?= =?", "?=\r\n\t=?")
