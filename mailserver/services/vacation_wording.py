"""The answer of somebody who is away, as it is sent (RFC 3834 §3): their words, or ours in their language."""

from dataclasses import dataclass
from datetime import datetime

from mailserver.dsn.original import BodyPart, encoded_text
from mailserver.dsn.words import format_moment, words_for
from mailserver.mime.auto_response import answered_ids
from mailserver.mime.auto_response import subject as subject_of
from mailserver.mime.dates import format_date
from mailserver.mime.header import decode_header
from mailserver.mime.html_text import html_text
from mailserver.mime.wire import encoded_words
from storage.vacations import Vacation

_SUBJECT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """`header` is that of the message that is answered. `written_at` is in the zone of who is away."""

    vacation: Vacation
    header: bytes
    name: str
    address: str
    to: str
    is_inside: bool
    language: str
    written_at: datetime
    token: str


@dataclass(frozen=True, slots=True)
class _Words:
    body: str
    until: str


_ENGLISH = _Words(
    "I am away and may not read your message for a while. This answer was sent by itself.\n",
    "I am away until {until} and may not read your message before then. This answer was sent by itself.\n",
)
_CHINESE = _Words(
    "我目前不在，可能暂时无法阅读您的邮件。这是一封自动回复。\n",
    "我在 {until} 之前不在，可能无法及时阅读您的邮件。这是一封自动回复。\n",
)


def compose_answer(answer: Answer) -> bytes:
    """A message with the null reverse path, which no program answers; for whoever sent the one that it answers."""
    message_id, references = answered_ids(answer.header)
    part = _body(answer)
    lines = [
        f"Date: {format_date(answer.written_at)}",
        f"From: {_mailbox(answer.name, answer.address)}",
        f"To: <{answer.to}>",
        f"Subject: {_folded(_subject(answer))}",
        f"Message-ID: <{answer.token}@{answer.address.rpartition('@')[2]}>",
    ]
    if message_id is not None:
        lines += [f"In-Reply-To: {message_id}", "References: " + "\r\n\t".join(references)]
    lines += [
        "Auto-Submitted: auto-replied",
        "X-Auto-Response-Suppress: All",
        "MIME-Version: 1.0",
        f"Content-Type: {part.content_type}",
        f"Content-Transfer-Encoding: {part.encoding}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + part.octets


def _subject(answer: Answer) -> str:
    """Theirs; else that of the message, marked (RFC 3834 §3.1.5)."""
    chosen = _one_line(answer.vacation.subject or "")
    if chosen:
        return chosen
    return f"Auto: {decode_header(subject_of(answer.header))}".strip()[:_SUBJECT_CHARACTERS]


def _body(answer: Answer) -> BodyPart:
    vacation = answer.vacation
    if answer.is_inside and vacation.inside_text_body is not None:
        return encoded_text(_crlf(vacation.inside_text_body))
    if vacation.html_body is None:
        return encoded_text(_crlf(_default(answer) if vacation.text_body is None else vacation.text_body))
    text = vacation.text_body if vacation.text_body is not None else html_text(vacation.html_body).strip() + "\n"
    plain, html = encoded_text(_crlf(text)), encoded_text(_crlf(vacation.html_body))
    boundary = f"=_{answer.token}"
    octets = b"".join(
        f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {part.encoding}\r\n\r\n".encode()
        + part.octets
        + b"\r\n"
        for kind, part in (
            (plain.content_type, plain),
            (html.content_type.replace("text/plain", "text/html"), html),
        )
    )
    return BodyPart(
        f'multipart/alternative;\r\n\tboundary="{boundary}"', "7bit", octets + f"--{boundary}--\r\n".encode()
    )


def _default(answer: Answer) -> str:
    words = _CHINESE if answer.language.lower().partition("-")[0] == "zh" else _ENGLISH
    until = answer.vacation.to_at
    if until is None:
        return words.body
    moment = format_moment(words_for(answer.language), until.astimezone(answer.written_at.tzinfo))
    return words.until.format(until=moment)


def _mailbox(name: str, address: str) -> str:
    name = _one_line(name)
    if not name:
        return f"<{address}>"
    if not name.isascii() or "=?" in name:
        return f"{_folded(name)} <{address}>"
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>'


def _folded(text: str) -> str:
    return text if text.isascii() and "=?" not in text else encoded_words(text).replace("?= =?", "?=\r\n\t=?")


def _one_line(text: str) -> str:
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:_SUBJECT_CHARACTERS]


def _crlf(text: str) -> str:
    return "\r\n".join(text.replace("\0", "").splitlines()) + "\r\n"
