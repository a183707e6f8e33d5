"""What the framer is allowed to gather, and what it reports: limits, refusals, events."""

from dataclasses import dataclass
from enum import Enum

from mailserver.imap.wire.commands import Tag


@dataclass(frozen=True, slots=True)
class FramingLimits:
    """All in octets but `literals`, the number of literals in one command, and `append_messages`.

    `line_octets` counts the text of a command, `literal_octets` its literals together; the message of an APPEND has
    `append_octets` for itself, and further ones what it has left of them, at most `append_messages`. `skip_octets` is
    how much of a refused command is read and dropped.
    """

    line_octets: int = 65_536
    literal_octets: int = 65_536
    literals: int = 256
    append_octets: int = 52_428_800
    append_messages: int = 1_000
    skip_octets: int = 209_715_200


class Refusal(Enum):
    """Why a command was refused; the value is the reason for the client."""

    LINE_TOO_LONG = "the command line is too long"
    LITERAL_TOO_BIG = "the literals are too big"
    TOO_MANY_LITERALS = "the command has too many literals"
    MESSAGE_TOO_BIG = "the message is too big"
    MESSAGES_TOO_BIG = "the messages are too big together, or too many"
    TEXT_AFTER_MESSAGE = "after the message comes too much else"


@dataclass(frozen=True, slots=True)
class CommandReady:
    """A whole command: `text` has each literal as `{n}` CRLF, and `literals` their octets in order."""

    text: bytes
    literals: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class AppendReady:
    """An APPEND or REPLACE up to its message: `text` ends in the message's `{n}`.

    `is_synchronizing`: the client waits before it sends the message, so that it can be spared it.
    """

    text: bytes
    literals: tuple[bytes, ...]
    octets: int
    is_synchronizing: bool = True


@dataclass(frozen=True, slots=True)
class NextMessage:
    """The text between one message of an APPEND and another (RFC 3502), which ends in that one's `{n}`.

    It is to be answered as AppendReady is.
    """

    text: bytes
    octets: int


@dataclass(frozen=True, slots=True)
class ContinuationNeeded:
    """The client waits for `+` before it sends its literal."""


@dataclass(frozen=True, slots=True)
class LiteralChunk:
    """The next octets of the message of an APPEND, never empty."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class LiteralEnd:
    """The APPEND is complete; `text` is what followed its last message."""

    text: bytes = b""


@dataclass(frozen=True, slots=True)
class LineReady:
    """The line asked for with `expect_line`, without its end."""

    line: bytes


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """A command over a limit; `tag` None if there was none to be seen. What is left of it is skipped.

    MESSAGE_TOO_BIG and MESSAGES_TOO_BIG come in place of AppendReady or NextMessage, TEXT_AFTER_MESSAGE in place of
    LiteralEnd.
    """

    tag: Tag | None
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class ConnectionMustEnd:
    """The client sends more of a refused command than is worth reading; nothing after this has a meaning."""


Event = (
    CommandReady
    | AppendReady
    | NextMessage
    | ContinuationNeeded
    | LiteralChunk
    | LiteralEnd
    | LineReady
    | CommandRefused
    | ConnectionMustEnd
)
