"""Who exists, as plain values: tenants, domains, accounts, and what an address resolves to."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

TenantId = NewType("TenantId", int)
DomainId = NewType("DomainId", int)
AccountId = NewType("AccountId", int)


class Status(StrEnum):
    """The life of a tenant, domain or account. A deleted one keeps its row, so its id is never given out again."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Address:
    """A canonical mail address: casefolded NFC local part, A-label domain (RFC 5321 §2.3.11, RFC 5890)."""

    local_part: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local_part}@{self.domain}"


@dataclass(frozen=True, slots=True)
class Target:
    """An address mail is passed on to. `written` keeps the case of the local part, which may mean something elsewhere
    (RFC 5321 §2.4)."""

    address: Address
    written: str


@dataclass(frozen=True, slots=True)
class Recipient:
    """An account that mail reaches. `quota_octets` None means unlimited; `detail` is the part after `+`, or empty.

    `group` is the address of the group through which it is reached, None if it is not; the rest as in `Principal`.
    """

    tenant_id: TenantId
    account_id: AccountId
    address: Address
    detail: str
    quota_octets: int | None
    language: str = "en"
    time_zone: str = "UTC"
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Forward:
    """An address of another system that mail is passed on to, as it is to be written (A-label domain).

    `through` is whose forwarding it is, `group` the address of the group it is a member of (either, or both: somebody
    in a group who forwards), `group_owner` who hears of a group's failures, empty if nobody.
    """

    address: str
    through: Recipient | None
    group: str | None = None
    group_owner: str = ""


class WhoMaySend(StrEnum):
    """Whose mail a group takes: of people who signed in where it is not ANYONE's, for an envelope can be forged."""

    ANYONE = "anyone"
    TENANT = "tenant"
    MEMBERS = "members"


@dataclass(frozen=True, slots=True)
class Posting:
    """The rule of a group that was written to. `members` are accounts, also those that pass everything on."""

    who: WhoMaySend
    tenant_id: TenantId
    members: frozenset[AccountId]


@dataclass(frozen=True, slots=True)
class Resolution:
    """What an address stands for, each account and outside address once. One of the two is never empty.

    `tenant_id` is that of the address; accounts of others may be among the recipients, as members of a group.
    """

    tenant_id: TenantId
    recipients: tuple[Recipient, ...]
    elsewhere: tuple[Forward, ...] = ()
    posting: Posting | None = None


class Scope(StrEnum):
    """What an app password is good for; a person's own password is good for all."""

    IMAP = "imap"
    POP = "pop"
    SMTP = "smtp"
    JMAP = "jmap"


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What SCRAM-SHA-256 keeps of one password, made with its account's salting (RFC 5802 §3)."""

    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Salting:
    """What SCRAM tells the client before it shows a password; all passwords of an account share it."""

    salt: bytes
    iterations: int


@dataclass(frozen=True, slots=True)
class TokenBorne:
    """A bearer token that somebody came with; of the leave `grant_id`, or None: one that the person made."""

    id: int
    grant_id: int | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Credential:
    """Which password or token somebody came with. With neither it is their own, which is good for everything."""

    app_password_id: int | None = None
    name: str = ""
    scopes: frozenset[Scope] = frozenset(Scope)
    token: TokenBorne | None = None


OWN_PASSWORD = Credential()


@dataclass(frozen=True, slots=True)
class AppPasswordRecord:
    """An app password that has not expired; `digest` is what `app_password_digest` makes of it."""

    credential: Credential
    digest: bytes = field(repr=False)
    scram: ScramKeys


@dataclass(frozen=True, slots=True)
class LoginRecord:
    """All that a sign-in must know of an account, read in one query; `password_hash` is argon2id in PHC form.

    `salting` is None until a password was kept for SCRAM; `scram` is of the account's own password of today.
    `app_passwords_only` holds for everybody who has a second factor, too.
    """

    tenant_id: TenantId
    account_id: AccountId
    address: Address
    display_name: str
    password_hash: str
    tenant_status: Status
    account_status: Status
    is_administrator: bool
    language: str
    time_zone: str
    quota_octets: int | None
    app_passwords_only: bool = False
    salting: Salting | None = None
    scram: ScramKeys | None = None
    app_passwords: tuple[AppPasswordRecord, ...] = ()
    sign_in_epoch: int = 0


@dataclass(frozen=True, slots=True)
class Principal:
    """A person who has signed in: whom a session acts as. `language` is a BCP 47 tag, `time_zone` an IANA name.

    What was signed in in an earlier `sign_in_epoch` than the account's of today is over (`services.endings`).
    """

    tenant_id: TenantId
    account_id: AccountId
    address: Address
    display_name: str
    language: str
    time_zone: str
    quota_octets: int | None
    is_administrator: bool
    credential: Credential = OWN_PASSWORD
    sign_in_epoch: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """Failed sign-ins counted lately. `network` is None for those from networks where the person never signed in."""

    network: str | None
    failures: int
    refused_for_s: float
