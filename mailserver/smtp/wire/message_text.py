"""What every message must be, however it comes: not too big, lines that end in CRLF and are not endless, no NUL.

A bare CR or LF anywhere refuses the whole message (SMTP smuggling: another server might see an end there). A NUL stands
in no text (RFC 5322 §4) and could not be given to a client: IMAP has no literal for it (RFC 9051 §4.3.1).
"""

from dataclasses import dataclass
from enum import IntEnum, auto


class Fault(IntEnum):
    """Why a message that was read to its end is refused. Of several the first in this order is told, so that it does
    not matter how the network cuts the octets."""

    TOO_BIG = auto()
    BARE_LINE_END = auto()
    NUL = auto()
    LINE_TOO_LONG = auto()


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """Beyond `message_octets` and `line_octets` (with CRLF) it is refused at its end, past `swallow_octets` cut off."""

    message_octets: int
    line_octets: int
    swallow_octets: int


class TextCheck:
    """Looks at the octets of one message, piece by piece; no piece may part a CR from its LF."""

    __slots__ = ("_limits", "_line_octets", "fault", "octets")

    def __init__(self, limits: MessageLimits, *, octets: int = 0) -> None:
        self._limits = limits
        self.octets = octets
        self._line_octets = 0
        self.fault: Fault | None = None

    @property
    def is_endless(self) -> bool:
        return self.octets > self._limits.swallow_octets

    def look(self, octets: bytes) -> None:
        self.octets += len(octets)
        if self.fault is not Fault.TOO_BIG:
            found = self._find_fault(octets)
            self.fault = found if self.fault is None else min(self.fault, found or self.fault)

    def _find_fault(self, octets: bytes) -> Fault | None:
        if self.octets > self._limits.message_octets:
            return Fault.TOO_BIG
        line_ends = octets.count(b"\r\n")
        if line_ends != _count(octets, b"\n") or line_ends != _count(octets, b"\r"):
            return Fault.BARE_LINE_END
        if b"\0" in octets:
            return Fault.NUL
        return Fault.LINE_TOO_LONG if self._has_long_line(octets) else None

    def _has_long_line(self, octets: bytes) -> bool:
        limit = self._limits.line_octets
        if self._line_octets + len(octets) > limit:
            at = octets.find(b"\n") + 1
            if self._line_octets + (at or len(octets)) > limit:
                return True
            while len(octets) - at > limit:
                line_end = octets.rfind(b"\n", at, at + limit)
                if line_end < 0:
                    return True
                at = line_end + 1
        last = octets.rfind(b"\n") + 1
        self._line_octets = len(octets) - last + (0 if last else self._line_octets)
        return False


def _count(octets: bytes, octet: bytes) -> int:
    """As `bytes.count`, which takes twice as long: taking them out is done by memchr."""
    return len(octets) - len(octets.replace(octet, b""))
