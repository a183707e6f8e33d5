"""The one table from what services refuse to what a POP3 client reads (RFC 2449 §8.1.1, RFC 3206)."""

from collections.abc import Callable

from mailserver.pop3.wire import replies
from mailserver.pop3.wire.replies import Code
from mailserver.sasl import AuthorizationIdentityRefused, SaslCancelled, SaslMalformed
from mailserver.services import errors as services
from storage import errors as storage


def _is(text: str, code: Code | None = None) -> Callable[[Exception], bytes]:
    reply = replies.error(text, code)
    return lambda error: reply


def _throttled(error: Exception) -> bytes:
    assert isinstance(error, services.LoginThrottled)
    return replies.error(f"Too many failed sign-ins, try again in {error.retry_after_s:.0f} seconds", Code.LOGIN_DELAY)


def _refused(error: Exception) -> bytes:
    assert isinstance(error, services.LoginRefused)
    return replies.error(f"You cannot sign in now: {error.reason}", Code.SYSTEM_PERMANENT)


def _sasl(error: Exception) -> bytes:
    return replies.error(str(error))


REFUSALS: dict[type[Exception], Callable[[Exception], bytes]] = {
    services.LoginFailed: _is("The name or the password is wrong", Code.AUTH),
    services.LoginThrottled: _throttled,
    services.LoginRefused: _refused,
    services.TooManyConnections: _is("You have too many connections open already", Code.SYSTEM_TEMPORARY),
    SaslCancelled: _sasl,
    SaslMalformed: _sasl,
    AuthorizationIdentityRefused: _sasl,
    storage.StoreUnavailable: _is("The mail store is away, try again in a moment", Code.SYSTEM_TEMPORARY),
    storage.ColdTierUnavailable: _is("This message is out of reach now, try again later", Code.SYSTEM_TEMPORARY),
    storage.KeyUnusable: _is("The mail of this account cannot be opened", Code.SYSTEM_PERMANENT),
    storage.ContentDamaged: _is("This message is damaged; the administrator can see why", Code.SYSTEM_PERMANENT),
    storage.MessageGone: _is("This message was removed meanwhile"),
    storage.MailboxNotFound: _is("There is no INBOX", Code.SYSTEM_PERMANENT),
    storage.MailboxNotSelectable: _is("There is no INBOX", Code.SYSTEM_PERMANENT),
}


def refusal_of(error: Exception) -> bytes | None:
    """None: nobody expected it."""
    for kind in type(error).__mro__:
        if kind in REFUSALS:
            return REFUSALS[kind](error)
    return None
