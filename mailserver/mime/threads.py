"""What threads messages: base subjects (RFC 5256 §2.1) and the ids they refer to (RFC 5322 §3.6.4)."""

import re

from mailserver.mime.fields import Fields, parse_fields

_SUBJECT_CHARACTERS = 4096
REFERENCES_KEPT = 100

_SPACES = re.compile(r"[ \t\r\n]+")
_LEADER = re.compile(r"(?:(?:\[[^\[\]]*\][ \t]*)*(?:re|fwd?)[ \t]*(?:\[[^\[\]]*\][ \t]*)?:|[ \t])", re.IGNORECASE)
_BLOB = re.compile(r"\[[^\[\]]*\][ \t]*")
_ID = re.compile(r"<([^<>]{1,998})>")


def base_subject(subject: str) -> str:
    """The subject without reply and forward marks. Takes decoded text (step 1 of the RFC); keeps the case."""
    text = _SPACES.sub(" ", subject[:_SUBJECT_CHARACTERS])
    while True:
        text = _without_trailers(text)  # (2)
        text = _without_leaders(text)  # (3) to (5)
        if text[:5].lower() != "[fwd:" or not text.endswith("]"):  # (6)
            return text
        text = text[5:-1]


def _without_trailers(text: str) -> str:
    while True:
        text = text.rstrip(" \t")
        if text[-5:].lower() != "(fwd)":
            return text
        text = text[:-5]


def _without_leaders(text: str) -> str:
    position = 0
    while True:
        leader = _LEADER.match(text, position)
        if leader is not None:
            position = leader.end()
            continue
        blob = _BLOB.match(text, position)
        if blob is None or blob.end() == len(text):
            return text[position:]
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
