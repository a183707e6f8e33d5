"""Strings as an IMAP client may be sent them, without NUL, CR or LF (RFC 3501 §9, RFC 2047, RFC 6855 §3).

Everything a message can hold ends up as a quoted string, as a literal when it is long, or as NIL. Text beyond ASCII
goes out as encoded words, which all clients read: one that has not enabled UTF8=ACCEPT must not be sent raw UTF-8. So
the functions return `str` of ASCII characters only, but those for clients that read UTF-8.
"""

import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

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


def utf8_string(text: str) -> str:
    """For a client that reads UTF-8: as it is, encoded words too."""
    if not text.isprintable():
        text = _CONTROLS.sub(" ", text).encode("utf-8", "replace").decode()
    octets = len(text.encode())
    return f"{{{octets}}}\r\n{text}" if octets > _QUOTED_OCTETS else _quoted(text)


def utf8_nstring(text: str | None) -> str:
    return NIL if text is None else utf8_string(text)


@dataclass(frozen=True, slots=True)
class Forms:
    """How strings are written. `knows_global`: message/global has an envelope and a body of its own, as message/rfc822
    has (RFC 9051 §7.5.2); in IMAP4rev1 it is a part as any other."""

    string: Callable[[str], str]
    nstring: Callable[[str | None], str]
    human_string: Callable[[str], str]
    human_nstring: Callable[[str | None], str]
    is_utf8: bool = False
    knows_global: bool = False


SEVEN_BIT = Forms(string, nstring, human_string, human_nstring)
UTF8 = Forms(utf8_string, utf8_nstring, utf8_string, utf8_nstring, is_utf8=True)
UTF8_AND_GLOBAL = Forms(utf8_string, utf8_nstring, utf8_string, utf8_nstring, is_utf8=True, knows_global=True)
