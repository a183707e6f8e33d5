"""An SMTP or LMTP conversation without its socket: events in, replies out (RFC 5321 §3, §4.1.4).

    CONNECTED --HELO--> READY --MAIL--> MAIL --DATA--> MESSAGE --end of data--> READY
                          |              |      (RCPT stays in MAIL; RSET, HELO go back to READY)
                          |              +--BDAT--> MESSAGE --end of chunk--> MAIL, or after the last READY
                          +--AUTH--> AUTH --response--> READY

The session never reads ahead: whoever feeds it looks at `wants_message`, `wants_chunk`, `wants_tls` and `is_over` after
every event. What differs between MX, submission and LMTP is asked of `Rules`; refusals come as exceptions and leave
through the table in `replies`.
"""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any

from structlog.typing import FilteringBoundLogger

from mailserver.sasl import decode_response
from mailserver.services.errors import LoginFailed, LoginRefused, TooManyConnections
from mailserver.services.exchanges import Exchange
from mailserver.services.incoming import Addressee
from mailserver.services.spool import Spool
from mailserver.smtp import replies
from mailserver.smtp.config import SmtpConfig
from mailserver.smtp.errors import ChunkSizeUnreadable, MechanismUnknown, RecipientNeedsUtf8, SenderNeedsUtf8
from mailserver.smtp.metrics import DoorMetrics
from mailserver.smtp.patience import within
from mailserver.smtp.ports import SignIn
from mailserver.smtp.replies import Reply
from mailserver.smtp.rules import Rules
from mailserver.smtp.trace import TlsFacts
from mailserver.smtp.transaction import Arrival, Client, Transaction
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
from storage.errors import StoreUnavailable

Replies = Sequence[Reply]
SILENCE: Replies = ()
LOGGED_RECIPIENTS = 20
ABOUT_MAIL = frozenset({550, 552, 553, 554})  # refusals of people and messages, which an LMTP client only hands over
EXTENSIONS = ("8BITMIME", "ENHANCEDSTATUSCODES", "DSN", "SMTPUTF8", "CHUNKING")


