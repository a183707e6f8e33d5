"""An SMTP or LMTP conversation without its socket: events in, replies out (RFC 5321 §3, §4.1.4).

    CONNECTED --HELO--> READY --MAIL--> MAIL --DATA--> MESSAGE --end of data--> READY
                                         |      (RCPT stays in MAIL; RSET, HELO go back to READY)
                                         +--BDAT--> MESSAGE --end of chunk--> MAIL, or after the last READY

AUTH is a conversation of its own within READY (`authentication`); `reception` reads the octets of a message.

The session never reads ahead: whoever feeds it looks at `wants_message`, `wants_chunk`, `wants_tls` and `is_over` after
every event. What differs between MX, submission and LMTP is asked of `Rules`; refusals come as exceptions and leave
through the table in `replies`.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from structlog.typing import FilteringBoundLogger

from mailserver.services.incoming import Addressee
from mailserver.smtp import replies
from mailserver.smtp.authentication import Authentication
from mailserver.smtp.config import SmtpConfig
from mailserver.smtp.errors import (
    ChunkSizeUnreadable,
    HoldTooLong,
    ParameterUnknown,
    RecipientNeedsUtf8,
    SenderNeedsUtf8,
)
from mailserver.smtp.metrics import DoorMetrics
from mailserver.smtp.patience import within
from mailserver.smtp.ports import SignIn
from mailserver.smtp.reception import Reception, refuse
from mailserver.smtp.replies import Reply
from mailserver.smtp.rules import Rules
from mailserver.smtp.trace import TlsFacts
from mailserver.smtp.transaction import Client, Transaction
from mailserver.smtp.wire.commands import (
    Auth,
    Bdat,
    Command,
    Data,
    Ehlo,
    Expn,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
)
from mailserver.smtp.wire.framing import (
    BareLineFeed,
    ChunkEnd,
    CommandLine,
    Endless,
    Event,
    LineTooLong,
    MessageEnd,
    MessageOctets,
)
from mailserver.smtp.wire.message_text import Fault
from mailserver.smtp.wire.parse import parse

Replies = Sequence[Reply]
SILENCE: Replies = ()
ABOUT_MAIL = frozenset({550, 552, 553, 554})  # refusals of people and messages, which an LMTP client only hands over
EXTENSIONS = ("8BITMIME", "ENHANCEDSTATUSCODES", "DSN", "SMTPUTF8", "CHUNKING")


class State(Enum):
    CONNECTED = auto()
    READY = auto()
    MAIL = auto()
    MESSAGE = auto()


@dataclass(frozen=True, slots=True)
class Chunk:
    """What comes next is so many octets of a message (RFC 3030)."""

    octets: int
    is_first: bool
    is_last: bool


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Time, chance and the sign-in, handed in. `clock` is aware UTC, `monotonic` seconds, `pause` waits so long."""

    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    pause: Callable[[float], Awaitable[object]]
    new_message_id: Callable[[], str]
    sign_in: SignIn


