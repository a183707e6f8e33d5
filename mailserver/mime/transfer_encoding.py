"""Content-Transfer-Encodings undone piece by piece (RFC 2045 §6), so that no part need be whole in memory.

Lenient as `text.decode_transfer`: foreign characters in base64 are passed over, what stands behind its padding too.
"""

import binascii
import re
from typing import Protocol

_NOT_BASE64 = bytes(octet for octet in range(256) if not (chr(octet).isalnum() and octet < 128) and octet not in b"+/=")
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_AS_IT_IS = frozenset({"7bit", "8bit", "binary"})


class UnknownEncoding(Exception):
    """A Content-Transfer-Encoding that nobody here can undo."""

    def __init__(self, encoding: str) -> None:
        super().__init__(f"the encoding {encoding!r} is not known")
        self.encoding = encoding


class Decoding(Protocol):
    """Give it the encoded octets in pieces; `end` gives what was held back."""

    def feed(self, octets: bytes) -> bytes: ...
    def end(self) -> bytes: ...


def decoding(encoding: str, *, is_text: bool) -> Decoding:
    """What undoes an encoding, named in lower case. Text comes with CRLF for every line end (RFC 3516 §6).

    Raises UnknownEncoding.
    """
    decoder: Decoding
    if encoding in _AS_IT_IS:
        decoder = _AsItIs()
    elif encoding == "base64":
        decoder = _Base64()
    elif encoding == "quoted-printable":
        decoder = _QuotedPrintable()
    else:
        raise UnknownEncoding(encoding)
    return _Lines(decoder) if is_text else decoder


def decoded(octets: bytes, encoding: str, *, is_text: bool) -> bytes:
    """A whole part. Raises UnknownEncoding."""
    decoder = decoding(encoding, is_text=is_text)
    return decoder.feed(octets) + decoder.end()


class _AsItIs:
    def feed(self, octets: bytes) -> bytes:
        return octets

    def end(self) -> bytes:
        return b""


class _Base64:
    def __init__(self) -> None:
        self._rest = b""
        self._is_over = False

    def feed(self, octets: bytes) -> bytes:
        if self._is_over:
            return b""
        octets = self._rest + octets.translate(None, _NOT_BASE64)
        padding = octets.find(b"=")
        if padding >= 0:
            self._is_over = True
            octets = octets[:padding]
        whole = len(octets) & ~3
        self._rest = octets[whole:]
        return binascii.a2b_base64(octets[:whole])

    def end(self) -> bytes:
        rest = self._rest if len(self._rest) > 1 else b""  # one character alone is less than an octet
        return binascii.a2b_base64(rest + b"=" * (-len(rest) % 4))


class _QuotedPrintable:
    def __init__(self) -> None:
        self._rest = b""

    def feed(self, octets: bytes) -> bytes:
        octets = self._rest + octets
        cut = octets.rfind(b"\n") + 1
        if not cut:  # a line longer than a piece: only an encoded octet must not be torn
            cut = octets.rfind(b"=") if b"=" in octets[-2:] else len(octets)
        self._rest = octets[cut:]
        return binascii.a2b_qp(octets[:cut])

    def end(self) -> bytes:
        return binascii.a2b_qp(self._rest)


class _Lines:
    """Text with CRLF for every bare line feed."""

    def __init__(self, inner: Decoding) -> None:
        self._inner = inner
        self._ends_in_cr = False

    def feed(self, octets: bytes) -> bytes:
        return self._with_crlf(self._inner.feed(octets))

    def end(self) -> bytes:
        return self._with_crlf(self._inner.end())

    def _with_crlf(self, octets: bytes) -> bytes:
        if not octets:
            return octets
        begins_with_lf = self._ends_in_cr and octets.startswith(b"\n")
        self._ends_in_cr = octets.endswith(b"\r")
        if begins_with_lf:
            return b"\n" + _BARE_LINE_FEED.sub(b"\r\n", octets[1:])
        return _BARE_LINE_FEED.sub(b"\r\n", octets)
