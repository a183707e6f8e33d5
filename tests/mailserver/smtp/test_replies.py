"""Every refusal has a reply, and every reply is well formed."""

import inspect
from types import ModuleType

import pytest

from mailserver import sasl
from mailserver.services import errors as services
from mailserver.services.spool import SpoolUnavailable
from mailserver.smtp import errors as smtp
from mailserver.smtp import replies
from mailserver.smtp.replies import REFUSALS, Reply, encode, for_error
from storage import errors as storage
from tenants import errors as tenants

# Facts of administration and of mailboxes, which no SMTP command can meet; if one ever does, it is a bug: 451.
NEVER_HERE = {
    "MailboxNotFound",
    "MailboxExists",
    "MailboxNotSelectable",
    "MailboxHasChildren",
    "MailboxNameInvalid",
    "InboxProtected",
    "SpecialUseRefused",
    "TooManyMailboxes",
    "TooManyKeywords",
    "ContentDamaged",
    "ObjectMissing",
    "MasterKeyMissing",
    "SearchTooLong",
    "MessageGone",
    "TenantNotFound",
    "TenantExists",
    "TenantDeleted",
    "DomainTaken",
    "AccountNotFound",
    "AccountDeleted",
    "AddressTaken",
    "StillInUse",
    "AliasNotFound",
    "PrimaryAddressProtected",
    "PasswordUnacceptable",
    "LanguageUnknown",
    "TimeZoneUnknown",
    "QuotaInvalid",
    "DaysInvalid",
    "AccountNotDeleted",
    "AccountEnded",
    "ReasonMissing",
    "FolderInvalid",
    "RuleNotFound",
    "NameInvalid",
    "NameTaken",
    "ProgramNotFound",
    "RedirectInvalid",
    "ImportRefused",
    "GroupNotFound",
    "MemberNotFound",
    "ForwardingNotFound",
    "TooManyTargets",
    "GroupIsCatchAll",
    "DomainStandsForAnother",
    "DomainHasAddresses",
    "AppPasswordExists",
    "AppPasswordNotFound",
    "TooManyAppPasswords",
    "PasskeyTaken",
    "ScopesInvalid",
    "ExpiryInvalid",
    "BlocksUnreachable",
    "NetworkInvalid",
}


def errors_of(module: ModuleType) -> list[type[Exception]]:
    found = [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ == module.__name__
    ]
    return [kind for kind in found if not any(other is not kind and issubclass(other, kind) for other in found)]


@pytest.mark.parametrize("module", [tenants, storage, services, smtp, sasl], ids=lambda module: module.__name__)
def test_every_refusal_has_a_reply_or_is_known_never_to_come(module: ModuleType) -> None:
    for kind in errors_of(module):
        assert (kind in REFUSALS) != (kind.__name__ in NEVER_HERE), (
            f"{kind.__name__} has no row in the table of replies"
        )


@pytest.mark.parametrize(
    ("error", "code", "enhanced"),
    [
        (tenants.RecipientUnknown("x@demo.test"), 550, "5.1.1"),
        (tenants.DomainNotLocal("elsewhere.test"), 550, "5.7.1"),
        (tenants.AccountSuspended("x@demo.test"), 450, "4.2.1"),
        (tenants.TenantSuspended("x@demo.test"), 450, "4.2.1"),
        (tenants.AddressInvalid("x", "it has no @"), 501, "5.1.3"),
        (storage.OverQuota(2, 1), 452, "4.2.2"),
        (storage.StoreUnavailable("FATAL: role /secret/path"), 451, "4.3.0"),
        (SpoolUnavailable("No space left on device"), 452, "4.3.1"),
        (services.LoginFailed(), 535, "5.7.8"),
        (services.LoginThrottled(12.4), 454, "4.7.0"),
        (ZeroDivisionError(), 451, "4.3.0"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_a_fact_has_its_code(error: Exception, code: int, enhanced: str) -> None:
    answer = for_error(error)
    assert (answer.code, answer.enhanced) == (code, enhanced)
    assert "secret" not in encode(answer).decode()


def test_the_class_of_the_enhanced_code_is_that_of_the_code() -> None:
    for answer in vars(replies).values():
        if isinstance(answer, Reply) and answer.enhanced:
            assert answer.enhanced[0] == str(answer.code)[0]


def test_every_line_of_a_reply_carries_the_codes() -> None:
    assert encode(Reply(550, "5.1.1", ("one", "two"))) == b"550-5.1.1 one\r\n550 5.1.1 two\r\n"
    assert encode(Reply(354, "", ("go on",))) == b"354 go on\r\n"


def test_what_came_from_a_client_cannot_break_a_reply() -> None:
    octets = encode(Reply(550, "5.7.1", ("a\r\n250 OK\0é" + "x" * 2_000,)))
    assert octets.count(b"\r\n") == 1
    assert octets.startswith(b"550 5.7.1 a??250 OK??x")
    assert len(octets) <= 512
