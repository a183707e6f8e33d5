"""The text of a part as JMAP gives it: decoded, lines ended by LF, cut where asked (RFC 8621 §4.1.4, §4.2)."""

import codecs
import re

from mailserver.mime.charset import codec_named, decode_text, storable
from webmail.jmap.errors import JsonObject

_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_META_OCTETS = 2048
_TAG = re.compile(r"<(?:!--(?:[^-]|-(?!->))*+(?:-->)?|[A-Za-z/!?](?:[^\"'<>]|\"[^\"]{0,4096}+\"|'[^']{0,4096}+')*+>?)")
_ENTITY = re.compile(r"&(?:#[0-9]{0,8}|#[xX][0-9a-fA-F]{0,7}|[A-Za-z][A-Za-z0-9]{0,31})?\Z")
_LONGEST_ENTITY = 40


def body_value(
    octets: bytes, charset: str | None, *, is_html: bool, most_octets: int, is_cut: bool, has_problem: bool
) -> JsonObject:
    """An EmailBodyValue of decoded octets. `is_cut`: they are the beginning of more. `most_octets` 0: no limit.

    `has_problem`: they could not be decoded from their transfer encoding.
    """
    if charset is None and is_html and (found := _META_CHARSET.search(octets[:_META_OCTETS])) is not None:
        charset = found[1].decode("ascii", "replace")
    text, is_malformed = _decoded(octets, charset, is_cut=is_cut)
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    shown = truncated(text, most_octets, is_html=is_html) if most_octets else text
    return {
        "value": shown,
        "isEncodingProblem": is_malformed or has_problem,
        "isTruncated": is_cut or len(shown) != len(text),
    }


def _decoded(octets: bytes, charset: str | None, *, is_cut: bool) -> tuple[str, bool]:
    """The text, and whether something was malformed, or the charset is not known."""
    codec = codec_named(charset) if charset else "utf_8"
    if codec is not None:
        decoder = codecs.getincrementaldecoder(codec)("strict")
        try:
            return storable(decoder.decode(octets, not is_cut)), False
        except (UnicodeError, ValueError):
            pass
    return decode_text(octets, charset, is_cut=is_cut), True


def truncated(text: str, most_octets: int, *, is_html: bool) -> str:
    """The beginning of a text that takes at most so many octets of UTF-8; no character, tag or entity is cut."""
    octets = text[: most_octets + 1].encode("utf-8", "replace")
    if len(octets) <= most_octets:
        return text
    end = most_octets
    while end and octets[end] & 0xC0 == 0x80:
        end -= 1
    shown = octets[:end].decode()
    return shown[: _end_of_markup(text, len(shown))] if is_html else shown


def _end_of_markup(text: str, end: int) -> int:
    """The last place up to `end` that stands in no tag, comment or entity."""
    position = text.find("<")
    while 0 <= position < end:
        tag = _TAG.match(text, position, end + 1)
        if tag is None:
            position = text.find("<", position + 1)
            continue
        tag_end = tag.end()
        if not tag[0].endswith(">") and tag_end <= end:  # a quote that is never closed: browsers go by the bracket
            tag_end = text.find(">", position, end) + 1 or end + 1
        if tag_end > end:
            end = position
            break
        position = text.find("<", tag_end)
    start = max(0, end - _LONGEST_ENTITY)
    if end < len(text) and (entity := _ENTITY.search(text, start, end)) is not None and _goes_on(text, end):
        end = entity.start()
    return end


def _goes_on(text: str, end: int) -> bool:
    """Could what stands at `end` belong to an entity that began before?"""
    following = text[end : end + 1]
    return following == ";" or following == "#" or (following.isascii() and following.isalnum())
