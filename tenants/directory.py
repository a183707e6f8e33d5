"""What RCPT and sign-in ask of the directory: plain SQL on a connection they are given (`LOGIN` is run by
`storage.sign_in`).

Neither knows a tenant yet, and the tables show nothing to a session without one, so these read through SECURITY DEFINER
functions (tenants/migrations/0002, 0005, 0010), which give one address's answer and nothing else.
"""

from dataclasses import dataclass
from typing import LiteralString

from psycopg import AsyncConnection
from psycopg.errors import ProgramLimitExceeded
from psycopg.rows import TupleRow, scalar_row

from tenants.addresses import split_detail
from tenants.errors import DomainNotLocal, ExpansionTooLarge
from tenants.resolution import Edge, judge
from tenants.types import (
    AccountId,
    Address,
    AppPasswordRecord,
    Credential,
    LoginRecord,
    Resolution,
    Salting,
    Scope,
    ScramKeys,
    Status,
    TenantId,
)

Connection = AsyncConnection[TupleRow]

EXPANSION_LIMIT = 10_000  # addresses behind one: members of groups and targets of forwardings


@dataclass(frozen=True, slots=True)
class LoginRow:
    """A row of `directory_login_v3`; the lists are None without app passwords, else of one length and order."""

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
    app_passwords_only: bool
    scram_salt: bytes | None
    scram_iterations: int | None
    scram_stored_key: bytes | None
    scram_server_key: bytes | None
    app_ids: list[int] | None
    app_names: list[str] | None
    app_scopes: list[str] | None
    app_digests: list[bytes] | None
    app_stored_keys: list[bytes] | None
    app_server_keys: list[bytes] | None
    sign_in_epoch: int


RECIPIENT: LiteralString = """
SELECT source_account_id, source_group_id, written, asked_local_part, asked_domain, local_part, domain, tenant_id,
       tenant_status, domain_status, account_id, account_status, quota_octets, language, time_zone, keeps_copy,
       is_forwarding, group_id, group_address, group_owner, who_may_send
  FROM directory_recipient_v2(%(local_part)s, %(domain)s, %(limit)s)
"""
LOGIN: LiteralString = """
SELECT tenant_id, account_id, local_part, domain, display_name, password_hash, tenant_status, domain_status,
       account_status, is_administrator, language, time_zone, quota_octets, app_passwords_only, scram_salt,
       scram_iterations, scram_stored_key, scram_server_key, app_ids, app_names, app_scopes, app_digests,
       app_stored_keys, app_server_keys, sign_in_epoch
  FROM directory_login_v3(%(local_part)s, %(domain)s)
"""
SENDER_ADDRESSES: LiteralString = """
SELECT local_part || '@' || domain AS address
  FROM directory_sender_addresses_v2(%(tenant_id)s, %(account_id)s)
"""
STORE_SCRAM: LiteralString = """
SELECT directory_store_scram_v1(%(account_id)s, %(password_hash)s, %(salt)s, %(iterations)s, %(stored_key)s,
                                %(server_key)s)
"""
SOMEBODY_LACKS_SCRAM: LiteralString = "SELECT directory_somebody_lacks_scram_v1()"
NOTE_USE: LiteralString = """
SELECT directory_note_app_password_use_v1(%(id)s, %(network)s)
"""
REPLACE_HASH: LiteralString = """
SELECT directory_upgrade_password_v1(%(account_id)s, %(old_hash)s, %(new_hash)s)
"""


