"""Who exists, as plain values: tenants, domains, accounts, and what an address resolves to."""

from dataclasses import dataclass
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
class Recipient:
    """What RCPT resolved to. `quota_octets` None means unlimited; `detail` is the part after `+`, or empty."""

    tenant_id: TenantId
    account_id: AccountId
    address: Address
    detail: str
    quota_octets: int | None


@dataclass(frozen=True, slots=True)
class LoginRecord:
    """All that a sign-in must know of an account, read in one query; `password_hash` is argon2id in PHC form."""

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


@dataclass(frozen=True, slots=True)
class Principal:
    """A person who has signed in: whom a session acts as. `language` is a BCP 47 tag, `time_zone` an IANA name."""

    tenant_id: TenantId
    account_id: AccountId
    address: Address
    display_name: str
    language: str
    time_zone: str
    quota_octets: int | None
    is_administrator: bool
