"""Octets from a client become whole commands: line ends and literals, no grammar (RFC 3501 §2.2.1, §4.3, RFC 7888).

A command is lines joined by literals: a line that ends in `{n}` or `{n+}` is followed by n octets and another line. The
framer gathers them, except the message of an APPEND, which may be large and is handed out as it arrives:

    AppendReady                        the command up to the message's `{n}`; answer by accept_literal or refuse_literal
    ContinuationNeeded                 if the client waits for it
    LiteralChunk, LiteralChunk, …
    NextMessage                        another message is announced (RFC 3502): to be answered as AppendReady, and so on
    LiteralEnd                         n octets and the rest of the line have come

In APPEND a literal right after the command's name is the mailbox, any other is a message (RFC 3501 §9 `append`);
REPLACE is read alike, with a number before the mailbox (RFC 8508).

Every limit is checked on the announced size, before memory is spent. A command over a limit yields CommandRefused and
is skipped: the rest of its line, and each non-synchronizing literal that the client sends without being asked, since
what is inside a literal must never be taken for a command. A synchronizing literal needs no skipping: without the
continuation the client gives the command up. Skipping has its limit too, then ConnectionMustEnd.

A line ends in LF with or without CR before it, as in Dovecot: people type commands into netcat, and nothing but the
sender's own commands could be smuggled that way.
"""

import re
from enum import Enum

from mailserver.imap.wire.commands import Tag
from mailserver.imap.wire.framing_events import (
    AppendReady,
    CommandReady,
    CommandRefused,
    ConnectionMustEnd,
    ContinuationNeeded,
    Event,
    FramingLimits,
    LineReady,
    LiteralChunk,
    LiteralEnd,
    NextMessage,
    Refusal,
)


class _State(Enum):
    COMMAND = "a line of a command"
    LITERAL = "a literal of a command"
    DECISION = "accept_literal or refuse_literal is due"
    CONTINUATION = "ContinuationNeeded is due, then the message"
    MESSAGE = "the message of an APPEND"
    AFTER_MESSAGE = "the rest of the line after the message"
    RAW_LINE = "a line outside the command grammar"
    SKIP_LINE = "the rest of a refused line"
    SKIP_LITERAL = "a literal of a refused command"
    ENDED = "ConnectionMustEnd was said"


class _Step(Enum):
    """What a step says instead of an event: the state has changed, look again."""

    AGAIN = 0


class _LineTooLong(Exception):
    pass


_LITERAL = re.compile(rb"\{([0-9]+)(\+?)\}")
_APPEND = re.compile(rb"[^ ]+ (?:APPEND|(?:UID )?REPLACE [^ ]+) ", re.IGNORECASE)
_APPEND_MAILBOX = re.compile(rb"[^ ]+ (?:APPEND|(?:UID )?REPLACE [^ ]+) \{[0-9]+\+?\}", re.IGNORECASE)
_TAG = re.compile(rb"([\x21\x23\x24\x26\x27\x2c-\x5b\x5d-\x7a\x7c-\x7e]{1,256}) ")
_TAIL_OCTETS = 64
"""How much of the end of a skipped line is kept to see whether it announces a literal."""
_HUGE = 1 << 63


