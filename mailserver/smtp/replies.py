"""What the SMTP and LMTP doors say, and the one table from refusal to reply (RFC 5321 §4.2, RFC 2034, RFC 3463).

Texts name the limit that was passed, and hold no paths, no SQL, and nothing of a person that a stranger may not know.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

from mailserver import sasl
from mailserver.services import errors as services
from mailserver.services import submission_errors as submissions
from mailserver.services.spool import SpoolUnavailable
from mailserver.smtp import errors as smtp
from mailserver.smtp.wire.message_text import Fault
from storage import errors as storage
from tenants import errors as tenants

E = TypeVar("E", bound=Exception)

_LINE_LIMIT_OCTETS = 512  # RFC 5321 §4.5.3.1.5


@dataclass(frozen=True, slots=True)
class Reply:
    """`enhanced` is empty where RFC 2034 has none: the greeting, HELO and EHLO, and 3yz."""

    code: int
    enhanced: str
    lines: tuple[str, ...]


def reply(code: int, enhanced: str, text: str) -> Reply:
    return Reply(code, enhanced, (text,))


@lru_cache(512)
def encode(answer: Reply) -> bytes:
    """The reply as it goes to the client; the enhanced code stands in every line (RFC 2034 §4)."""
    start = f"{answer.enhanced} " if answer.enhanced else ""
    *before, last = answer.lines
    text = "".join(f"{answer.code}-{_one_line(start + line)}\r\n" for line in before)
    return f"{text}{answer.code} {_one_line(start + last)}\r\n".encode("ascii")


def _one_line(text: str) -> str:
    """Whatever came from a client cannot break the line or its length."""
    if len(text) > _LINE_LIMIT_OCTETS - 6:
        text = text[: _LINE_LIMIT_OCTETS - 6]
    return text if text.isascii() and text.isprintable() else "".join(c if " " <= c <= "~" else "?" for c in text)


OK = reply(250, "2.0.0", "OK")
SENDER_OK = reply(250, "2.1.0", "Sender OK")
RECIPIENT_OK = reply(250, "2.1.5", "Recipient OK")
START_MESSAGE = reply(354, "", "Send the message; it ends with a line that holds only a dot")
START_TLS = reply(220, "2.0.0", "Ready to start TLS")
SIGNED_IN = reply(235, "2.7.0", "Signed in")
BYE = reply(221, "2.0.0", "Bye")
CANNOT_VERIFY = reply(252, "2.5.0", "Addresses are not verified here; send the message")
NO_EXPANSION = reply(502, "5.5.1", "Lists are not expanded here")
HELP = reply(214, "2.0.0", "RFC 5321 says it all; postmaster listens")

SHUTTING_DOWN = reply(421, "4.3.2", "The service is going down for a moment; try again")
IDLE_TOO_LONG = reply(421, "4.4.2", "Nothing was received for too long")
TOO_MANY_ERRORS = reply(421, "4.7.0", "Too many errors on this connection")
TOO_MANY_COMMANDS = reply(421, "4.7.0", "Too many commands on this connection")
TOO_MANY_CONNECTIONS = reply(421, "4.3.2", "Too many connections; try again later")
TOO_MANY_FROM_NETWORK = reply(421, "4.7.0", "Too many connections from your network; try again later")
TOO_MANY_OF_PERSON = reply(421, "4.7.0", "You have too many connections open already")
SIGNED_OUT = reply(421, "4.7.0", "You were signed out; sign in again")
TOO_MANY_SIGN_INS = reply(421, "4.7.0", "Too many failed sign-ins on this connection")
GOES_ON_WITHOUT_END = reply(421, "4.7.0", "What you send goes on without end")

BARE_LINE_FEED = reply(500, "5.5.2", "Lines end in CR LF, not in LF alone")
SAY_HELLO_FIRST = reply(503, "5.5.1", "Say EHLO first")
SAY_LHLO_FIRST = reply(503, "5.5.1", "Say LHLO first")
USE_LHLO = reply(500, "5.5.1", "This is LMTP; say LHLO")
USE_EHLO = reply(500, "5.5.1", "This is SMTP; say EHLO")
MAIL_FIRST = reply(503, "5.5.1", "MAIL comes first")
RCPT_FIRST = reply(503, "5.5.1", "RCPT comes first")
NO_VALID_RECIPIENTS = reply(554, "5.5.1", "No valid recipients")
CHUNKS_ARE_COMING = reply(503, "5.5.1", "The message comes in chunks already; RSET starts again")
CHUNK_TOO_BIG = reply(552, "5.3.4", "The chunk is bigger than any message here; this connection is lost")
REACHES_TOO_MANY = reply(452, "4.5.3", "The message reaches too many people; send it again for the others")
MAIL_ALREADY_GIVEN = reply(503, "5.5.1", "MAIL was already given; RSET starts again")
TLS_ALREADY = reply(503, "5.5.1", "TLS is already in use")
TLS_NOT_OFFERED = reply(502, "5.5.1", "TLS is not offered here")
TLS_BEFORE_MAIL = reply(530, "5.7.0", "Must issue a STARTTLS command first")
AUTH_NEEDS_TLS = reply(538, "5.7.11", "Signing in needs encryption; issue STARTTLS first")
AUTH_NOT_OFFERED = reply(502, "5.5.1", "Nobody signs in here; use the submission port")
AUTH_ALREADY = reply(503, "5.5.1", "You are already signed in")
AUTH_DURING_MAIL = reply(503, "5.5.1", "AUTH does not stand within a mail transaction")
AUTH_REQUIRED = reply(530, "5.7.0", "Authentication required")
AUTH_FAILED = reply(535, "5.7.8", "The address or the password is wrong")
AUTH_UNAVAILABLE = reply(454, "4.7.0", "Signing in is not possible now; try again later")
AUTH_LINE_TOO_LONG = reply(500, "5.5.6", "The authentication line is too long")

NOT_NOW = reply(451, "4.3.0", "The mail store is not available now; try again later")
SERVER_BUG = reply(451, "4.3.0", "Something failed here and was noted; try again later")


def challenge(base64: bytes) -> Reply:
    return reply(334, "", base64.decode("ascii"))


def chunk_received(octets: int) -> Reply:
    return reply(250, "2.0.0", f"{octets} octets received")


def accepted(message_id: str) -> Reply:
    return reply(250, "2.0.0", f"Accepted as {message_id}")


def held(message_id: str, release_at: datetime) -> Reply:
    return reply(250, "2.0.0", f"Accepted as {message_id}, held until {release_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")


def accepted_for(message_id: str, forward_path: str) -> Reply:
    """One recipient's reply of LMTP (RFC 2033 §4.2)."""
    return reply(250, "2.1.5", f"<{forward_path}> Accepted as {message_id}")


