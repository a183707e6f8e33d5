"""Refusals of the directory and of administration, named for the fact. They know no status codes."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong with one row of a file of people. `column` is empty when the whole row is wrong."""

    line: int
    column: str
    reason: str


class TenantsError(Exception):
    """Anything `tenants` refuses; each subclass is one fact."""


class AddressInvalid(TenantsError):
    """The text is no mail address (RFC 5321 §4.1.2)."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"{text!r} is not a mail address: {reason}")
        self.text = text
        self.reason = reason


class RecipientUnknown(TenantsError):
    """The domain is ours, and nobody has this local part."""

    def __init__(self, address: str) -> None:
        super().__init__(f"nobody here is called {address}")
        self.address = address


class DomainNotLocal(TenantsError):
    """The address belongs to a domain that this installation does not serve."""

    def __init__(self, domain: str) -> None:
        super().__init__(f"{domain} is not served here")
        self.domain = domain


class SenderNotWelcome(TenantsError):
    """The address is a group's, which takes mail of its own people only; `who` says of whom."""

    def __init__(self, address: str, who: str) -> None:
        super().__init__(f"{address} takes mail of its {who} only")
        self.address = address
        self.who = who


class ExpansionTooLarge(TenantsError):
    """The groups and forwardings behind an address reach too many others."""

    def __init__(self, address: str, limit: int) -> None:
        super().__init__(f"{address} reaches more than {limit} others")
        self.address = address
        self.limit = limit


class AccountSuspended(TenantsError):
    """The account exists and is suspended for now."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address} is suspended")
        self.address = address


class TenantSuspended(TenantsError):
    """The company exists and is suspended for now."""

    def __init__(self, address: str) -> None:
        super().__init__(f"the company of {address} is suspended")
        self.address = address


class DomainInvalid(TenantsError):
    """The text is no domain name we could serve (RFC 1035 §2.3.1, RFC 5890)."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"{text!r} is not a domain name: {reason}")
        self.text = text
        self.reason = reason


class TenantNotFound(TenantsError):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is no tenant {name}")
        self.name = name


class TenantExists(TenantsError):
    def __init__(self, slug: str) -> None:
        super().__init__(f"there is already a tenant {slug}")
        self.slug = slug


class DomainTaken(TenantsError):
    """The domain belongs to a tenant. That of a deleted tenant stays reserved until it is released."""

    def __init__(self, domain: str, *, is_reserved: bool) -> None:
        whose = "is reserved by a deleted tenant" if is_reserved else "belongs to a tenant already"
        super().__init__(f"{domain} {whose}")
        self.domain = domain
        self.is_reserved = is_reserved


class AccountNotFound(TenantsError):
    def __init__(self, address: str) -> None:
        super().__init__(f"nobody has the address {address}")
        self.address = address


class AccountDeleted(TenantsError):
    """A deleted account has to be restored first, while it can be."""

    def __init__(self, address: str) -> None:
        super().__init__(f"the account {address} was deleted")
        self.address = address


class TenantDeleted(TenantsError):
    def __init__(self, slug: str) -> None:
        super().__init__(f"the tenant {slug} was deleted")
        self.slug = slug


class AddressTaken(TenantsError):
    """The address belongs to an account. That of a deleted account stays reserved until it is released."""

    def __init__(self, address: str, *, is_reserved: bool) -> None:
        whose = "is reserved by a deleted account" if is_reserved else "belongs to an account already"
        super().__init__(f"{address} {whose}")
        self.address = address
        self.is_reserved = is_reserved


class StillInUse(TenantsError):
    """Only what was deleted can be released."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is in use; only what was deleted can be released")
        self.what = what


class AliasNotFound(TenantsError):
    def __init__(self, address: str, alias: str) -> None:
        super().__init__(f"{alias} is not an alias of {address}")
        self.address = address
        self.alias = alias


class PrimaryAddressProtected(TenantsError):
    """An account's primary address cannot be taken away like an alias."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address} is a primary address, not an alias")
        self.address = address


class GroupNotFound(TenantsError):
    def __init__(self, address: str) -> None:
        super().__init__(f"no group has the address {address}")
        self.address = address


class MemberNotFound(TenantsError):
    def __init__(self, address: str, member: str) -> None:
        super().__init__(f"{member} is not a member of {address}")
        self.address = address
        self.member = member


class ForwardingNotFound(TenantsError):
    def __init__(self, address: str, target: str) -> None:
        super().__init__(f"mail for {address} is not passed on to {target}")
        self.address = address
        self.target = target


class TooManyTargets(TenantsError):
    """A group has too many members, or an account is passed on to too many addresses."""

    def __init__(self, name: str, limit: int) -> None:
        super().__init__(f"{name} would have more than {limit}")
        self.name = name
        self.limit = limit


