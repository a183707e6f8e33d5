"""Encoded words (RFC 2047), read as strictly as JMAP's Text form asks (RFC 8621 §4.1.2.2), and written.

Stricter than `mailserver.mime.header`, which shows people what senders meant: here a word counts only between white
space, and holds none; what breaks these rules stays as it is. Characters that neighbours share are put together.
"""

import binascii
import re
import unicodedata

from mailserver.mime.charset import codec_named, decode_octets, decode_text, storable
from mailserver.mime.header import decode_base64

_WORD = re.compile(
    r"(?<![^\s])=\?([!#$%&'+\-.^_`{|}~\w]{1,64})(?:\*[\w-]{0,64})?\?([bBqQ])\?([!->@-~]*)\?=(?![^\s])", re.ASCII
)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_LINE_CHARACTERS = 76  # of a line that holds an encoded word (RFC 2047 §2)
_WORD_OCTETS = 45  # of UTF-8 in one B word: 12 + 60 characters
_LONGEST_RAW_WORD = 900  # of a line at most 998 (RFC 5322 §2.1.1)
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")


def unfolded(value: bytes, hint: str | None = None) -> str:
    """A field's value as text: folds undone (RFC 5322 §2.2.3), octets that are not UTF-8 judged, NUL dropped."""
    if b"\n" in value:
        value = _FOLD.sub(b"", value)
    if value.isascii():
        return value.decode("ascii").replace("\0", "")
    return decode_octets(value.replace(b"\0", b""), hint)


def text_form(value: bytes, hint: str | None = None) -> str:
    """The Text form of a field's value, which may be folded (RFC 8621 §4.1.2.2)."""
    text = unfolded(value, hint).lstrip(" \t")
    text = decoded(text)
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def decoded(text: str) -> str:
    """Encoded words that stand by themselves replaced by what they say; white space between two of them is dropped."""
    if "=?" not in text:
        return text
    out: list[str] = []
    pending: list[bytes] = []
    charset = ""
    position = 0

    def settle() -> None:
        if pending:
            out.append(_CONTROLS.sub("", _text(b"".join(pending), charset)))
            pending.clear()

    for match in _WORD.finditer(text):
        if codec_named(match[1]) is None:
            continue
        between = text[position : match.start()]
        if not pending or between.strip(" \t\r\n"):
            settle()
            out.append(between)
        elif match[1].lower() != charset:
            settle()
        charset = match[1].lower()
        pending.append(_octets(match[2], match[3]))
        position = match.end()
    settle()
    out.append(text[position:])
    return "".join(out)


def _octets(encoding: str, payload: str) -> bytes:
    octets = payload.encode("ascii")
    return binascii.a2b_qp(octets, header=True) if encoding in "qQ" else decode_base64(octets)


def _text(octets: bytes, charset: str) -> str:
    """What cannot be decoded becomes U+FFFD; a charset that is declared wrongly is judged."""
    if b"\0" in octets and not (codec_named(charset) or "").startswith(("utf_16", "utf_32")):
        octets = octets.replace(b"\0", b"")
    return decode_text(octets, charset)


def encoded(text: str) -> list[str]:
    """Unstructured text as pieces to be folded between: each begins with the white space that stands before it.

    Reading it with `text_form` gives the same text, in NFC, without controls and without white space around it.
    """
    text = _CONTROLS.sub(" ", storable(text)).strip()
    pieces: list[str] = []
    foreign: list[str] = []
    for space, word in re.findall(r"( *)([^ ]+)", text):
        if _needs_encoding(space, word):
            foreign.append(space + word)
            continue
        if foreign:
            pieces += _encoded_run("".join(foreign))
            foreign = []
        pieces.append(space + word)
    if foreign:
        pieces += _encoded_run("".join(foreign))
    return pieces


def encoded_phrase(text: str) -> list[str]:
    """As `encoded`, all of it in encoded words, in the characters that a phrase may hold (RFC 2047 §5 (3))."""
    return _encoded_run(_CONTROLS.sub(" ", storable(text)).strip())


def needs_words(text: str) -> bool:
    """Can it not stand in a header as it is?"""
    return not text.isascii() or "=?" in text


def _needs_encoding(space: str, word: str) -> bool:
    return not word.isascii() or "=?" in word or len(word) > _LONGEST_RAW_WORD


def _encoded_run(text: str) -> list[str]:
    """Words of one run; the space that parts it from what is before it stays outside."""
    bare = text[1:] if text.startswith(" ") else text
    lead = " " if bare is not text else ""
    words = _encoded_words(bare)
    return [lead + words[0], *(" " + word for word in words[1:])] if words else []


def _encoded_words(text: str) -> list[str]:
    octets = text.encode("utf-8", "replace")
    is_mostly_ascii = sum(octet in _Q_SAFE or octet == 0x20 for octet in octets) * 3 > len(octets) * 2
    words: list[str] = []
    start = 0
    while start < len(octets):
        end, quoted = start, ""
        while end < len(octets):
            after = end + 1
            while after < len(octets) and octets[after] & 0xC0 == 0x80:
                after += 1
            more = _q(octets[end:after])
            if (len(quoted) + len(more) > 60) if is_mostly_ascii else (after - start > _WORD_OCTETS):
                break
            quoted += more
            end = after
        if is_mostly_ascii:
            words.append(f"=?utf-8?Q?{quoted}?=")
        else:
            base64 = binascii.b2a_base64(octets[start:end], newline=False).decode("ascii")
            words.append(f"=?utf-8?B?{base64}?=")
        start = end
    return words


def _q(octets: bytes) -> str:
    return "".join("_" if octet == 0x20 else chr(octet) if octet in _Q_SAFE else f"={octet:02X}" for octet in octets)


def folded(name: str, pieces: list[str]) -> bytes:
    """A field of pieces, each with the white space before it; lines are broken before pieces (RFC 5322 §2.2.3)."""
    lines: list[str] = []
    line = f"{name}:"
    for number, piece in enumerate(pieces):
        text = piece if number else " " + piece.lstrip(" ")
        is_full = len(line) + len(text) > _LINE_CHARACTERS and line.strip() and text.startswith(" ")
        if is_full and (number or len(text) > _LONGEST_RAW_WORD):
            lines.append(line)
            line = text
        else:
            line += text
    lines.append(line)
    return "\r\n".join(lines).encode() + b"\r\n"
