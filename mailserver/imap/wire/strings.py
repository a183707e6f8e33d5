"""The strings of RFC 3501 §4.3 as a server writes them: atom, quoted, literal, whichever is the plainest that holds."""

import re

_ASTRING = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+")
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*")
_QUOTABLE_UTF8 = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\xff]*")


def literal(octets: bytes) -> bytes:
    return b"{%d}\r\n%b" % (len(octets), octets)


def string(octets: bytes) -> bytes:
    """Quoted; a literal if there are line ends, 8-bit octets or very many octets."""
    if len(octets) > 4096 or not _QUOTABLE.fullmatch(octets):
        return literal(octets)
    return b'"%b"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def utf8_string(octets: bytes) -> bytes:
    """As `string`, for a client that has enabled UTF-8: what is UTF-8 is quoted too (RFC 6855 §3, RFC 9051 §4.3)."""
    if octets.isascii() or len(octets) > 4096 or not _QUOTABLE_UTF8.fullmatch(octets):
        return string(octets)
    return b'"%b"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def astring(octets: bytes) -> bytes:
    """As it is, where no client could take it for anything else."""
    if _ASTRING.fullmatch(octets) and octets.upper() != b"NIL":
        return octets
    return string(octets)


def nstring(octets: bytes | None) -> bytes:
    return b"NIL" if octets is None else string(octets)
