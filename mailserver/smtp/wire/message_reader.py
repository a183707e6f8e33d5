"""The octets of DATA: where they end, and dots taken off (RFC 5321 §4.5.2).

Only CRLF "." CRLF ends a message. How the network cuts the octets never matters: what might be the beginning of the end
is held back, at most four octets.
"""

from mailserver.smtp.wire.message_text import Fault, MessageLimits, TextCheck

_END = b"\r\n.\r\n"


class MessageReader:
    """Reads one message. Give it octets with `read` until it returns what follows the end."""

    __slots__ = ("_check", "_is_first", "_tail")

    def __init__(self, limits: MessageLimits) -> None:
        self._tail = b"\r\n"  # stands for the line end of the DATA command, so that the first line is like any other
        self._is_first = True
        self._check = TextCheck(limits, octets=-len(self._tail))

    @property
    def fault(self) -> Fault | None:
        return self._check.fault

    @property
    def is_endless(self) -> bool:
        return self._check.is_endless

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
        is_first, self._is_first = self._is_first, False
        self._check.look(octets)
        if self._check.fault is not None:
            return b"", rest
        return octets[2:] if is_first else octets, rest


def _held_back(octets: bytes) -> int:
    """How many octets at the end may be the beginning of the end of data."""
    for count in (4, 3, 2, 1):
        if octets.endswith(_END[:count]):
            return count
    return 0
