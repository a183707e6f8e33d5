"""What a method says where the mail store refused: one table, which a test holds against every StorageError."""

from storage import errors
from webmail.jmap.errors import MethodError

_UNAVAILABLE = "serverUnavailable"
_FAIL = "serverFail"

METHOD_ERRORS: dict[type[errors.StorageError], str] = {
    errors.StoreUnavailable: _UNAVAILABLE,
    errors.ColdTierUnavailable: _UNAVAILABLE,
    errors.KeyUnusable: _UNAVAILABLE,
    errors.ContentDamaged: _FAIL,
    # Facts about single objects, which methods tell as SetErrors; one that comes this far was forgotten there.
    errors.MailboxNotFound: _FAIL,
    errors.MailboxExists: _FAIL,
    errors.MailboxNotSelectable: _FAIL,
    errors.MailboxHasChildren: _FAIL,
    errors.MailboxNameInvalid: _FAIL,
    errors.SpecialUseRefused: _FAIL,
    errors.InboxProtected: _FAIL,
    errors.OverQuota: _FAIL,
    errors.TooManyMailboxes: _FAIL,
    errors.TooManyKeywords: _FAIL,
    errors.SendingLimitReached: _FAIL,
    errors.MessageGone: _FAIL,
}


def method_error(refusal: errors.StorageError) -> MethodError:
    """Its own words are for logs: they name mailboxes and hosts."""
    kind = next((METHOD_ERRORS[each] for each in type(refusal).__mro__ if each in METHOD_ERRORS), _FAIL)
    words = "try again later" if kind == _UNAVAILABLE else "this is a fault of the server, which has been noted"
    return MethodError(kind, words)
