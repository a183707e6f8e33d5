"""A message on its way into a multi-line answer (RFC 1939 §3): dots doubled at the head of lines, and cut for TOP.

A dot is doubled after a bare LF as well: some clients take that for a line end, and a message must not be able to end
its own answer.
"""


class DotStuffer:
    """Feed it the pieces of a message in order; `finish` gives what ends the answer."""

    __slots__ = ("_is_at_line_start", "_last")

    def __init__(self) -> None:
        self._is_at_line_start = True
        self._last = b"\r\n"

    def feed(self, octets: bytes) -> bytes:
        if not octets:
            return b""
        stuffed = octets.replace(b"\n.", b"\n..")
        if self._is_at_line_start and octets.startswith(b"."):
            stuffed = b"." + stuffed
        self._is_at_line_start = octets.endswith(b"\n")
        self._last = octets[-2:] if len(octets) > 1 else self._last[-1:] + octets
        return stuffed

    def finish(self) -> bytes:
        """The line end that the message lacks, and the dot."""
        return b".\r\n" if self._last == b"\r\n" else b"\r\n.\r\n"


class TopCutter:
    """Lets the header section, the empty line and so many lines of the body through (RFC 1939 §7)."""

    __slots__ = ("_header_octets", "_lines", "_seen_octets", "is_done")

    def __init__(self, *, header_octets: int, lines: int) -> None:
        """`header_octets` counts the empty line after the header."""
        self._header_octets = header_octets
        self._lines = lines
        self._seen_octets = 0
        self.is_done = False

    def feed(self, octets: bytes) -> bytes:
        if self.is_done:
            return b""
        start = max(0, min(len(octets), self._header_octets - self._seen_octets))
        self._seen_octets += len(octets)
        if self._seen_octets < self._header_octets:
            return octets
        at = start
        while self._lines > 0:
            end = octets.find(b"\n", at)
            if end < 0:
                return octets
            at = end + 1
            self._lines -= 1
        self.is_done = True
        return octets[:at]
