"""Octets from the network become whole command lines and pieces of messages; no grammar, no I/O.

Command lines end in CRLF and nothing else (RFC 5321 §2.3.8). A bare LF gives BareLineFeed at once, so that a person
with a line-end problem sees an answer, and what then follows up to the next CRLF is dropped: what another server takes
for one line is never executed here in parts.
"""

from dataclasses import dataclass

from mailserver.smtp.wire.chunk_reader import ChunkReader
from mailserver.smtp.wire.message_reader import MessageReader
from mailserver.smtp.wire.message_text import Fault, MessageLimits


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A command or a response to a challenge, without its CRLF."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class LineTooLong:
    """A line went past the limit; its octets are gone."""


@dataclass(frozen=True, slots=True)
class BareLineFeed:
    """A line ended in LF alone."""


@dataclass(frozen=True, slots=True)
class MessageOctets:
    """Octets of the message as it was before dots were added. Pieces have no relation to lines."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class MessageEnd:
    """CRLF "." CRLF, or the last chunk is whole. With a fault the message must be refused; not all octets were given
    out."""

    fault: Fault | None


@dataclass(frozen=True, slots=True)
class ChunkEnd:
    """A chunk was read that is not the message's last. With a fault the message is refused here and now."""

    fault: Fault | None


@dataclass(frozen=True, slots=True)
class Endless:
    """A line or message that is already refused goes on without end: hang up."""


Event = CommandLine | LineTooLong | BareLineFeed | MessageOctets | MessageEnd | ChunkEnd | Endless

_LINE_TOO_LONG = LineTooLong()
_BARE_LINE_FEED = BareLineFeed()
_ENDLESS = Endless()


class Framer:
    """Feed it octets with `receive`, take events with `next_event` until None.

    `begin_message` after DATA's 354, `begin_chunk` after every BDAT.
    """

    __slots__ = (
        "_at",
        "_buffer",
        "_chunks",
        "_dropped",
        "_ended",
        "_is_in_chunk",
        "_is_last_chunk",
        "_is_tainted",
        "_limits",
        "_line_limit_octets",
        "_message",
    )

    def __init__(self, line_limit_octets: int, limits: MessageLimits) -> None:
        self._line_limit_octets = line_limit_octets
        self._limits = limits
        self._buffer = b""
        self._at = 0
        self._dropped = 0
        self._is_tainted = False
        self._message: MessageReader | None = None
        self._ended = False
        self._chunks: ChunkReader | None = None
        self._is_in_chunk = False
        self._is_last_chunk = False

    @property
    def waiting_octets(self) -> int:
        """Octets received and not yet given out."""
        return len(self._buffer) - self._at

    @property
    def is_in_message(self) -> bool:
        return self._message is not None or self._is_in_chunk

    def receive(self, data: bytes) -> None:
        self._buffer = self._buffer[self._at :] + data if self._at < len(self._buffer) else data
        self._at = 0

    def begin_message(self) -> None:
        self._message = MessageReader(self._limits)

    def begin_chunk(self, octets: int, *, is_first: bool, is_last: bool) -> None:
        if is_first or self._chunks is None:
            self._chunks = ChunkReader(self._limits)
        self._chunks.begin(octets)
        self._is_in_chunk = True
        self._is_last_chunk = is_last

    def discard(self) -> None:
        """Forget what was received: it came before TLS and nobody vouches for it (RFC 3207 §4.2)."""
        self._buffer = b""
        self._at = 0

    def next_event(self) -> Event | None:
        if self._message is not None:
            return self._next_of_message(self._message)
        if self._is_in_chunk and self._chunks is not None:
            return self._next_of_chunk(self._chunks)
        while self._at < len(self._buffer):
            line_end = self._buffer.find(b"\n", self._at)
            if line_end < 0:
                return self._wait_for_line_end()
            event = self._take_line(line_end)
            if event is not None:
                return event
        return None

    def _take_line(self, line_end: int) -> Event | None:
        """The line up to this LF as an event; None if it is the rest of a line already refused."""
        start, self._at = self._at, line_end + 1
        length = self._dropped + line_end + 1 - start
        is_whole = line_end > start and self._buffer[line_end - 1] == 0x0D
        was_tainted, self._is_tainted, self._dropped = self._is_tainted, not is_whole, 0
        if not is_whole:
            return _BARE_LINE_FEED
        if was_tainted:
            return None
        if length > self._line_limit_octets:
            return _LINE_TOO_LONG
        return CommandLine(self._buffer[start : line_end - 1])

    def _wait_for_line_end(self) -> Event | None:
        if self._dropped + self.waiting_octets <= self._line_limit_octets:
            return None
        # The last octet stays, because it may be the CR of the line's end.
        self._dropped += self.waiting_octets - 1
        self._buffer = self._buffer[-1:]
        self._at = 0
        return _ENDLESS if self._dropped > self._limits.swallow_octets else None

    def _next_of_message(self, message: MessageReader) -> Event | None:
        if not self._ended:
            if self._at >= len(self._buffer):
                return None
            octets, rest = message.read(self._buffer[self._at :] if self._at else self._buffer)
            self._buffer, self._at = rest or b"", 0
            self._ended = rest is not None
            if octets:
                return MessageOctets(octets)
            if not self._ended:
                return _ENDLESS if message.is_endless else None
        self._message = None
        self._ended = False
        return MessageEnd(message.fault)

    def _next_of_chunk(self, chunks: ChunkReader) -> Event | None:
        while chunks.left:
            piece = self._buffer[self._at : self._at + chunks.left]
            if not piece:
                return None
            self._at += len(piece)
            if octets := chunks.read(piece):
                return MessageOctets(octets)
            if chunks.is_endless:
                return _ENDLESS
        self._is_in_chunk = False
        if not self._is_last_chunk:
            return ChunkEnd(chunks.fault)
        self._chunks = None
        return MessageEnd(chunks.end())