class GroupIsCatchAll(TenantsError):
    """A group that catches what nobody has in a domain is not deleted under it."""

    def __init__(self, address: str, domain: str) -> None:
        super().__init__(f"{address} is the catch-all of {domain}")
        self.address = address
        self.domain = domain


class DomainStandsForAnother(TenantsError):
    """The domain has no addresses of its own."""

    def __init__(self, domain: str, other: str) -> None:
        super().__init__(f"{domain} stands for {other}")
        self.domain = domain
        self.other = other


class DomainHasAddresses(TenantsError):
    """A domain can stand for another only while it is nothing itself."""

    def __init__(self, domain: str) -> None:
        super().__init__(f"{domain} has addresses, a catch-all or domains that stand for it")
        self.domain = domain


class AppPasswordExists(TenantsError):
    def __init__(self, address: str, name: str) -> None:
        super().__init__(f"{address} has an app password called {name} already")
        self.address = address
        self.name = name


class TooManyAppPasswords(TenantsError):
    def __init__(self, address: str, limit: int) -> None:
        super().__init__(f"{address} has {limit} app passwords already")
        self.address = address
        self.limit = limit


class AppPasswordNotFound(TenantsError):
    def __init__(self, address: str, name: str) -> None:
        super().__init__(f"{address} has no app password called {name}")
        self.address = address
        self.name = name


class PasskeyTaken(TenantsError):
    """The person has one of this name, or somebody this very one."""

    def __init__(self) -> None:
        super().__init__("there is such a passkey already")


class ScopesInvalid(TenantsError):
    def __init__(self) -> None:
        super().__init__("an app password is good for something")


class ExpiryInvalid(TenantsError):
    """The text is no day to come."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is not a day to come (such as 2030-12-31)")
        self.text = text


class BlocksUnreachable(TenantsError):
    """Where failed sign-ins are counted cannot be asked."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"failed sign-ins cannot be looked up: {reason}")
        self.reason = reason


class NetworkInvalid(TenantsError):
    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is not an IP address")
        self.text = text


class PasswordUnacceptable(TenantsError):
    def __init__(self, reason: str) -> None:
        super().__init__(f"the password cannot be used: {reason}")
        self.reason = reason


class LanguageUnknown(TenantsError):
    def __init__(self, language: str, known: tuple[str, ...]) -> None:
        super().__init__(f"{language!r} is not a language of this server ({', '.join(known)})")
        self.language = language
        self.known = known


class TimeZoneUnknown(TenantsError):
    def __init__(self, time_zone: str) -> None:
        super().__init__(f"{time_zone!r} is not a time zone (such as Asia/Shanghai)")
        self.time_zone = time_zone


class QuotaInvalid(TenantsError):
    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is not a quota (such as 5GiB, 500MB or none)")
        self.text = text


class DaysInvalid(TenantsError):
    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is not a number of days")
        self.text = text


class AccountNotDeleted(TenantsError):
    """Only a deleted account can be restored."""

    def __init__(self, address: str) -> None:
        super().__init__(f"the account {address} is not deleted")
        self.address = address


class AccountEnded(TenantsError):
    """The time in which a deleted account could be restored is over: its mail is gone."""

    def __init__(self, address: str) -> None:
        super().__init__(f"the account {address} was deleted too long ago")
        self.address = address


class ReasonMissing(TenantsError):
    """A legal hold says why."""

    def __init__(self) -> None:
        super().__init__("a legal hold needs a reason")


class FolderInvalid(TenantsError):
    r"""Not a mailbox name, nor a special use such as \Trash."""

    def __init__(self, folder: str) -> None:
        super().__init__(f"{folder!r} is not a folder a rule can be for")
        self.folder = folder


class RuleNotFound(TenantsError):
    def __init__(self, folder: str) -> None:
        super().__init__(f"there is no rule for {folder}")
        self.folder = folder


class NameInvalid(TenantsError):
    def __init__(self, reason: str) -> None:
        super().__init__(f"the name cannot be used: {reason}")
        self.reason = reason


class NameTaken(TenantsError):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is one called {name} already")
        self.name = name


class ProgramNotFound(TenantsError):
    """No program of this name or client id may ask people for access."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no program is called {name}")
        self.name = name


class RedirectInvalid(TenantsError):
    """Answers of OAuth 2 cannot be sent there: others could read them (RFC 8252 §7)."""

    def __init__(self, uri: str) -> None:
        super().__init__(f"{uri} is no place for a program's answers")
        self.uri = uri


class ImportRefused(TenantsError):
    """Nothing was imported, because of these rows."""

    def __init__(self, problems: Sequence[RowProblem]) -> None:
        super().__init__(f"{len(problems)} problems in the file; nobody was imported")
        self.problems = tuple(problems)