class Session:
    """One connection's conversation. `handle` one event at a time; `close` when the connection is gone."""

    def __init__(
        self,
        rules: Rules,
        client: Client,
        config: SmtpConfig,
        surroundings: Surroundings,
        *,
        offers_tls: bool,
        metrics: DoorMetrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._rules = rules
        self._client = client
        self._config = config
        self._surroundings = surroundings
        self._offers_tls = offers_tls
        self._metrics = metrics
        self._log = log
        self._state = State.CONNECTED
        self._transaction: Transaction | None = None
        self._reception: Reception | None = None
        self._authentication = Authentication(client, config, surroundings.sign_in, pause=surroundings.pause, log=log)
        self._commands = 0
        self._errors = 0
        self._chunk: Chunk | None = None
        self._chunk_refusal: Reply | None = None
        self._refused_chunk_began_at_s: float | None = None
        self.wants_message = False
        self.wants_chunk: Chunk | None = None
        self.wants_tls = False
        self.is_over = False

    @property
    def is_in_message(self) -> bool:
        """From the 354, or BDAT, to the reply after the octets."""
        return self._state is State.MESSAGE

    @property
    def message_began_at_s(self) -> float | None:
        """Of a chunk too that is read only because its octets come whatever was answered."""
        return self._reception.began_at_s if self._reception else self._refused_chunk_began_at_s

    def greeting(self) -> Reply:
        kind = "LMTP" if self._rules.is_lmtp else "ESMTP"
        return replies.reply(220, "", f"{self._config.hostname} {kind} Waypost")

    def secured(self, tls: TlsFacts) -> None:
        """TLS runs from here on; what was said before is forgotten (RFC 3207 §4.2)."""
        self.wants_tls = False
        self._client.tls = tls
        self._client.name = ""
        self._client.is_extended = False
        self._end_transaction()
        self._state = State.CONNECTED

    def close(self) -> None:
        self._end_transaction()
        self._authentication.close()

    async def handle(self, event: Event) -> Replies:
        """What to answer. Nothing raised by a service or by a bug leaves here."""
        self.wants_message = False
        self.wants_chunk = None
        try:
            answers = await self._dispatch(event)
        except TimeoutError:
            self._log.error("a command took too long")
            answers = (replies.NOT_NOW,)
        except Exception as error:  # noqa: BLE001 (the door: a bug is noted, and the others live on)
            answers = (refuse(error, self._log),)
            self.is_over = isinstance(error, ChunkSizeUnreadable)
        for answer in answers:
            if answer.code >= 400:
                self._count_refusal(answer)
        if self._errors >= self._config.errors_per_connection_limit and not self.is_over:
            answers = (*answers, self._hang_up(replies.TOO_MANY_ERRORS))
        return answers

    async def _dispatch(self, event: Event) -> Replies:
        match event:
            case CommandLine(line):
                work = self._respond(line) if self._authentication.is_in_exchange else self._command(line)
                return await within(self._config.command_work_timeout_s, work)
            case MessageOctets(octets):
                if self._reception is not None:
                    self._reception.take(octets)
                return SILENCE
            case MessageEnd(fault):
                return await self._end_message(fault)
            case ChunkEnd(fault):
                return (self._end_chunk(fault),)
            case LineTooLong():
                return (self._line_too_long(),)
            case BareLineFeed():
                self._authentication.abandon()
                return (replies.BARE_LINE_FEED,)
            case Endless():
                return (self._hang_up(replies.GOES_ON_WITHOUT_END),)

    async def _command(self, line: bytes) -> Replies:
        self._commands += 1
        if self._commands > self._config.commands_per_connection_limit:
            return (self._hang_up(replies.TOO_MANY_COMMANDS),)
        limit_octets = self._config.command_line_limit_octets
        if len(line) + 2 > limit_octets and line[:5].upper() != b"AUTH ":
            return (replies.line_too_long(limit_octets),)
        command = parse(line)
        if isinstance(command, Bdat):
            return self._begin_chunk(command)
        return (await HANDLERS[type(command)](self, command),)

    def _line_too_long(self) -> Reply:
        if self._authentication.is_in_exchange:
            self._authentication.abandon()
            return replies.AUTH_LINE_TOO_LONG
        return replies.line_too_long(self._config.command_line_limit_octets)

    # -- greeting and small commands

    async def _hello(self, command: Helo | Ehlo | Lhlo) -> Reply:
        if isinstance(command, Lhlo) != self._rules.is_lmtp:
            return replies.USE_LHLO if self._rules.is_lmtp else replies.USE_EHLO
        self._end_transaction()
        self._client.name = command.client
        self._client.is_extended = not isinstance(command, Helo)
        self._state = State.READY
        if isinstance(command, Helo):
            return replies.reply(250, "", self._config.hostname)
        return Reply(250, "", (self._config.hostname, *self._extensions()))

    def _extensions(self) -> list[str]:
        offered = ["PIPELINING", f"SIZE {self._config.message_limit_octets}", *EXTENSIONS]
        if self._offers_tls and self._client.tls is None:
            offered.append("STARTTLS")
        if self._rules.offers_auth and self._client.tls is not None and self._client.principal is None:
            offered.append(f"AUTH {' '.join(self._surroundings.sign_in.mechanisms)}")
        if (longest := self._rules.longest_hold) is not None:
            last = self._surroundings.clock() + longest
            offered.append(f"FUTURERELEASE {int(longest.total_seconds())} {last:%Y-%m-%dT%H:%M:%SZ}")
        return offered

    async def _reset(self, _: Command) -> Reply:
        self._end_transaction()
        return replies.OK

    async def _quit(self, _: Command) -> Reply:
        return self._hang_up(replies.BYE)

    async def _start_tls(self, _: Command) -> Reply:
        if self._client.tls is not None:
            return replies.TLS_ALREADY
        if not self._offers_tls:
            return replies.TLS_NOT_OFFERED
        self.wants_tls = True
        return replies.START_TLS

    # -- AUTH

    async def _auth(self, command: Auth) -> Reply:
        if not self._rules.offers_auth:
            return replies.AUTH_NOT_OFFERED
        if self._client.tls is None:
            return replies.AUTH_NEEDS_TLS
        if self._state is State.CONNECTED:
            return replies.SAY_HELLO_FIRST
        if self._client.principal is not None:
            return replies.AUTH_ALREADY
        if self._transaction is not None:
            return replies.AUTH_DURING_MAIL
        return self._authenticated(await self._authentication.begin(command))

    async def _respond(self, line: bytes) -> Replies:
        return (self._authenticated(await self._authentication.respond(line)),)

    def _authenticated(self, answer: Reply) -> Reply:
        principal = self._client.principal
        if answer is replies.SIGNED_IN and principal is not None:
            self._log = self._log.bind(tenant=principal.tenant_id, account=principal.account_id)
            self._log.info("signed in")
        return self._hang_up(answer) if self._authentication.is_over else answer

    # -- the mail transaction

    async def _mail(self, command: Mail) -> Reply:
        if self._state is State.CONNECTED:
            return replies.SAY_LHLO_FIRST if self._rules.is_lmtp else replies.SAY_HELLO_FIRST
        if self._transaction is not None:
            return replies.MAIL_ALREADY_GIVEN
        if command.holds_utf8 and not command.is_utf8:
            raise SenderNeedsUtf8
        release_at = self._release_at(command)
        is_to_wait = release_at is not None and release_at > self._surroundings.clock()
        refusal = await self._rules.check_sender(self._client, command.reverse_path, is_to_wait=is_to_wait)
        if refusal is not None:
            return refusal
        limit_octets = self._config.message_limit_octets
        if command.size_octets is not None and command.size_octets > limit_octets:
            return replies.declared_too_big(limit_octets)
        self._transaction = Transaction(
            self._surroundings.new_message_id(),
            command.reverse_path,
            command.envelope_id,
            command.return_content,
            command.is_utf8,
            release_at,
            command.future_release,
        )
        self._state = State.MAIL
        return replies.SENDER_OK

    def _release_at(self, command: Mail) -> datetime | None:
        """A moment that is over means now: clocks differ. Raises ParameterUnknown, HoldTooLong."""
        if command.hold is None:
            return None
        if (longest := self._rules.longest_hold) is None:
            raise ParameterUnknown("HOLDFOR" if isinstance(command.hold, timedelta) else "HOLDUNTIL")
        now = self._surroundings.clock()
        release_at = now + command.hold if isinstance(command.hold, timedelta) else command.hold
        if release_at > now + longest:
            raise HoldTooLong(longest)
        return release_at

    async def _rcpt(self, command: Rcpt) -> Reply:
        transaction = self._transaction
        if transaction is None:
            return replies.MAIL_FIRST
        if self._reception is not None:
            return replies.CHUNKS_ARE_COMING
        if len(transaction.accepted) >= self._config.recipients_limit:
            return replies.too_many_recipients(self._config.recipients_limit)
        try:
            if command.holds_utf8 and not transaction.is_utf8:
                raise RecipientNeedsUtf8
            resolution = await self._rules.resolve(self._client, transaction, command.forward_path)
        except Exception as error:
            transaction.has_refused_recipients = True
            self._log.info(
                "recipient refused",
                message_id=transaction.message_id,
                recipient=command.forward_path,
                reason=type(error).__name__,
            )
            raise
        if transaction.accepted and transaction.would_reach(resolution) > self._config.reached_limit:
            return replies.REACHES_TOO_MANY
        addressee = Addressee(command.forward_path, resolution, command.notify, command.original_recipient)
        transaction.accept(addressee)
        return replies.RECIPIENT_OK

    async def _data(self, _: Command) -> Reply:
        transaction = self._transaction
        if transaction is None:
            return replies.MAIL_FIRST
        if self._reception is not None:
            return replies.CHUNKS_ARE_COMING
        if not transaction.accepted:
            return self._no_recipients(transaction)
        self._reception = self._receive(transaction)
        self._state = State.MESSAGE
        self.wants_message = True
        return replies.START_MESSAGE

    def _no_recipients(self, transaction: Transaction) -> Reply:
        is_all_refused = transaction.has_refused_recipients and not self._rules.is_lmtp  # RFC 2033 §4.2: 503
        return replies.NO_VALID_RECIPIENTS if is_all_refused else replies.RCPT_FIRST

    def _receive(self, transaction: Transaction) -> Reception:
        return Reception(
            transaction,
            self._rules,
            self._client,
            self._config,
            received_at=self._surroundings.clock(),
            monotonic=self._surroundings.monotonic,
            metrics=self._metrics,
            log=self._log,
        )

    def _begin_chunk(self, command: Bdat) -> Replies:
        """Nothing is answered before the chunk was read, for its octets come whatever is answered (RFC 3030 §2)."""
        if command.octets > max(self._config.swallow_limit_octets, self._config.message_limit_octets):
            return (self._hang_up(replies.CHUNK_TOO_BIG),)
        transaction, is_first = self._transaction, self._reception is None
        self._chunk_refusal = None
        if transaction is None:
            self._chunk_refusal = replies.MAIL_FIRST
        elif not transaction.accepted:
            self._chunk_refusal = self._no_recipients(transaction)
        elif is_first:
            self._reception = self._receive(transaction)
        self._refused_chunk_began_at_s = self._surroundings.monotonic() if self._chunk_refusal else None
        self._chunk = self.wants_chunk = Chunk(command.octets, is_first, command.is_last)
        self._state = State.MESSAGE
        return SILENCE

    def _end_chunk(self, fault: Fault | None) -> Reply:
        refusal = self._chunk_refusal
        if refusal is None and self._reception is not None:
            refusal = self._reception.refusal(fault)
        if refusal is not None or self._chunk is None:
            self._end_transaction()
            return refusal or replies.MAIL_FIRST
        self._state = State.MAIL
        return replies.chunk_received(self._chunk.octets)

    async def _end_message(self, fault: Fault | None) -> Replies:
        refusal, self._chunk_refusal = self._chunk_refusal, None
        reception = self._reception
        if refusal is not None:
            self._end_transaction()
            return (refusal,)
        if reception is None:
            raise RuntimeError("a message ended that had not begun")
        try:
            answers = await reception.finish(fault)
        finally:
            self._end_transaction()
        reception.report(answers)
        if any(answer.code == 250 for answer in answers):
            self._errors = 0
        return answers

    def _end_transaction(self) -> None:
        if self._reception is not None:
            self._reception.close()
            self._reception = None
        self._transaction = None
        self._authentication.abandon()
        self._chunk = None
        self._refused_chunk_began_at_s = None
        if self._state is not State.CONNECTED:
            self._state = State.READY

    # -- refusals

    def _count_refusal(self, answer: Reply) -> None:
        self._metrics.count_refused(answer.code)
        if answer.code >= 500 and not (self._rules.is_lmtp and answer.code in ABOUT_MAIL):
            self._errors += 1

    def _hang_up(self, answer: Reply) -> Reply:
        self.is_over = True
        return answer


def _always(answer: Reply) -> Callable[[Session, Any], Awaitable[Reply]]:
    async def say(_session: Session, _command: Command) -> Reply:
        return answer

    return say


HANDLERS: dict[type[Command], Callable[[Session, Any], Awaitable[Reply]]] = {
    Helo: Session._hello,
    Ehlo: Session._hello,
    Lhlo: Session._hello,
    Mail: Session._mail,
    Rcpt: Session._rcpt,
    Data: Session._data,
    Rset: Session._reset,
    Quit: Session._quit,
    StartTls: Session._start_tls,
    Auth: Session._auth,
    Noop: _always(replies.OK),
    Help: _always(replies.HELP),
    Vrfy: _always(replies.CANNOT_VERIFY),
    Expn: _always(replies.NO_EXPANSION),
}
