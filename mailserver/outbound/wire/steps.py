"""What a conversation asks of whoever holds the connection: generators yield steps and are sent what came of them.

So `opening` and `Transaction` are plain code that reads from the top, and tests talk to them without a socket.
"""

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeVar

from mailserver.outbound.outcomes import Deferred, Failed, Reply, reply_of_lines
from mailserver.outbound.wire.reply_reader import RawReply

R = TypeVar("R")


class Wait(Enum):
    """What is waited for, which says how long (RFC 5321 §4.5.3.2)."""

    GREETING = auto()
    HELLO = auto()  # EHLO, HELO, STARTTLS, AUTH
    COMMAND = auto()  # MAIL, RCPT, RSET
    DATA = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Say:
    """Octets to send; they may wait until the next `Hear`, so that commands leave together. Sent back: None."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Hear:
    """Sent back: the next reply."""

    wait: Wait


@dataclass(frozen=True, slots=True)
class StartTls:
    """Put TLS on the connection, forgetting what came before. Sent back: None."""


@dataclass(frozen=True, slots=True)
class SendContent:
    """Send the message and its end. Sent back: whether all of it was, the end too."""


Step = Say | Hear | StartTls | SendContent
Steps = Generator[Step, RawReply | bool | None, R]


class Unwelcome(Exception):
    """The host takes no mail from us, now or ever, before a word was said of any message."""

    def __init__(self, outcome: Deferred | Failed) -> None:
        super().__init__(str(outcome.reply))
        self.outcome = outcome


def hear(wait: Wait, host: str) -> Steps[Reply]:
    """The next reply, as one of this host."""
    raw = yield Hear(wait)
    assert isinstance(raw, RawReply)
    return reply_of_lines(raw.code, list(raw.lines), host)


def hear_raw(wait: Wait) -> Steps[RawReply]:
    raw = yield Hear(wait)
    assert isinstance(raw, RawReply)
    return raw
