"""What RCPT and sign-in ask of the directory: plain SQL on a connection they are given.

Neither knows a tenant yet, and the tables show nothing to a session without one, so these read through SECURITY DEFINER
functions (tenants/migrations/0002, 0003), which give one address's answer and nothing else.
"""

from dataclasses import dataclass
from typing import LiteralString

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row, scalar_row

from tenants.addresses import split_detail
from tenants.errors import AccountSuspended, DomainNotLocal, RecipientUnknown, TenantSuspended
from tenants.types import AccountId, Address, LoginRecord, Recipient, Status, TenantId

Connection = AsyncConnection[TupleRow]


@dataclass(frozen=True, slots=True)
class RecipientRow:
    tenant_id: int
    account_id: int | None
    tenant_status: str
    domain_status: str
    account_status: str | None
    quota_octets: int | None


@dataclass(frozen=True, slots=True)
class LoginRow:
    tenant_id: int
    account_id: int
    local_part: str
    domain: str
    display_name: str
    password_hash: str
    tenant_status: str
    domain_status: str
    account_status: str
    is_administrator: bool
    language: str
    time_zone: str
    quota_octets: int | None


RECIPIENT: LiteralString = """
SELECT tenant_id, account_id, tenant_status, domain_status, account_status, quota_octets
  FROM directory_recipient_v1(%(local_part)s, %(domain)s)
"""
POSTMASTER: LiteralString = """
SELECT tenant_id, account_id, tenant_status, domain_status, account_status, quota_octets
  FROM directory_postmaster_v1(%(domain)s)
"""
LOGIN: LiteralString = """
SELECT tenant_id, account_id, local_part, domain, display_name, password_hash, tenant_status, domain_status,
       account_status, is_administrator, language, time_zone, quota_octets
  FROM directory_login_v1(%(local_part)s, %(domain)s)
"""
SENDER_ADDRESSES: LiteralString = """
SELECT local_part || '@' || domain AS address
  FROM directory_sender_addresses_v1(%(tenant_id)s, %(account_id)s)
"""
REPLACE_HASH: LiteralString = """
SELECT directory_upgrade_password_v1(%(account_id)s, %(old_hash)s, %(new_hash)s)
"""


async def find_recipient(connection: Connection, address: Address) -> Recipient:
    """Whom mail to this address reaches; a detail after `+` is set aside.

    The postmaster of a domain is an administrator unless somebody has that address (RFC 5321 §4.5.1).

    Raises DomainNotLocal (also for a deleted domain or tenant), TenantSuspended (also for a suspended domain),
    RecipientUnknown (also for a deleted account), AccountSuspended.
    """
    person, detail = split_detail(address)
    async with connection.cursor(row_factory=class_row(RecipientRow)) as cursor:
        await cursor.execute(RECIPIENT, {"local_part": person.local_part, "domain": person.domain}, prepare=True)
        row = await cursor.fetchone()
        if row is not None and row.account_id is None and person.local_part == "postmaster":
            await cursor.execute(POSTMASTER, {"domain": person.domain})
            row = await cursor.fetchone() or row
    if row is None or Status.DELETED in (row.tenant_status, row.domain_status):
        raise DomainNotLocal(address.domain)
    if row.account_id is None or row.account_status == Status.DELETED:
        raise RecipientUnknown(str(address))
    if Status.SUSPENDED in (row.tenant_status, row.domain_status):
        raise TenantSuspended(str(address))
    if row.account_status == Status.SUSPENDED:
        raise AccountSuspended(str(address))
    return Recipient(TenantId(row.tenant_id), AccountId(row.account_id), person, detail, row.quota_octets)


async def find_login(connection: Connection, address: Address) -> LoginRecord | None:
    """What sign-in must know of the account with this address (any of its addresses, no detail); None if there is none.

    `address` of the record is the primary one. The caller judges the statuses; those of a domain count as the tenant's.
    """
    async with connection.cursor(row_factory=class_row(LoginRow)) as cursor:
        await cursor.execute(LOGIN, {"local_part": address.local_part, "domain": address.domain}, prepare=True)
        row = await cursor.fetchone()
    if row is None:
        return None
    return LoginRecord(
        tenant_id=TenantId(row.tenant_id),
        account_id=AccountId(row.account_id),
        address=Address(row.local_part, row.domain),
        display_name=row.display_name,
        password_hash=row.password_hash,
        tenant_status=_worse(Status(row.tenant_status), Status(row.domain_status)),
        account_status=Status(row.account_status),
        is_administrator=row.is_administrator,
        language=row.language,
        time_zone=row.time_zone,
        quota_octets=row.quota_octets,
    )


async def sender_addresses(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> frozenset[str]:
    """Every canonical address the account may send as; `may_send_as` adds the rule of details."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(SENDER_ADDRESSES, {"tenant_id": tenant_id, "account_id": account_id})
        return frozenset(await cursor.fetchall())


async def upgrade_password_hash(connection: Connection, record: LoginRecord, new_hash: str) -> bool:
    """Replace the hash that was just verified by one of today's cost. False if the password was changed meanwhile."""
    parameters = {"account_id": record.account_id, "old_hash": record.password_hash, "new_hash": new_hash}
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(REPLACE_HASH, parameters)
        return bool(await cursor.fetchone())


def _worse(one: Status, other: Status) -> Status:
    order = (Status.ACTIVE, Status.SUSPENDED, Status.DELETED)
    return max(one, other, key=order.index)
