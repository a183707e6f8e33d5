"""A session in octets: what a client sends in, what it is to be sent out. All of the IMAP server but the connection.

    dialogue.receive(data)
    async for octets in dialogue.turn(): …      everything that can be answered now, and what is to be pushed
    dialogue.wants_tls, dialogue.over           what the connection must do then

The octets of one event come in as few pieces as their size allows, and between two pieces the caller may wait until the
client has read: that is all the back-pressure there is, and all that is needed.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable

from structlog.typing import FilteringBoundLogger

from mailserver.imap.session.session import Session, only
from mailserver.imap.wire.commands import Append, Replace, Tag
from mailserver.imap.wire.compression import CompressedDataInvalid, Compression
from mailserver.imap.wire.encode import encode
from mailserver.imap.wire.framing import CommandFramer
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
from mailserver.imap.wire.parse import parse_command
from mailserver.imap.wire.parse_append import parse_append_end, parse_next_message
from mailserver.imap.wire.response_codes import BadCharset, Code
from mailserver.imap.wire.responses import Condition, Continue, Response, Tagged, Untagged
from mailserver.imap.wire.syntax_errors import (
    SEARCH_CHARSETS,
    CommandSyntaxError,
    MailboxNameImpossible,
    UnsupportedCharset,
)

PIECE_OCTETS = 65_536
BAD_COMMANDS = 20
"""So many commands in a row that are none: whoever speaks here speaks something else (HTTP, most often)."""

_TOO_BIG = (Refusal.MESSAGE_TOO_BIG, Refusal.MESSAGES_TOO_BIG, Refusal.LITERAL_TOO_BIG)


class Dialogue:
    """`limits` hold until sign-in, `limits_signed_in` from then on."""

    __slots__ = ("_bad_commands", "_compression", "_farewell", "_framer", "_limits", "_limits_signed_in", "session")

    def __init__(self, session: Session, *, limits: FramingLimits, limits_signed_in: FramingLimits) -> None:
        self.session = session
        self._framer = CommandFramer(limits)
        self._limits = limits
        self._limits_signed_in = limits_signed_in
        self._compression: Compression | None = None
        self._farewell: str | None = None
        self._bad_commands = 0

    @property
    def over(self) -> bool:
        return self.session.over

    @property
    def wants_tls(self) -> bool:
        return self.session.wants_tls

    @property
    def is_signed_in(self) -> bool:
        return self.session.is_signed_in

    @property
    def is_only_reading(self) -> bool:
        return self.session.is_only_reading

    @property
    def is_interrupted(self) -> bool:
        return self.session.is_interrupted

    @property
    def has_to_push(self) -> bool:
        return self.session.has_to_push

    @property
    def log(self) -> FilteringBoundLogger:
        return self.session.log

    @property
    def buffered_octets(self) -> int:
        """What was received and not yet taken up: the connection is not to be read while this is much."""
        compressed = self._compression.pending_octets if self._compression is not None else 0
        return self._framer.buffered_octets + compressed

    def greeting(self) -> bytes:
        return self._encoded(self.session.greeting())

    def receive(self, data: bytes) -> None:
        (self._compression or self._framer).receive(data)

    def rest(self) -> None:
        """The client has been silent for a while: what can be made anew is let go."""
        if self._compression is not None:
            self._compression.rest()

    def begin_tls(self) -> int:
        """TLS stands. Returns how many octets were sent ahead in clear, and are dropped (RFC 3501 §6.2.1)."""
        self.session.begin_tls()
        return self._framer.discard_buffered()

    def close(self) -> None:
        self.session.close()

    def end(self, reason: str) -> None:
        """Say BYE at the next turn: at once, or after the message of an APPEND that is on its way."""
        self._farewell = reason

    async def turn(self) -> AsyncIterator[bytes]:
        """Answer what was received, then push what is new. Stops where TLS begins or the session is over."""
        while not (self.over or self.wants_tls):
            if self._farewell is not None and not self.session.wants_literal:
                yield self._sent(self._encoded(self.session.bye(self._farewell)))
                return
            event = self._framer.next_event()
            if event is None:
                if not self._inflated():
                    break
                await asyncio.sleep(0)  # a few octets can become very many: others get their turn between
                continue
            async for octets in _in_pieces(self._responses(event), utf8=self.session.is_utf8):
                yield self._sent(octets)
            self._steer()
            for octets in self._end_compression():
                yield octets
        if self.session.is_idling:
            updates = await self.session.updates()
            if updates:
                yield self._sent(b"".join(map(self._encoded, updates)))
            self.rest()

    def _sent(self, octets: bytes) -> bytes:
        """As they go out."""
        return octets if self._compression is None else self._compression.deflate(octets)

    def _inflated(self) -> bool:
        """Has the framer got more of what was received compressed?"""
        if self._compression is None:
            return False
        try:
            octets = self._compression.inflate()
        except CompressedDataInvalid:
            self.session.drop_append()
            self.end("The compressed data cannot be read")
            return True
        self._framer.receive(octets)
        return bool(octets)

    def _begin_compression(self) -> None:
        """The client was not to send before it had read the OK; if it did, it will have compressed it."""
        self._compression = Compression()
        self._compression.receive(self._framer.take_buffered())

    def _end_compression(self) -> Iterable[bytes]:
        """UNAUTHENTICATE ends it (RFC 8437 §4.1)."""
        if self._compression is not None and not self.session.is_compressed:
            last, received = self._compression.end()
            self._compression = None
            self._framer.receive(received)
            yield last

    def _encoded(self, response: Response) -> bytes:
        return encode(response, utf8=self.session.is_utf8)

    def _steer(self) -> None:
        """What the framer is to expect next depends on what the session has become."""
        if self.session.wants_line and not self.over:
            self._framer.expect_line()
        self._framer.limits = self._limits_signed_in if self.session.is_signed_in else self._limits
        if self.session.is_compressed and self._compression is None:
            self._begin_compression()

    def _responses(self, event: Event) -> AsyncIterator[Response]:
        match event:
            case CommandReady(text, literals):
                return self._command(text, literals)
            case AppendReady(text, literals, _, is_synchronizing):
                return self._append(text, literals, is_synchronizing=is_synchronizing)
            case NextMessage(text):
                return self._next_message(text)
            case ContinuationNeeded():
                return only(Continue("go ahead"))
            case LiteralChunk(octets):
                return self._literal(octets)
            case LiteralEnd(text):
                return self._append_end(text)
            case LineReady(line):
                return self.session.line(line)
            case CommandRefused(tag, refusal):
                return only(self._refused(tag, refusal))
            case ConnectionMustEnd():
                return only(self.session.bye("Too much of what cannot be read"))

    def _command(self, text: bytes, literals: tuple[bytes, ...]) -> AsyncIterator[Response]:
        try:
            command = parse_command(text, literals, utf8=self.session.is_utf8)
        except CommandSyntaxError as error:
            return self._bad_command(error)
        self._bad_commands = 0
        return self.session.handle(command)

    async def _bad_command(self, error: CommandSyntaxError) -> AsyncIterator[Response]:
        for response in self._bad(error):
            yield response

    async def _literal(self, octets: bytes) -> AsyncIterator[Response]:
        async for response in self.session.literal(octets):
            yield response
        if not self.session.wants_literal:
            self._framer.refuse_literal()

    async def _append(
        self, text: bytes, literals: tuple[bytes, ...], *, is_synchronizing: bool
    ) -> AsyncIterator[Response]:
        try:
            command = parse_command(text, literals, utf8=self.session.is_utf8)
        except CommandSyntaxError as error:
            self._framer.refuse_literal()
            for response in self._bad(error):
                yield response
            return
        assert isinstance(command, Append | Replace)
        self._bad_commands = 0
        async for response in self._decided(self.session.begin_append(command, is_synchronizing=is_synchronizing)):
            yield response

    async def _next_message(self, text: bytes) -> AsyncIterator[Response]:
        tag, previous = self.session.append_under_way
        try:
            message = parse_next_message(text, tag, previous)
        except CommandSyntaxError as error:
            self.session.drop_append()
            self._framer.refuse_literal()
            for response in self._bad(error):
                yield response
            return
        async for response in self._decided(self.session.next_message(message)):
            yield response

    async def _decided(self, begun: AsyncIterator[Response]) -> AsyncIterator[Response]:
        """The framer is told whether the message that was announced is taken, before the client is told."""
        responses = [response async for response in begun]
        if self.session.wants_literal:
            self._framer.accept_literal()
        else:
            self._framer.refuse_literal()
        for response in responses:
            yield response

    def _append_end(self, text: bytes) -> AsyncIterator[Response]:
        tag, previous = self.session.append_under_way
        try:
            parse_append_end(text, tag, previous)
        except CommandSyntaxError as error:
            self.session.drop_append()
            return self._bad_command(error)
        return self.session.end_append()

    def _bad(self, error: CommandSyntaxError) -> Iterable[Response]:
        if isinstance(error, UnsupportedCharset) and error.tag is not None:
            if error.saves:
                self.session.forget_saved()
            yield Tagged(error.tag, Condition.NO, error.reason, BadCharset(SEARCH_CHARSETS))
            return
        if isinstance(error, MailboxNameImpossible) and error.tag is not None:
            yield Tagged(error.tag, Condition.NO, error.reason, Code.CANNOT)
            return
        yield _status(error.tag, Condition.BAD, error.reason, None)
        self._bad_commands += 1
        if self._bad_commands >= BAD_COMMANDS:
            yield self.session.bye("Too many commands that are none")

    def _refused(self, tag: Tag | None, refusal: Refusal) -> Response:
        if self.session.wants_line:
            return self.session.refuse_line(refusal.value)
        self.session.drop_append()
        if refusal in _TOO_BIG:
            return _status(tag, Condition.NO, refusal.value, Code.TOOBIG)
        return _status(tag, Condition.BAD, refusal.value, None)


def _status(tag: Tag | None, condition: Condition, text: str, code: Code | None) -> Response:
    return Untagged(condition, text, code) if tag is None else Tagged(tag, condition, text, code)


async def _in_pieces(responses: AsyncIterator[Response], *, utf8: bool) -> AsyncIterator[bytes]:
    """Encoded, and joined to pieces of about PIECE_OCTETS."""
    gathered: list[bytes] = []
    size = 0
    async for response in responses:
        octets = encode(response, utf8=utf8)
        gathered.append(octets)
        size += len(octets)
        if size >= PIECE_OCTETS:
            yield b"".join(gathered)
            gathered.clear()
            size = 0
    if gathered:
        yield b"".join(gathered)
