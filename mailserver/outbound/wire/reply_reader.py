"""Octets from a host become whole replies (RFC 5321 §4.2.1): code, `-` or space, text; no meaning, no I/O.

Lines end in CRLF; LF alone is taken too, since hosts send it and nothing hangs on it here. Whatever else the host
sends, memory is bounded: a line and a reply have a limit, and only `BACKLOG_LIMIT` replies wait to be taken.
"""

import re
from collections import deque
from dataclasses import dataclass

BACKLOG_LIMIT = 10_000  # replies to pipelined commands, of which there are never so many

_LINE = re.compile(rb"([2-5][0-9][0-9])([ -]?)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RawReply:
    """One reply; `lines` without code and line end, at least one."""

    code: int
    lines: tuple[bytes, ...]


class NotSmtp(Exception):
    """What the host sends is no reply, or one without end. Nothing more is read from it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ReplyReader:
    """Feed it octets with `receive`, take replies with `next_reply` until None, or until that raises NotSmtp."""

    __slots__ = ("_buffer", "_fault", "_line_limit", "_lines", "_octets", "_ready", "_reply_limit")

    def __init__(self, line_limit_octets: int, reply_limit_octets: int) -> None:
        self._line_limit = line_limit_octets
        self._reply_limit = reply_limit_octets
        self._buffer = b""
        self._lines: list[bytes] = []
        self._octets = 0  # of the lines of the reply that is not whole yet
        self._ready: deque[RawReply] = deque()
        self._fault: NotSmtp | None = None

    @property
    def has_reply(self) -> bool:
        return bool(self._ready)

    @property
    def is_at_fault(self) -> bool:
        return self._fault is not None

    @property
    def is_empty(self) -> bool:
        """Nothing was received that was not taken."""
        return not (self._ready or self._buffer or self._lines or self._fault)

    def receive(self, data: bytes) -> None:
        """Nothing after a fault. Replies before it are still given out."""
        if self._fault is not None:
            return
        try:
            self._take_lines(data)
        except NotSmtp as fault:
            self._fault = fault
            self._buffer = b""
            self._lines.clear()

    def next_reply(self) -> RawReply | None:
        if self._ready:
            return self._ready.popleft()
        if self._fault is not None:
            raise self._fault
        return None

    def discard(self) -> None:
        """Forget what was received: it came before TLS and nobody vouches for it (RFC 3207 §4.2)."""
        self._buffer = b""
        self._lines.clear()
        self._octets = 0
        self._ready.clear()

    def _take_lines(self, data: bytes) -> None:
        octets = self._buffer + data if self._buffer else data
        start = 0
        while (end := octets.find(b"\n", start)) >= 0:
            self._take_line(octets[start:end])
            start = end + 1
        self._buffer = octets[start:]
        if len(self._buffer) > self._line_limit:
            raise NotSmtp("a line without end")

    def _take_line(self, line: bytes) -> None:
        if len(line) > self._line_limit:
            raise NotSmtp("a line that is too long")
        found = _LINE.fullmatch(line.removesuffix(b"\r"))
        if found is None:
            raise NotSmtp("a line that is no reply")
        code, mark, text = found.groups()
        if not mark and text:
            raise NotSmtp("a line that is no reply")
        if self._lines and code != self._lines[0]:
            raise NotSmtp("a reply with two codes")
        self._octets += len(line)
        if self._octets > self._reply_limit:
            raise NotSmtp("a reply without end")
        if not self._lines:
            self._lines.append(code)
        self._lines.append(text)
        if mark != b"-":
            self._finish()

    def _finish(self) -> None:
        code, *texts = self._lines
        self._lines.clear()
        self._octets = 0
        if len(self._ready) >= BACKLOG_LIMIT:
            raise NotSmtp("replies to nothing")
        self._ready.append(RawReply(int(code), tuple(texts)))