async def resolve(connection: Connection, address: Address) -> Resolution:
    """What mail to this address reaches, groups and forwardings followed to their ends (`resolution`).

    A detail after `+` is set aside. Where nobody has an address, the postmaster of a domain is an administrator
    (RFC 5321 §4.5.1), and then its catch-all has it.

    Raises DomainNotLocal (also for a deleted domain or tenant), TenantSuspended (also for a suspended domain),
    RecipientUnknown (also for a deleted account, and a group in which nobody is reached), AccountSuspended,
    ExpansionTooLarge.
    """
    plain, detail = split_detail(address)
    parameters = {"local_part": plain.local_part, "domain": plain.domain, "limit": EXPANSION_LIMIT}
    try:
        cursor = await connection.execute(RECIPIENT, parameters, prepare=True)
        edges = [Edge(*row) for row in await cursor.fetchall()]
    except ProgramLimitExceeded:
        raise ExpansionTooLarge(str(address), EXPANSION_LIMIT) from None
    return judge(address, edges, detail=detail)


async def tenant_of(connection: Connection, domain: str) -> TenantId:
    """Whose an A-label domain is. Raises DomainNotLocal (also for a deleted domain or tenant)."""
    cursor = await connection.execute(RECIPIENT, {"local_part": "", "domain": domain, "limit": 1}, prepare=True)
    row = await cursor.fetchone()
    if row is None:
        raise DomainNotLocal(domain)
    edge = Edge(*row)
    if edge.tenant_id is None or Status.DELETED in (edge.domain_status, edge.tenant_status):
        raise DomainNotLocal(domain)
    return TenantId(edge.tenant_id)


def login_record(row: LoginRow) -> LoginRecord:
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
        app_passwords_only=row.app_passwords_only,
        salting=None if row.scram_salt is None else Salting(row.scram_salt, row.scram_iterations or 0),
        scram=_scram_keys(row.scram_stored_key, row.scram_server_key),
        app_passwords=_app_passwords(row) if row.app_ids else (),
        sign_in_epoch=row.sign_in_epoch,
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


async def store_scram(
    connection: Connection, record: LoginRecord, password_hash: str, salting: Salting, keys: ScramKeys
) -> bool:
    """Keep SCRAM keys of the password whose hash this is. False if password or salting were changed meanwhile."""
    parameters = {
        "account_id": record.account_id,
        "password_hash": password_hash,
        "salt": salting.salt,
        "iterations": salting.iterations,
        "stored_key": keys.stored_key,
        "server_key": keys.server_key,
    }
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(STORE_SCRAM, parameters)
        return bool(await cursor.fetchone())


async def somebody_lacks_scram(connection: Connection) -> bool:
    """Whether there is an active account with a password of which nothing is kept for SCRAM."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(SOMEBODY_LACKS_SCRAM)
        return bool(await cursor.fetchone())


async def note_app_password_use(connection: Connection, app_password_id: int, network: str) -> None:
    """Written at most once an hour for one network."""
    await connection.execute(NOTE_USE, {"id": app_password_id, "network": network[:64]})


def _app_passwords(row: LoginRow) -> tuple[AppPasswordRecord, ...]:
    columns = (row.app_ids, row.app_names, row.app_scopes, row.app_digests, row.app_stored_keys, row.app_server_keys)
    return tuple(
        AppPasswordRecord(
            Credential(number, name, frozenset(Scope(each) for each in scopes.split())),
            digest,
            ScramKeys(stored_key, server_key),
        )
        for number, name, scopes, digest, stored_key, server_key in zip(*(each or () for each in columns), strict=True)
    )


def _scram_keys(stored_key: bytes | None, server_key: bytes | None) -> ScramKeys | None:
    return None if stored_key is None or server_key is None else ScramKeys(stored_key, server_key)


def _worse(one: Status, other: Status) -> Status:
    order = (Status.ACTIVE, Status.SUSPENDED, Status.DELETED)
    return max(one, other, key=order.index)


async def tenant_status(connection: Connection, tenant_id: TenantId) -> Status:
    """On a connection that carries the tenant. A tenant that only the mail store knows counts as active."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute("SELECT status FROM tenant WHERE id = %s", (tenant_id,), prepare=True)
        found = await cursor.fetchone()
    return Status.ACTIVE if found is None else Status(found)