class CommandFramer:
    """Feed it octets with `receive`, take events with `next_event` until None.

    `limits` may be replaced between commands, say when a client has signed in.
    """

    def __init__(self, limits: FramingLimits | None = None) -> None:
        self.limits = limits or FramingLimits()
        self._buffer = bytearray()
        self._searched = 0  # octets at the front of the buffer that hold no LF
        self._state = _State.COMMAND
        self._text = b""  # the lines of the command before the current one
        self._literals: list[bytes] = []
        self._literal_octets = 0
        self._remaining = 0  # octets of the current literal still to come
        self._is_synchronizing = False
        self._tag: Tag | None = None  # of the APPEND under way
        self._messages = 0  # of it, and their octets
        self._message_octets = 0
        self._skipped = 0
        self._tail = b""

    @property
    def buffered_octets(self) -> int:
        """Octets received and not yet handed out: the transport stops reading while there are many."""
        return len(self._buffer)

    def receive(self, data: bytes) -> None:
        if self._state is not _State.ENDED:
            self._buffer += data

    def next_event(self) -> Event | None:
        """The next event, or None until more octets are received."""
        while (event := self._step()) is _Step.AGAIN:
            pass
        return event

    def accept_literal(self) -> None:
        """Take the message that AppendReady or NextMessage announced."""
        if self._state is not _State.DECISION:
            raise RuntimeError("no literal waits to be accepted")
        self._state = _State.CONTINUATION if self._is_synchronizing else _State.MESSAGE

    def refuse_literal(self) -> None:
        """Drop the message that was announced, or what is still to come of it; no event will tell of it.

        The command is over: it is to be answered NO or BAD now.
        """
        match self._state:
            case _State.DECISION | _State.CONTINUATION:
                if self._is_synchronizing:
                    self._begin_command()
                else:
                    self._skip_literal_of(self._remaining)
            case _State.MESSAGE:
                self._skip_literal_of(self._remaining)
            case _State.AFTER_MESSAGE:
                self._begin_skipping()
            case _:
                raise RuntimeError("no literal is under way")

    def expect_line(self) -> None:
        """The next line is LineReady, not a command: DONE while IDLE, or a SASL response. To be said for each line."""
        if self._state is not _State.COMMAND or self._text:
            raise RuntimeError("a command is under way")
        self._state = _State.RAW_LINE

    def discard_buffered(self) -> int:
        """Drop what was sent ahead of a STARTTLS, unprotected (RFC 3501 §6.2.1). Returns how many octets."""
        dropped = len(self._buffer)
        self._buffer.clear()
        self._begin_command()
        return dropped

    def take_buffered(self) -> bytes:
        """What was received after the command that began another layer: it is of that layer."""
        taken = bytes(self._buffer)
        self.discard_buffered()
        return taken

    def _step(self) -> Event | _Step | None:
        match self._state:
            case _State.COMMAND:
                return self._command_line()
            case _State.LITERAL:
                return self._command_literal()
            case _State.CONTINUATION:
                self._state = _State.MESSAGE
                return ContinuationNeeded()
            case _State.MESSAGE:
                return self._message()
            case _State.AFTER_MESSAGE:
                return self._after_message()
            case _State.RAW_LINE:
                return self._raw_line()
            case _State.SKIP_LINE:
                return self._skip_line()
            case _State.SKIP_LITERAL:
                return self._skip_literal()
            case _State.DECISION:
                raise RuntimeError("a message was neither accepted nor refused")
            case _State.ENDED:
                return None

    # Commands

    def _begin_command(self) -> None:
        self._state = _State.COMMAND
        self._text = b""
        self._literals = []
        self._literal_octets = 0
        self._searched = 0
        self._skipped = 0

    def _take_line(self, limit: int) -> bytes | None:
        """A line without its end, None if it is not whole yet. One of more than `limit` octets raises, and stays."""
        buffer = self._buffer
        end = buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(buffer)
            if self._searched > limit + 1:  # the one more may be CR
                raise _LineTooLong
            return None
        length = end - 1 if end and buffer[end - 1] == 0x0D else end
        if length > limit:
            raise _LineTooLong
        line = bytes(buffer[:length])
        del buffer[: end + 1]
        self._searched = 0
        return line

    def _command_line(self) -> Event | _Step | None:
        limit = self.limits.line_octets - len(self._text)
        try:
            line = self._take_line(limit)
        except _LineTooLong:
            tag = _tag_of(self._text or bytes(self._buffer[: max(limit, 0)]))
            self._begin_skipping()
            return CommandRefused(tag, Refusal.LINE_TOO_LONG)
        if line is None:
            return None
        literal = _announced_literal(line)
        if literal is not None:
            return self._literal_announced(line, *literal)
        if not self._text:
            # Blank lines between commands are let pass: some clients end an APPEND twice.
            return CommandReady(line) if line else _Step.AGAIN
        ready = CommandReady(self._text + line, tuple(self._literals))
        self._begin_command()
        return ready

    def _literal_announced(self, line: bytes, octets: int, is_synchronizing: bool) -> Event | _Step:
        text = self._text + line
        self._is_synchronizing = is_synchronizing
        if _APPEND.match(text) and (self._literals or not _APPEND_MAILBOX.fullmatch(line)):
            return self._message_announced(text, octets)
        if len(self._literals) >= self.limits.literals:
            return self._refuse_announced(_tag_of(text), Refusal.TOO_MANY_LITERALS, octets)
        if self._literal_octets + octets > self.limits.literal_octets:
            return self._refuse_announced(_tag_of(text), Refusal.LITERAL_TOO_BIG, octets)
        self._text = text + b"\r\n"
        self._literal_octets += octets
        self._remaining = octets
        self._state = _State.LITERAL
        return ContinuationNeeded() if is_synchronizing else _Step.AGAIN

    def _message_announced(self, text: bytes, octets: int) -> Event:
        self._tag = _tag_of(text)
        if octets > self.limits.append_octets:
            return self._refuse_announced(self._tag, Refusal.MESSAGE_TOO_BIG, octets)
        ready = AppendReady(text, tuple(self._literals), octets, self._is_synchronizing)
        self._begin_command()
        self._messages, self._message_octets = 1, octets
        self._remaining = octets
        self._state = _State.DECISION
        return ready

    def _next_message_announced(self, text: bytes, octets: int, is_synchronizing: bool) -> Event:
        self._is_synchronizing = is_synchronizing
        self._messages += 1
        self._message_octets += octets
        if octets > self.limits.append_octets:
            return self._refuse_announced(self._tag, Refusal.MESSAGE_TOO_BIG, octets)
        if self._message_octets > self.limits.append_octets or self._messages > self.limits.append_messages:
            return self._refuse_announced(self._tag, Refusal.MESSAGES_TOO_BIG, octets)
        self._remaining = octets
        self._state = _State.DECISION
        return NextMessage(text, octets)

    def _refuse_announced(self, tag: Tag | None, refusal: Refusal, octets: int) -> CommandRefused:
        if self._is_synchronizing:
            self._begin_command()
        else:
            self._skip_literal_of(octets)
        return CommandRefused(tag, refusal)

    def _command_literal(self) -> Event | _Step | None:
        octets = self._remaining
        if len(self._buffer) < octets:
            return None
        self._literals.append(bytes(self._buffer[:octets]))
        del self._buffer[:octets]
        self._searched = 0
        self._state = _State.COMMAND
        return _Step.AGAIN

    # The message of an APPEND

    def _message(self) -> Event | _Step | None:
        if not self._remaining:
            self._state = _State.AFTER_MESSAGE
            self._searched = 0
            return _Step.AGAIN
        if not self._buffer:
            return None
        chunk = bytes(self._buffer[: self._remaining])
        del self._buffer[: len(chunk)]
        self._remaining -= len(chunk)
        return LiteralChunk(chunk)

    def _after_message(self) -> Event | _Step | None:
        try:
            line = self._take_line(self.limits.line_octets)
        except _LineTooLong:
            self._begin_skipping()
            return CommandRefused(self._tag, Refusal.TEXT_AFTER_MESSAGE)
        if line is None:
            return None
        literal = _announced_literal(line)
        if literal is not None:
            return self._next_message_announced(line, *literal)
        self._begin_command()
        return LiteralEnd(line)

    # Lines outside the command grammar

    def _raw_line(self) -> Event | _Step | None:
        try:
            line = self._take_line(self.limits.line_octets)
        except _LineTooLong:
            self._begin_skipping()
            return CommandRefused(None, Refusal.LINE_TOO_LONG)
        if line is None:
            return None
        self._begin_command()
        return LineReady(line)

    # Skipping a refused command

    def _begin_skipping(self) -> None:
        self._begin_command()
        self._tail = b""
        self._state = _State.SKIP_LINE

    def _skip_literal_of(self, octets: int) -> None:
        skipped = self._skipped + octets
        self._begin_command()
        self._skipped = skipped
        self._remaining = octets
        self._state = _State.SKIP_LITERAL

    def _skip_line(self) -> Event | _Step | None:
        end = self._buffer.find(b"\n")
        taken = len(self._buffer) if end < 0 else end + 1
        self._tail = (self._tail + self._buffer[:taken])[-_TAIL_OCTETS:]
        self._skipped += taken
        del self._buffer[:taken]
        if self._skipped > self.limits.skip_octets:
            return self._end()
        if end < 0:
            return None
        literal = _announced_literal(self._tail.rstrip(b"\n").removesuffix(b"\r"))
        if literal is None or literal[1]:
            self._begin_command()
        else:
            self._skip_literal_of(literal[0])
        return _Step.AGAIN

    def _skip_literal(self) -> Event | _Step | None:
        if self._skipped > self.limits.skip_octets:
            return self._end()
        taken = min(self._remaining, len(self._buffer))
        del self._buffer[:taken]
        self._remaining -= taken
        if self._remaining:
            return None
        self._tail = b""
        self._state = _State.SKIP_LINE
        return _Step.AGAIN

    def _end(self) -> Event:
        self._buffer.clear()
        self._state = _State.ENDED
        return ConnectionMustEnd()


def _announced_literal(line: bytes) -> tuple[int, bool] | None:
    """Octets of the literal that a line announces at its end, and whether the client waits before sending it."""
    if not line.endswith(b"}"):
        return None
    found = _LITERAL.fullmatch(line, line.rfind(b"{")) if b"{" in line else None
    if found is None:
        return None
    digits = found[1].lstrip(b"0")
    return (int(digits or b"0") if len(digits) < 19 else _HUGE), not found[2]


def _tag_of(text: bytes) -> Tag | None:
    found = _TAG.match(text)
    return Tag(found[1]) if found else None