class State(Enum):
    CONNECTED = auto()
    READY = auto()
    MAIL = auto()
    AUTH = auto()
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
        self._arrival: Arrival | None = None
        self._exchange: Exchange | None = None
        self._leave: Callable[[], None] | None = None
        self._commands = 0
        self._errors = 0
        self._auth_failures = 0
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
        return self._arrival.began_at_s if self._arrival else self._refused_chunk_began_at_s

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
        if self._leave is not None:
            self._leave()
            self._leave = None

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
            answers = (self._refuse(error),)
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
                return await within(
                    self._config.command_work_timeout_s,
                    self._respond(self._exchange, line) if self._exchange else self._command(line),
                )
            case MessageOctets(octets):
                self._take(octets)
                return SILENCE
            case MessageEnd():
                return await self._end_message(event)
            case ChunkEnd(fault):
                return (self._end_chunk(fault),)
            case LineTooLong():
                return (self._line_too_long(),)
            case BareLineFeed():
                self._exchange = None
                self._state = State.READY if self._state is State.AUTH else self._state
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
        if self._exchange is not None:
            self._exchange = None
            self._state = State.READY
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
        exchange = self._surroundings.sign_in.begin(command.mechanism, network=self._client.address)
        if exchange is None:
            raise MechanismUnknown
        initial = command.initial_response
        return await self._advance(exchange, decode_response(initial) if initial is not None else None)

    async def _respond(self, exchange: Exchange, line: bytes) -> Replies:
        self._exchange = None
        self._state = State.READY
        return (await self._advance(exchange, decode_response(line)),)

    async def _advance(self, exchange: Exchange, response: bytes | None) -> Reply:
        try:
            principal = await exchange.respond(response)
        except (LoginFailed, LoginRefused) as error:
            return await self._sign_in_failed(error)
        except StoreUnavailable:
            return replies.AUTH_UNAVAILABLE
        if isinstance(principal, bytes):
            self._exchange = exchange
            self._state = State.AUTH
            return replies.challenge(b64encode(principal))
        try:
            self._leave = self._surroundings.sign_in.enter(principal, network=self._client.address)
        except TooManyConnections as error:
            return self._hang_up(replies.for_error(error))
        self._client.principal = principal
        self._log = self._log.bind(tenant=principal.tenant_id, account=principal.account_id)
        self._log.info("signed in")
        return replies.SIGNED_IN

    async def _sign_in_failed(self, error: LoginFailed | LoginRefused) -> Reply:
        self._auth_failures += 1
        self._log.info("sign-in failed", reason=type(error).__name__, failures=self._auth_failures)
        await self._surroundings.pause(self._config.auth_failure_delay_s * self._auth_failures)
        if self._auth_failures >= self._config.auth_failures_limit:
            return self._hang_up(replies.TOO_MANY_SIGN_INS)
        return replies.for_error(error)

    # -- the mail transaction

    async def _mail(self, command: Mail) -> Reply:
        if self._state is State.CONNECTED:
            return replies.SAY_LHLO_FIRST if self._rules.is_lmtp else replies.SAY_HELLO_FIRST
        if self._transaction is not None:
            return replies.MAIL_ALREADY_GIVEN
        if command.holds_utf8 and not command.is_utf8:
            raise SenderNeedsUtf8
        refusal = await self._rules.check_sender(self._client, command.reverse_path)
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
        )
        self._state = State.MAIL
        return replies.SENDER_OK

    async def _rcpt(self, command: Rcpt) -> Reply:
        transaction = self._transaction
        if transaction is None:
            return replies.MAIL_FIRST
        if self._arrival is not None:
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
        if self._arrival is not None:
            return replies.CHUNKS_ARE_COMING
        if not transaction.accepted:
            return self._no_recipients(transaction)
        self._begin_arrival(transaction)
        self._state = State.MESSAGE
        self.wants_message = True
        return replies.START_MESSAGE

    def _no_recipients(self, transaction: Transaction) -> Reply:
        is_all_refused = transaction.has_refused_recipients and not self._rules.is_lmtp  # RFC 2033 §4.2: 503
        return replies.NO_VALID_RECIPIENTS if is_all_refused else replies.RCPT_FIRST

    def _begin_arrival(self, transaction: Transaction) -> None:
        received_at = self._surroundings.clock()
        self._arrival = Arrival(
            Spool(memory_limit_octets=self._config.spool_memory_limit_octets, directory=self._config.spool_directory),
            received_at=received_at,
            began_at_s=self._surroundings.monotonic(),
            header_limit_octets=self._config.header_limit_octets,
            on_header=lambda header: self._complete_header(transaction, header, received_at),
        )

    def _begin_chunk(self, command: Bdat) -> Replies:
        """Nothing is answered before the chunk was read, for its octets come whatever is answered (RFC 3030 §2)."""
        if command.octets > max(self._config.swallow_limit_octets, self._config.message_limit_octets):
            return (self._hang_up(replies.CHUNK_TOO_BIG),)
        transaction, is_first = self._transaction, self._arrival is None
        self._chunk_refusal = None
        if transaction is None:
            self._chunk_refusal = replies.MAIL_FIRST
        elif not transaction.accepted:
            self._chunk_refusal = self._no_recipients(transaction)
        elif is_first:
            self._begin_arrival(transaction)
        self._refused_chunk_began_at_s = self._surroundings.monotonic() if self._chunk_refusal else None
        self._chunk = self.wants_chunk = Chunk(command.octets, is_first, command.is_last)
        self._state = State.MESSAGE
        return SILENCE

    def _end_chunk(self, fault: Fault | None) -> Reply:
        refusal = self._chunk_refusal
        if refusal is None and fault is not None:
            refusal = self._faulty(fault)
        if refusal is None and self._arrival is not None:
            refusal = self._arrival.refusal
        if refusal is not None or self._chunk is None:
            self._end_transaction()
            return refusal or replies.MAIL_FIRST
        self._state = State.MAIL
        return replies.chunk_received(self._chunk.octets)

    async def _end_message(self, end: MessageEnd) -> Replies:
        refusal, self._chunk_refusal = self._chunk_refusal, None
        if refusal is None:
            return await self._finish(end)
        self._end_transaction()
        return (refusal,)

    def _complete_header(self, transaction: Transaction, header: bytes, received_at: datetime) -> bytes:
        transaction.has_utf8_header = not header.isascii()
        return self._rules.complete_header(self._client, transaction, header, received_at)

    def _take(self, octets: bytes) -> None:
        arrival = self._arrival
        if arrival is None or arrival.refusal is not None:
            return
        try:
            arrival.write(octets)
        except Exception as error:  # noqa: BLE001 (answered at the end of data, which must come first)
            arrival.refusal = self._refuse(error)
            arrival.spool.close()

    async def _finish(self, end: MessageEnd) -> Replies:
        transaction, arrival = self._transaction, self._arrival
        if transaction is None or arrival is None:
            raise RuntimeError("a message ended that had not begun")
        try:
            answers = await self._settle(end, transaction, arrival)
        finally:
            self._end_transaction()
        if self._rules.is_lmtp and len(answers) != len(transaction.accepted):
            answers = tuple(answers[0] for _ in transaction.accepted)
        self._report(transaction, arrival, answers)
        return answers

    async def _settle(self, end: MessageEnd, transaction: Transaction, arrival: Arrival) -> Replies:
        if end.fault is not None:
            return (self._faulty(end.fault),)
        if arrival.refusal is not None:
            return (arrival.refusal,)
        try:
            arrival.finish()
            async with asyncio.timeout(self._config.delivery_timeout_s):
                return await self._rules.finish(self._client, transaction, arrival.spool.octets(), arrival.received_at)
        except TimeoutError:
            self._log.error("storing a message took too long", message_id=transaction.message_id)
            return (replies.NOT_NOW,)
        except Exception as error:  # noqa: BLE001 (LMTP owes one reply for each recipient even then)
            return (self._refuse(error),)

    def _faulty(self, fault: Fault) -> Reply:
        return replies.for_fault(
            fault,
            message_limit_octets=self._config.message_limit_octets,
            line_limit_octets=self._config.text_line_limit_octets,
        )

    def _report(self, transaction: Transaction, arrival: Arrival, answers: Replies) -> None:
        seconds = self._surroundings.monotonic() - arrival.began_at_s
        accepted = sum(answer.code == 250 for answer in answers)
        octets = arrival.spool.octets_written
        self._metrics.observe_data(seconds)
        facts = {"message_id": transaction.message_id, "octets": octets, "seconds": round(seconds, 6)}
        if not accepted:
            code, enhanced = answers[0].code, answers[0].enhanced
            self._log.info("message refused", code=code, enhanced=enhanced, **facts, **_recipient_ids(transaction))
            return
        self._errors = 0
        recipients = accepted if self._rules.is_lmtp else len(transaction.accepted)
        self._metrics.count_accepted(recipients=recipients, octets=octets)
        self._log.info("message accepted", recipients=recipients, **facts, **_recipient_ids(transaction))

    def _end_transaction(self) -> None:
        if self._arrival is not None:
            self._arrival.spool.close()
            self._arrival = None
        self._transaction = None
        self._exchange = None
        self._chunk = None
        self._refused_chunk_began_at_s = None
        if self._state is not State.CONNECTED:
            self._state = State.READY

    # -- refusals

    def _refuse(self, error: Exception) -> Reply:
        if not replies.is_expected(error):
            self._log.error("unexpected error", exc_info=error)
        return replies.for_error(error)

    def _count_refusal(self, answer: Reply) -> None:
        self._metrics.count_refused(answer.code)
        if answer.code >= 500 and not (self._rules.is_lmtp and answer.code in ABOUT_MAIL):
            self._errors += 1

    def _hang_up(self, answer: Reply) -> Reply:
        self.is_over = True
        return answer


def _recipient_ids(transaction: Transaction) -> dict[str, Any]:
    """For the log. Each line costs what its fields cost, so the usual one recipient is two numbers."""
    reached = [each.resolution for each in transaction.accepted[:LOGGED_RECIPIENTS] if each.resolution is not None]
    recipients = [person for each in reached for person in each.recipients][:LOGGED_RECIPIENTS]
    if len(recipients) == 1 and len(transaction.accepted) == 1:
        return {"recipient_tenant": recipients[0].tenant_id, "recipient_account": recipients[0].account_id}
    elsewhere = len(transaction.accepted) - len(reached) + sum(len(each.elsewhere) for each in reached)
    return {
        "recipient_tenants": sorted({each.tenant_id for each in recipients}),
        "recipient_accounts": [each.account_id for each in recipients],
        "recipients_elsewhere": elsewhere,
    }


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