def refused_for(answer: Reply, forward_path: str) -> Reply:
    return Reply(answer.code, answer.enhanced, tuple(f"<{forward_path}> {line}" for line in answer.lines))


def line_too_long(limit_octets: int) -> Reply:
    return reply(500, "5.5.2", f"The line is too long: at most {limit_octets} octets")


def declared_too_big(limit_octets: int) -> Reply:
    return reply(552, "5.3.4", f"The message is too big: at most {limit_octets} octets")


def too_many_recipients(limit: int) -> Reply:
    return reply(452, "4.5.3", f"Too many recipients: at most {limit} for one message; send it again for the others")


def for_fault(fault: Fault, *, message_limit_octets: int, line_limit_octets: int) -> Reply:
    """What a message read to its end with a fault is answered."""
    match fault:
        case Fault.TOO_BIG:
            return declared_too_big(message_limit_octets)
        case Fault.BARE_LINE_END:
            return reply(550, "5.6.11", "The message holds a bare CR or LF; every line ends in CR LF")
        case Fault.NUL:
            return reply(554, "5.6.0", "The message holds a NUL octet, which is no text")
        case Fault.LINE_TOO_LONG:
            return reply(500, "5.6.0", f"A line of the message is too long: at most {line_limit_octets} octets")


def for_error(error: Exception) -> Reply:
    """The reply to a refusal; what the table does not know is a bug, which the caller logs."""
    for kind in type(error).__mro__:
        if make := REFUSALS.get(kind):
            return make(error)
    return SERVER_BUG


def is_expected(error: Exception) -> bool:
    return any(kind in REFUSALS for kind in type(error).__mro__)


REFUSALS: dict[type, Callable[[Any], Reply]] = {}


def _answer(kind: type[E], make: Callable[[E], Reply]) -> None:
    REFUSALS[kind] = make


def _always(answer: Reply) -> Callable[[Exception], Reply]:
    return lambda _: answer


def _path_invalid(error: smtp.PathInvalid) -> Reply:
    enhanced = "5.1.7" if error.is_sender else "5.1.3"
    return reply(501, enhanced, f"Bad {'sender' if error.is_sender else 'recipient'} address: {error.reason}")


def _sender_not_owned(error: services.SenderNotOwned) -> Reply:
    code = 553 if error.where == "MAIL FROM" else 550
    return reply(code, "5.7.1", f"{error.where}: <{error.address}> does not belong to the account you signed in with")


def _login_refused(error: services.LoginRefused) -> Reply:
    match error.reason:
        case services.RefusalReason.APP_PASSWORD_NEEDED:
            return reply(534, "5.7.9", "Mail programs need an app password for this account")
        case services.RefusalReason.OTHER_SCOPE:
            return reply(535, "5.7.8", "This app password is for something else")
        case _:
            return reply(525, "5.7.13", "This account is suspended; ask your administrator")


