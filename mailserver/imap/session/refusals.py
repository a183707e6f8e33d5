"""The one table from what services refuse to what an IMAP client reads (RFC 3501 §7.1, RFC 5530)."""

from collections.abc import Callable
from dataclasses import dataclass

from mailserver.imap.session.append import MailboxReadOnly, MessageEmpty, NulInLiteral
from mailserver.imap.wire.commands import Append, Command, Copy, Move, Replace
from mailserver.imap.wire.response_codes import Code, ResponseCode
from mailserver.imap.wire.responses import Condition
from mailserver.imap.wire.sequence import SequenceNumberTooLarge
from mailserver.mime.nul import NulNotEncodable
from mailserver.mime.transfer_encoding import UnknownEncoding
from mailserver.sasl import AuthorizationIdentityRefused, SaslCancelled, SaslMalformed
from mailserver.services import errors as services
from mailserver.services import submission_errors as submissions
from mailserver.services.email_changing import AccountMoved
from mailserver.services.spool import SpoolUnavailable
from storage import errors as storage
from storage.held_mail import ReleaseLost
from storage.parts.homes import PartLost
from storage.placing import AlreadyPlaced
from tenants import errors as tenants


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a command that was refused ends."""

    condition: Condition
    code: ResponseCode | None
    text: str


def _no(code: Code | None, text: str) -> Callable[[Exception], Refusal]:
    refusal = Refusal(Condition.NO, code, text)
    return lambda error: refusal


def _bad(error: Exception) -> Refusal:
    return Refusal(Condition.BAD, None, str(error))


def _throttled(error: Exception) -> Refusal:
    assert isinstance(error, services.LoginThrottled)
    return Refusal(
        Condition.NO, Code.UNAVAILABLE, f"Too many failed sign-ins, try again in {error.retry_after_s:.0f} seconds"
    )


def _login_refused(error: Exception) -> Refusal:
    assert isinstance(error, services.LoginRefused)
    match error.reason:
        case services.RefusalReason.APP_PASSWORD_NEEDED:
            return Refusal(Condition.NO, Code.ALERT, "Mail programs need an app password for this account")
        case services.RefusalReason.OTHER_SCOPE:
            return Refusal(Condition.NO, Code.AUTHORIZATIONFAILED, "This app password is for something else")
        case _:
            return Refusal(Condition.NO, Code.CONTACTADMIN, "This account may not sign in now")


def _name_invalid(error: Exception) -> Refusal:
    assert isinstance(error, storage.MailboxNameInvalid)
    return Refusal(Condition.NO, Code.CANNOT, f"Not a possible mailbox name: {error.reason}")


def _special_use(error: Exception) -> Refusal:
    assert isinstance(error, storage.SpecialUseRefused)
    return Refusal(Condition.NO, Code.USEATTR, f"Not for {error.use}: {error.reason}")


REFUSALS: dict[type[Exception], Callable[[Exception], Refusal]] = {
    # What is asked for
    storage.MailboxNotFound: _no(Code.NONEXISTENT, "There is no such mailbox"),
    storage.MailboxExists: _no(Code.ALREADYEXISTS, "There is already a mailbox of this name"),
    storage.MailboxNotSelectable: _no(Code.CANNOT, "This name only holds other mailboxes"),
    storage.MailboxHasChildren: _no(Code.HASCHILDREN, "This name holds other mailboxes"),
    storage.MailboxNameInvalid: _name_invalid,
    storage.SpecialUseRefused: _special_use,
    storage.InboxProtected: _no(Code.CANNOT, "INBOX cannot be deleted"),
    SequenceNumberTooLarge: _bad,
    # Limits
    storage.OverQuota: _no(Code.OVERQUOTA, "The mailbox is full"),
    storage.TooManyMailboxes: _no(Code.LIMIT, "There are too many mailboxes"),
    storage.TooManyKeywords: _no(Code.LIMIT, "A message cannot have so many keywords"),
    services.SearchTooLong: _no(Code.LIMIT, "The search took too long, try a narrower one"),
    # What is away, or broken
    storage.StoreUnavailable: _no(Code.UNAVAILABLE, "Temporarily unavailable, try again later"),
    storage.ColdTierUnavailable: _no(Code.UNAVAILABLE, "Old and large content is out of reach now, try again later"),
    storage.KeyUnusable: _no(Code.CONTACTADMIN, "The mail of this account cannot be opened"),
    storage.MessageGone: _no(Code.EXPUNGEISSUED, "The message is gone"),
    storage.ContentDamaged: _no(Code.CORRUPTION, "The stored message is damaged"),
    storage.ObjectMissing: _no(Code.CORRUPTION, "The stored message is damaged"),
    # The message of an APPEND
    MessageEmpty: _no(None, "A message is empty: nothing was appended"),
    NulInLiteral: lambda _: Refusal(Condition.BAD, None, "A message with a NUL is sent as a literal8"),
    NulNotEncodable: _no(Code.UNKNOWN_CTE, "A NUL stands where no encoding could cover it"),
    MailboxReadOnly: _no(Code.NOPERM, "The mailbox is open for reading only"),
    UnknownEncoding: _no(Code.UNKNOWN_CTE, "A part has a transfer encoding that is not known here"),
    SpoolUnavailable: _no(Code.UNAVAILABLE, "Temporarily unavailable, try again later"),
    # Signing in
    services.LoginFailed: _no(Code.AUTHENTICATIONFAILED, "The name or the password is wrong"),
    services.LoginThrottled: _throttled,
    services.LoginRefused: _login_refused,
    services.TooManyConnections: _no(Code.LIMIT, "You have too many connections open already"),
    tenants.AccountSuspended: _no(Code.CONTACTADMIN, "This account may not sign in now"),
    tenants.TenantSuspended: _no(Code.CONTACTADMIN, "This account may not sign in now"),
    SaslMalformed: _bad,
    SaslCancelled: _bad,
    AuthorizationIdentityRefused: _no(Code.AUTHORIZATIONFAILED, "Acting as somebody else is not possible"),
}

NOT_OF_IMAP: frozenset[type[Exception]] = frozenset(
    {
        AlreadyPlaced,
        PartLost,
        storage.MasterKeyMissing,
        storage.SendingLimitReached,
        services.ForwardingLoop,
        services.OnlyReturns,
        tenants.AddressInvalid,
        tenants.RecipientUnknown,
        tenants.DomainNotLocal,
        tenants.DomainInvalid,
        tenants.TenantNotFound,
        tenants.TenantExists,
        tenants.TenantDeleted,
        tenants.DomainTaken,
        tenants.AccountNotFound,
        tenants.AccountDeleted,
        tenants.AddressTaken,
        tenants.AliasNotFound,
        tenants.PrimaryAddressProtected,
        tenants.PasswordUnacceptable,
        tenants.LanguageUnknown,
        tenants.TimeZoneUnknown,
        tenants.QuotaInvalid,
        tenants.DaysInvalid,
        tenants.AccountNotDeleted,
        tenants.AccountEnded,
        tenants.ReasonMissing,
        tenants.FolderInvalid,
        tenants.RuleNotFound,
        tenants.NameInvalid,
        tenants.PasskeyTaken,
        tenants.ImportRefused,
        tenants.StillInUse,
        tenants.SenderNotWelcome,
        tenants.ExpansionTooLarge,
        tenants.GroupNotFound,
        tenants.MemberNotFound,
        tenants.ForwardingNotFound,
        tenants.TooManyTargets,
        tenants.GroupIsCatchAll,
        tenants.DomainStandsForAnother,
        tenants.DomainHasAddresses,
        tenants.AppPasswordExists,
        tenants.TooManyAppPasswords,
        tenants.AppPasswordNotFound,
        tenants.ScopesInvalid,
        tenants.ExpiryInvalid,
        tenants.BlocksUnreachable,
        tenants.NetworkInvalid,
        tenants.NameTaken,
        tenants.ProgramNotFound,
        tenants.RedirectInvalid,
        submissions.NobodyToSendTo,
        submissions.NotOfIdentity,
        submissions.RecipientsRefused,
        submissions.TooManyRecipients,
        submissions.MessageTooBig,
        submissions.MessageUnfit,
        submissions.MayNotSend,
        submissions.TooManyWait,
        services.SenderNotOwned,
        services.OriginatorInvalid,
        ReleaseLost,
        AccountMoved,
    }
)
"""Administration and delivery refuse with these; if one reaches an IMAP session, that is a bug of ours."""

SERVER_BUG = Refusal(Condition.NO, Code.SERVERBUG, "An error of the server, which has been recorded")


TRY_CREATE = Refusal(Condition.NO, Code.TRYCREATE, "There is no such mailbox")
"""Of the mailbox that a message is to go to (RFC 3501 §6.3.11, §6.4.7)."""


def refusal_of(error: Exception, command: Command | None) -> Refusal | None:
    """How a client is told of an expected refusal of its command; None: it was not expected."""
    if isinstance(error, storage.MailboxNotFound) and isinstance(command, Append | Replace | Copy | Move):
        return TRY_CREATE
    for kind in type(error).__mro__:
        if kind in REFUSALS:
            return REFUSALS[kind](error)
    return None
