"""Strings as an IMAP client may be sent them: 7-bit, without NUL, CR or LF (RFC 3501 §9, RFC 2047).

Everything a message can hold ends up as a quoted string, as a literal when it is long, or as NIL. Text beyond ASCII
goes out as encoded words: a client that has not enabled UTF8=ACCEPT must not be sent raw UTF-8 (RFC 6855 §3), and all
of them read encoded words. The functions return `str` of ASCII characters only, so that lengths are octets.
"""

import binascii
import re

from mailserver.mime.header import decode_words

NIL = "NIL"
_QUOTED_OCTETS = 1000
_WORD_CHARACTERS = 45  # octets of UTF-8 in one encoded word: 12 + 60 characters, under the 75 of RFC 2047 §2
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")


def nstring(text: str | None) -> str:
    return NIL if text is None else string(text)


def string(text: str) -> str:
    """A protocol string: an address, an id, a parameter value."""
    if not (text.isascii() and text.isprintable()):
        text = _CONTROLS.sub(" ", text)
        if not text.isascii():
            text = encoded_words(text)
    return _quoted(text)


def human_nstring(text: str | None) -> str:
    return NIL if text is None else human_string(text)


def human_string(text: str) -> str:
    """Unstructured text: a subject, a display name. Encoded words in it are kept unless raw text stands among them."""
    if not (text.isascii() and text.isprintable()):
        text = _CONTROLS.sub(" ", text)
        if not text.isascii():
            text = encoded_words(decode_words(text) if "=?" in text else text)
    return _quoted(text)


def encoded_words(text: str) -> str:
    """Text as RFC 2047 B words in UTF-8, no character split between two."""
    words, start = [], 0
    octets = text.encode("utf-8", "replace")
    while start < len(octets):
        end = min(start + _WORD_CHARACTERS, len(octets))
        while end < len(octets) and octets[end] & 0xC0 == 0x80:
            end -= 1
        words.append("=?UTF-8?B?" + binascii.b2a_base64(octets[start:end], newline=False).decode("ascii") + "?=")
        start = end
    return " ".join(words)


def _quoted(text: str) -> str:
    if len(text) > _QUOTED_OCTETS:
        return f"{{{len(text)}}}\r\n{text}"
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
