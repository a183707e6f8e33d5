"""A POP3 session in octets: what a client sends in, what it is to be sent out; all of it but the connection.

The octets of an answer come in pieces, and between two of them the caller may wait until the client has read.
"""

from collections.abc import AsyncIterator

from structlog.typing import FilteringBoundLogger

from mailserver.pop3.conversation import State
from mailserver.pop3.session import Session
from mailserver.pop3.wire import replies
from mailserver.pop3.wire.framing import LineFramer, LineTooLong
from mailserver.sasl import RESPONSE_LIMIT_OCTETS


class Dialogue:
    """`hostname` stands in the greeting."""

    __slots__ = ("_farewell", "_framer", "_hostname", "_line_octets", "_session")

    def __init__(self, session: Session, *, hostname: str, line_octets: int) -> None:
        self._session = session
        self._hostname = hostname
        self._line_octets = line_octets
        self._framer = LineFramer(line_octets)
        self._farewell: str | None = None

    @property
    def log(self) -> FilteringBoundLogger:
        return self._session.talk.log

    @property
    def over(self) -> bool:
        return self._session.is_over

    @property
    def wants_tls(self) -> bool:
        return self._session.talk.wants_tls

    @property
    def is_signed_in(self) -> bool:
        return self._session.talk.state is State.TRANSACTION

    @property
    def is_interrupted(self) -> bool:
        return self._session.talk.is_interrupted

    @property
    def is_only_reading(self) -> bool:
        """May what it does be cut off when the client is gone? QUIT may not: it removes."""
        return not self.over

    @property
    def has_to_push(self) -> bool:
        return False

    @property
    def buffered_octets(self) -> int:
        return self._framer.buffered_octets

    def greeting(self) -> bytes:
        return replies.ok(f"{self._hostname} Waypost POP3")

    def receive(self, data: bytes) -> None:
        self._framer.receive(data)

    def begin_tls(self) -> int:
        """TLS stands: what was said before is forgotten. Returns how many octets came early, and are dropped."""
        talk = self._session.talk
        talk.wants_tls = False
        talk.is_encrypted = True
        talk.user = None
        return self._framer.discard_buffered()

    def rest(self) -> None:
        """Nothing is held that could be made anew."""

    def end(self, reason: str) -> None:
        """Close at the next turn. Nothing is removed (RFC 1939 §3)."""
        self._farewell = reason

    async def turn(self) -> AsyncIterator[bytes]:
        """Answer what was received. Stops where TLS begins or the session is over."""
        while not (self.over or self.wants_tls):
            if self._farewell is not None:
                self._session.talk.state = State.OVER
                yield replies.error(self._farewell)
                return
            line = self._framer.next_line()
            if line is None:
                return
            if isinstance(line, LineTooLong):
                yield self._session.too_long()
            else:
                async for octets in self._session.handle(line):
                    yield octets
            is_in_exchange = self._session.talk.exchange is not None
            self._framer.limit_octets = RESPONSE_LIMIT_OCTETS if is_in_exchange else self._line_octets

    def close(self) -> None:
        self._session.talk.state = State.OVER
        self._session.talk.close()
