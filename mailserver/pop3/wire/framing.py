"""Octets from the network become command lines; no grammar. A bare LF ends a line too, as old clients have it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LineTooLong:
    """A line went past the limit; its octets are gone."""


class LineFramer:
    """Feed it octets with `receive`, take lines with `next_line` until None.

    `limit_octets` counts a line without its end and may change at any time (an AUTH response is longer than a command).
    """

    __slots__ = ("_buffer", "_is_dropping", "_looked_at", "limit_octets")

    def __init__(self, limit_octets: int) -> None:
        self.limit_octets = limit_octets
        self._buffer = bytearray()
        self._looked_at = 0
        self._is_dropping = False

    @property
    def buffered_octets(self) -> int:
        return len(self._buffer)

    def receive(self, data: bytes) -> None:
        self._buffer += data

    def next_line(self) -> bytes | LineTooLong | None:
        """The next line without its end."""
        end = self._buffer.find(b"\n", self._looked_at)
        if end < 0:
            self._looked_at = len(self._buffer)
            if self._looked_at > self.limit_octets + 1:
                self._is_dropping = True
                self._buffer.clear()
                self._looked_at = 0
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._looked_at = 0
        if self._is_dropping or len(line) > self.limit_octets + 1:
            self._is_dropping = False
            return LineTooLong()
        return line.removesuffix(b"\r")

    def discard_buffered(self) -> int:
        """Drop what was sent ahead; how many octets that were."""
        dropped = len(self._buffer)
        self._buffer.clear()
        self._looked_at = 0
        self._is_dropping = False
        return dropped
