"""The octets of DATA: where they end, dots taken off, limits kept (RFC 5321 §4.5.2, §2.3.8).

Only CRLF "." CRLF ends a message. Whether another server would see an end in LF "." LF does not matter here, because
a message that holds a bare CR or LF anywhere is refused as a whole (SMTP smuggling). How the network cuts the octets
never matters: what might be the beginning of the end is held back, at most four octets.
"""

from dataclasses import dataclass
from enum import Enum, auto

_END = b"\r\n.\r\n"


class Fault(Enum):
    """Why a message that was read to its end is refused. The first one found stands."""

    TOO_BIG = auto()
    BARE_LINE_END = auto()
    LINE_TOO_LONG = auto()


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """Beyond `message_octets` and `line_octets` (with CRLF) it is refused at its end, past `swallow_octets` cut off."""

    message_octets: int
    line_octets: int
    swallow_octets: int


class MessageReader:
    """Reads one message. Give it octets with `read` until it returns what follows the end."""

    __slots__ = ("_limits", "_line_octets", "_octets", "_tail", "fault")

    def __init__(self, limits: MessageLimits) -> None:
        self._limits = limits
        self._tail = b"\r\n"  # stands for the line end of the DATA command, so that the first line is like any other
        self._octets = -2
        self._line_octets = 0
        self.fault: Fault | None = None

    @property
    def is_endless(self) -> bool:
        return self._octets > self._limits.swallow_octets

    def read(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Message octets, perhaps none, and the octets after the end of data, None while there is no end.

        After a fault no more octets are given out.
        """
        octets = self._tail + data
        end = octets.find(_END)
        if end >= 0:
            rest: bytes | None = octets[end + 5 :]
            octets = octets[: end + 2]
            self._tail = b""
        else:
            rest = None
            held = _held_back(octets)
            self._tail = octets[len(octets) - held :]
            octets = octets[: len(octets) - held]
        if not octets:
            return b"", rest
        octets = octets.replace(b"\r\n.", b"\r\n")
        is_first = self._octets < 0
        self._octets += len(octets)
        if self.fault is None:
            self.fault = self._find_fault(octets)
        if self.fault is not None:
            return b"", rest
        return octets[2:] if is_first else octets, rest

    def _find_fault(self, octets: bytes) -> Fault | None:
        if self._octets > self._limits.message_octets:
            return Fault.TOO_BIG
        line_ends = octets.count(b"\r\n")
        if line_ends != octets.count(b"\n") or line_ends != octets.count(b"\r"):
            return Fault.BARE_LINE_END
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


def _held_back(octets: bytes) -> int:
    """How many octets at the end may be the beginning of the end of data."""
    for count in (4, 3, 2, 1):
        if octets.endswith(_END[:count]):
            return count
    return 0
