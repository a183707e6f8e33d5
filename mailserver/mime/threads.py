"""What threads messages: base subjects (RFC 5256 §2.1) and the ids they refer to (RFC 5322 §3.6.4)."""

import re
from collections.abc import Iterator

from mailserver.mime.fields import Fields, parse_fields

_SUBJECT_CHARACTERS = 4096
REFERENCES_KEPT = 100

_SPACES = re.compile(r"[ \t\r\n]+")
_LEADER = re.compile(r"(?:(?:\[[^\[\]]*\][ \t]*)*(?:re|fwd?)[ \t]*(?:\[[^\[\]]*\][ \t]*)?:|[ \t])", re.IGNORECASE)
_BLOB = re.compile(r"\[[^\[\]]*\][ \t]*")
_ID = re.compile(r"<([^<>]{1,998})>")
_QUOTED_LOCAL_PART = re.compile(r'"((?:[^"\\]|\\.)*+)"(?=@|\Z)')
_QUOTED_PAIR = re.compile(r"\\(.)")


def base_subject(subject: str) -> str:
    """The subject without reply and forward marks. Takes decoded text (step 1 of the RFC); keeps the case."""
    return _parted(subject)[0]


def is_reply_or_forward(subject: str) -> bool:
    """Was a mark taken off on the way to the base subject (RFC 5256 §3)? Takes decoded text."""
    return _parted(subject)[1]


def _parted(subject: str) -> tuple[str, bool]:
    text = _SPACES.sub(" ", subject[:_SUBJECT_CHARACTERS])
    is_marked = False
    while True:
        text, has_trailer = _without_trailers(text)  # (2)
        text, has_leader = _without_leaders(text)  # (3) to (5)
        is_marked = is_marked or has_trailer or has_leader
        if text[:5].lower() != "[fwd:" or not text.endswith("]"):  # (6)
            return text, is_marked
        text = text[5:-1]
        is_marked = True


def _without_trailers(text: str) -> tuple[str, bool]:
    has_trailer = False
    while True:
        text = text.rstrip(" \t")
        if text[-5:].lower() != "(fwd)":
            return text, has_trailer
        text = text[:-5]
        has_trailer = True


def _without_leaders(text: str) -> tuple[str, bool]:
    position = 0
    has_leader = False
    while True:
        leader = _LEADER.match(text, position)
        if leader is not None:
            has_leader = has_leader or not leader[0].isspace()
            position = leader.end()
            continue
        blob = _BLOB.match(text, position)
        if blob is None or blob.end() == len(text):
            return text[position:], has_leader
        position = blob.end()


def reference_ids(header: bytes) -> tuple[bytes, ...]:
    """Every id in Message-ID, In-Reply-To and References, each once, in that order, without angle brackets.

    Of a chain longer than `REFERENCES_KEPT` the oldest and the newest halves stay.
    """
    return ids_in(parse_fields(header))


def ids_in(fields: Fields) -> tuple[bytes, ...]:
    own = fields.get("message-id", "")
    ids = _ID.findall(own)
    if own and not ids:
        ids = [own[:998]]
    for name in ("in-reply-to", "references"):
        if value := fields.get(name):
            ids += _ID.findall(value)
    unique: dict[bytes, None] = {}
    for text in ids:
        octets = text.encode("utf-8", "replace")
        if b" " in octets or b"\t" in octets:
            octets = b"".join(octets.split())
        if octets:
            unique[octets] = None
    if len(unique) <= REFERENCES_KEPT:
        return tuple(unique)
    chain = tuple(unique)
    return chain[: REFERENCES_KEPT // 2] + chain[-(REFERENCES_KEPT // 2) :]


def message_id_of(fields: Fields) -> bytes | None:
    """The Message-ID, normalised; one without angle brackets counts too, as answers to it put them."""
    value = fields.get("message-id", "")
    return next(_normalised(value), None) or (_normalised_id(value) or None)


def parents_of(fields: Fields) -> list[bytes]:
    """The ids that THREAD=REFERENCES links, oldest first: References, else the first of In-Reply-To (RFC 5256 §3)."""
    found = list(_normalised(fields.get("references", "")))
    return found or list(_normalised(fields.get("in-reply-to", "")))[:1]


def _normalised(value: str) -> Iterator[bytes]:
    for match in _ID.finditer(value):
        if octets := _normalised_id(match[1]):
            yield octets


def _normalised_id(text: str) -> bytes:
    """Without white space, and with a local part that need not be quoted unquoted: both spellings are one id."""
    text = "".join(text.split())
    quoted = _QUOTED_LOCAL_PART.match(text)
    if quoted is not None:
        text = _QUOTED_PAIR.sub(r"\1", quoted[1]) + text[quoted.end() :]
    return text.encode("utf-8", "replace")
