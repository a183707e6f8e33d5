"""Replies become octets (RFC 1939 §3): `+OK` or `-ERR`, perhaps a response code (RFC 2449 §8, RFC 3206), and a text."""

from enum import Enum


class Code(Enum):
    """Response codes; the value is the word between the brackets."""

    AUTH = "AUTH"
    """The name or the password is wrong (RFC 3206 §5)."""
    SYSTEM_TEMPORARY = "SYS/TEMP"
    """Something of ours is away; trying again later is right (RFC 3206 §4)."""
    SYSTEM_PERMANENT = "SYS/PERM"
    """A person has to put something right first."""
    LOGIN_DELAY = "LOGIN-DELAY"
    """Too many sign-ins for now (RFC 2449 §8.1.1)."""


END = b".\r\n"


def ok(text: str = "") -> bytes:
    return f"+OK {text}".rstrip().encode("ascii", "replace") + b"\r\n"


def error(text: str, code: Code | None = None) -> bytes:
    words = f"-ERR [{code.value}] {text}" if code is not None else f"-ERR {text}"
    return words.translate(_NO_LINE_ENDS).encode("ascii", "replace") + b"\r\n"


def challenge(base64: bytes) -> bytes:
    """What the server says in an AUTH exchange (RFC 5034 §4)."""
    return b"+ %b\r\n" % base64


def listing(listed: list[str]) -> bytes:
    """A multi-line answer after its +OK; no line begins with a dot."""
    return lines(listed) + END


def lines(listed: list[str]) -> bytes:
    """Some lines of a listing, which `END` ends."""
    return "".join(f"{line}\r\n" for line in listed).encode("ascii")


_NO_LINE_ENDS = {ord("\r"): " ", ord("\n"): " "}
