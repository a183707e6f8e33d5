"""The text of parts: transfer encodings and charsets undone, and the preview of a message (RFC 8970)."""

import binascii
import re
from html import unescape
from mmap import mmap

from mailserver.mime.charset import decode_text
from mailserver.mime.header import decode_base64
from mailserver.mime.part import Part

PREVIEW_CHARACTERS = 200
_PREVIEW_OCTETS = 8192
_HTML_PREVIEW_OCTETS = 65_536

_UNSHOWN = re.compile(r"<(style|script|head|title)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[/!?a-zA-Z][^<>]*>?")
# Soft hyphens, joiners and the like: newsletters pad their preview with hundreds of them.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufffc]+"
)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def part_text(octets: bytes | mmap, part: Part) -> str:
    """The text of a leaf part, transfer encoding and charset undone. Never raises."""
    raw = octets[part.body_offset : part.body_offset + part.body_octets]
    return decode_text(decode_transfer(raw, part.encoding), part.parameters.get("charset"))


def decode_transfer(octets: bytes, encoding: str) -> bytes:
    """Undo a Content-Transfer-Encoding as far as the octets allow; unknown ones change nothing. Never raises."""
    if encoding == "base64":
        return decode_base64(octets)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(octets)
    if encoding in ("x-uuencode", "x-uue", "uuencode"):
        return _decode_uu(octets)
    return octets


def preview(octets: bytes | mmap, root: Part, limit: int = PREVIEW_CHARACTERS) -> str:
    """How the message begins: white space folded, at most `limit` characters. Reads the first 8 KB of one part."""
    part = _shown_part(root)
    if part is None:
        return ""
    if part.subtype != "html":
        return _fold(_beginning(octets, part, _PREVIEW_OCTETS), limit)
    text = _fold(_without_markup(_beginning(octets, part, _PREVIEW_OCTETS)), limit)
    if not text and part.body_octets > _PREVIEW_OCTETS:  # nothing but styles so far
        text = _fold(_without_markup(_beginning(octets, part, _HTML_PREVIEW_OCTETS)), limit)
    return text


def _shown_part(root: Part) -> Part | None:
    """The first text/plain part that is no attachment; else HTML; else other text; else what an inner message shows."""
    found: dict[str, Part] = {}
    pending = [root]
    inner: Part | None = None
    while pending:
        part = pending.pop()
        if part.type == "text":
            if part.disposition != "attachment" and part.body_octets:
                if part.subtype == "plain":
                    return part
                found.setdefault("html" if part.subtype == "html" else "other", part)
        elif part.type == "multipart":
            pending.extend(reversed(part.children))
        elif part.children and inner is None:
            inner = part.children[0]
        if not pending and not found and inner is not None:
            pending, inner = [inner], None
    return found.get("html") or found.get("other")


def _beginning(octets: bytes | mmap, part: Part, limit: int) -> str:
    is_cut = part.body_octets > limit
    raw = octets[part.body_offset : part.body_offset + min(part.body_octets, limit)]
    encoding = part.encoding
    if is_cut and encoding == "quoted-printable":
        raw = raw[: raw.rfind(b"=")] if b"=" in raw[-2:] else raw
    return decode_text(decode_transfer(raw, encoding), part.parameters.get("charset"), is_cut=is_cut)


def _without_markup(text: str) -> str:
    text = _TAG.sub(" ", _UNSHOWN.sub(" ", text))
    return unescape(text) if "&" in text else text


def _fold(text: str, limit: int) -> str:
    """White space as single spaces, at most `limit` characters; looks at no more of the text than it needs."""
    head = _clean(text[: limit * 4])
    if len(head) < limit and len(text) > limit * 4:
        head = _clean(text)
    return head[:limit].rstrip()


def _clean(text: str) -> str:
    if not text.isascii():
        text = _INVISIBLE.sub("", text)
    text = " ".join(text.split())
    return text if text.isprintable() else " ".join(_CONTROLS.sub(" ", text).split())


def _decode_uu(octets: bytes) -> bytes:
    out = []
    for line in octets.splitlines():
        if line.startswith((b"begin ", b"end")) or not line:
            continue
        try:
            out.append(binascii.a2b_uu(line))
        except binascii.Error:
            continue
    return b"".join(out)
