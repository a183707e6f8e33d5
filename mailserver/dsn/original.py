"""The third part of a report: the message that it is about, or its header (RFC 3464 §2, RFC 6533 §4).

Whatever the message holds, the report around it is well formed: what could not travel as it is (a bare CR or LF, a NUL,
a line over 998 octets) is given back as its header, encoded.
"""

import binascii
from dataclasses import dataclass

_LINE_LIMIT_OCTETS = 998
_HEADER_LIMIT_OCTETS = 65_536


@dataclass(frozen=True, slots=True)
class BodyPart:
    """A MIME part as it goes between two boundaries: fields of its own, then octets."""

    content_type: str
    encoding: str
    octets: bytes


def returned_part(octets: bytes, *, is_whole: bool, is_utf8_welcome: bool) -> BodyPart:
    """The whole message if it may travel so, else its header."""
    end = octets.find(b"\r\n\r\n")
    header = octets[: end + 2] if end >= 0 else octets
    if octets.startswith(b"\r\n"):
        header = b""
    is_global = not header.isascii() and _is_utf8(header)
    if is_whole and (part := _whole(octets, is_global=is_global, is_utf8_welcome=is_utf8_welcome)) is not None:
        return part
    return _header_alone(_cut(header), is_global=is_global, is_utf8_welcome=is_utf8_welcome)


def encoded_text(text: str) -> BodyPart:
    """A text/plain part that every system passes on unchanged; text beyond ASCII in the shorter of two encodings."""
    octets = text.encode("utf-8", "replace")
    if octets.isascii() and can_travel(octets):
        return BodyPart("text/plain; charset=us-ascii", "7bit", octets)
    if sum(octet > 0x7F for octet in octets) * 6 > len(octets):
        return BodyPart("text/plain; charset=utf-8", "base64", _base64(octets))
    return BodyPart("text/plain; charset=utf-8", "quoted-printable", quoted_printable(octets))


def can_travel(octets: bytes) -> bool:
    """Whether 8BITMIME may carry them: lines of at most 998 octets that end in CRLF, and no NUL (RFC 6152 §3)."""
    line_ends = octets.count(b"\r\n")
    if line_ends != octets.count(b"\n") or line_ends != octets.count(b"\r") or b"\0" in octets:
        return False
    at = 0
    while len(octets) - at > _LINE_LIMIT_OCTETS:
        line_end = octets.rfind(b"\r\n", at, at + _LINE_LIMIT_OCTETS + 2)
        if line_end < 0:
            return False
        at = line_end + 2
    return True


def _whole(octets: bytes, *, is_global: bool, is_utf8_welcome: bool) -> BodyPart | None:
    if is_global and not is_utf8_welcome:
        return BodyPart("message/global", "base64", _base64(octets))  # which only the global type allows
    if not can_travel(octets):
        return None
    return BodyPart("message/global" if is_global else "message/rfc822", "7bit" if octets.isascii() else "8bit", octets)


def _header_alone(header: bytes, *, is_global: bool, is_utf8_welcome: bool) -> BodyPart:
    content_type = "message/global-headers" if is_global else "text/rfc822-headers"
    if can_travel(header):
        if header.isascii():
            return BodyPart(content_type, "7bit", header)
        if is_global and is_utf8_welcome:
            return BodyPart(content_type, "8bit", header)
    return BodyPart(content_type, "quoted-printable", quoted_printable(header))


def _cut(header: bytes) -> bytes:
    if len(header) <= _HEADER_LIMIT_OCTETS:
        return header
    end = header.rfind(b"\r\n", 0, _HEADER_LIMIT_OCTETS)
    return header[: end + 2] if end >= 0 else header[:_HEADER_LIMIT_OCTETS]


def quoted_printable(octets: bytes) -> bytes:
    """Line by line; a bare CR or LF is encoded like any control."""
    lines = [binascii.b2a_qp(line, quotetabs=False, istext=False) for line in octets.split(b"\r\n")]
    return b"\r\n".join(line.replace(b"=\n", b"=\r\n") for line in lines)


def _base64(octets: bytes) -> bytes:
    return b"".join(
        binascii.b2a_base64(octets[start : start + 57], newline=False) + b"\r\n" for start in range(0, len(octets), 57)
    )


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