def _throttled(error: services.LoginThrottled) -> Reply:
    return reply(454, "4.7.0", f"Too many failed sign-ins; try again in {max(1, round(error.retry_after_s))} seconds")


def _sending_limit(error: storage.SendingLimitReached) -> Reply:
    whose = "Your company" if error.is_tenants else "You"
    time = "an hour" if error.hours == 1 else f"{error.hours} hours"
    return reply(
        450, "4.7.1", f"{whose} may write to {error.limit_recipients} recipients elsewhere in {time}; try again later"
    )


_answer(smtp.CommandUnknown, _always(reply(500, "5.5.1", "No such command here")))
_answer(smtp.CommandSyntaxError, lambda error: reply(501, "5.5.4", error.reason))
_answer(smtp.ChunkSizeUnreadable, _always(reply(501, "5.5.4", "Syntax: BDAT octets [LAST]; this connection is lost")))
_answer(smtp.PathInvalid, _path_invalid)
_answer(smtp.SenderNeedsUtf8, _always(reply(550, "5.6.7", "Characters beyond ASCII need SMTPUTF8 in MAIL")))
_answer(smtp.RecipientNeedsUtf8, _always(reply(553, "5.6.7", "Characters beyond ASCII need SMTPUTF8 in MAIL")))
_answer(smtp.ParameterUnknown, lambda error: reply(555, "5.5.4", f"The parameter {error.keyword} is not offered here"))
_answer(smtp.HoldTooLong, lambda error: reply(501, "5.5.4", f"Mail is held for at most {error.limit.days} days here"))
_answer(sasl.SaslCancelled, _always(reply(501, "5.7.0", "Authentication cancelled")))
_answer(sasl.SaslMalformed, lambda error: reply(501, "5.5.2", f"Authentication failed: {error}"))
_answer(sasl.AuthorizationIdentityRefused, _always(AUTH_FAILED))
_answer(smtp.MechanismUnknown, _always(reply(504, "5.5.4", "This mechanism is not offered; EHLO lists those that are")))
_answer(
    smtp.HeaderTooBig, lambda error: reply(552, "5.3.4", f"The header is too big: at most {error.limit_octets} octets")
)
_answer(
    smtp.TooManyHops,
    lambda error: reply(554, "5.4.6", f"The message goes in circles: over {error.limit} Received fields"),
)
_answer(services.SenderNotOwned, _sender_not_owned)
_answer(services.OriginatorInvalid, lambda error: reply(550, "5.7.1", f"The sender is in doubt: {error.reason}"))

_answer(services.LoginFailed, _always(AUTH_FAILED))
_answer(services.LoginThrottled, _throttled)
_answer(services.LoginRefused, _login_refused)
_answer(services.TooManyConnections, _always(TOO_MANY_OF_PERSON))
_answer(
    submissions.TooManyWait,
    lambda error: reply(552, "5.7.16", f"{error.limit} messages of yours wait for their time already"),  # RFC 4865 §6
)
_answer(services.ForwardingLoop, _always(reply(554, "5.4.6", "The message goes in circles: it was here before")))
_answer(services.OnlyReturns, _always(reply(550, "5.7.1", "This address takes returned mail only")))
_answer(SpoolUnavailable, _always(reply(452, "4.3.1", "There is no room for the message now; try again later")))

_answer(tenants.AddressInvalid, lambda error: reply(501, "5.1.3", f"Bad recipient address: {error.reason}"))
_answer(tenants.DomainInvalid, lambda error: reply(501, "5.1.3", f"Bad recipient address: {error.reason}"))
_answer(tenants.RecipientUnknown, _always(reply(550, "5.1.1", "No such person here")))
_answer(
    tenants.DomainNotLocal,
    lambda error: reply(550, "5.7.1", f"Relaying denied: mail for {error.domain} is not taken here"),
)
_answer(
    tenants.SenderNotWelcome,
    lambda error: reply(550, "5.7.2", f"This group takes mail only of its {error.who}; sign in to send to it"),
)
_answer(
    tenants.ExpansionTooLarge,
    lambda error: reply(550, "5.2.4", f"This address stands for too many others: at most {error.limit}"),
)
_answer(tenants.AccountSuspended, _always(reply(450, "4.2.1", "This mailbox is suspended for now; try again later")))
_answer(tenants.TenantSuspended, _always(reply(450, "4.2.1", "This mailbox is suspended for now; try again later")))

_answer(storage.OverQuota, _always(reply(452, "4.2.2", "This mailbox is full; try again later")))
_answer(storage.SendingLimitReached, _sending_limit)
_answer(storage.StoreUnavailable, _always(NOT_NOW))
_answer(storage.ColdTierUnavailable, _always(NOT_NOW))
_answer(storage.KeyUnusable, _always(NOT_NOW))
