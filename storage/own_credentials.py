"""What people change of their own passwords in the directory, as the application's role."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.errors import UniqueViolation

from storage.person_rows import PersonRow
from storage.query import Connection, Query
from tenants.errors import AppPasswordExists
from tenants.types import AccountId, Principal, Salting, ScramKeys, Status, TenantId


@dataclass(frozen=True, slots=True)
class ListedAppPassword:
    """`scopes` are words with spaces between."""

    id: int
    name: str
    scopes: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    last_used_network: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What a person's own password is good for; more than one thing may say that it is not for mail programs."""

    password_changed_at: datetime
    app_passwords_only: bool


@dataclass(frozen=True, slots=True)
class _Is:
    done: bool | None


@dataclass(frozen=True, slots=True)
class _Salting:
    salt: bytes | None
    iterations: int | None


@dataclass(frozen=True, slots=True)
class _Person(PersonRow):
    status: str
    tenant_status: str
    domain_status: str


_CHANGE_PASSWORD = Query(
    """
    SELECT directory_change_password_v1(
        waypost_tenant(%(tenant_id)s), %(account_id)s, %(old_hash)s, %(new_hash)s) AS done
    """,
    row=_Is,
)
_STORE_SCRAM = Query(
    """
    SELECT directory_store_scram_v1(%(account_id)s, %(password_hash)s, %(salt)s, %(iterations)s, %(stored_key)s,
                                    %(server_key)s) AS done
    """,
    row=_Is,
)
_SALTING = Query(
    """
    SELECT salt, iterations
      FROM directory_salting_v1(waypost_tenant(%(tenant_id)s), %(account_id)s, %(salt)s, %(iterations)s)
    """,
    row=_Salting,
)
_APP_PASSWORDS = Query(
    """
    SELECT id, name::text, scopes::text, created_at, expires_at, last_used_at, last_used_network::text
      FROM app_password
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s
     ORDER BY id
    """,
    row=ListedAppPassword,
)
_INSERT: Query[Any] = Query(
    """
    INSERT INTO app_password (tenant_id, account_id, name, scopes, digest, scram_stored_key, scram_server_key)
    VALUES (waypost_tenant(%(tenant_id)s), %(account_id)s, %(name)s, %(scopes)s, %(digest)s, %(stored_key)s,
            %(server_key)s)
    """
)
_DELETE: Query[Any] = Query(
    """
    DELETE FROM app_password
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id = %(id)s
    """
)
_STANDING = Query(
    """
    SELECT password_changed_at, app_passwords_only FROM account
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND id = %(account_id)s
    """,
    row=Standing,
)
_PERSON = Query(
    """
    SELECT c.tenant_id, c.id AS account_id, a.local_part::text, d.name::text AS domain, c.display_name::text,
           c.language::text, c.time_zone::text, c.quota_octets, c.is_administrator, c.sign_in_epoch,
           c.status::text, t.status::text AS tenant_status, d.status::text AS domain_status
      FROM account c
      JOIN tenant t ON t.id = c.tenant_id
      JOIN address a ON a.account_id = c.id AND a.is_primary
      JOIN domain d ON d.id = a.domain_id
     WHERE c.tenant_id = waypost_tenant(%(tenant_id)s) AND c.id = %(account_id)s
    """,
    row=_Person,
)


async def standing_of(connection: Connection, who: Principal) -> Standing:
    return await _STANDING.one(connection, tenant_id=who.tenant_id, account_id=who.account_id)


async def find_person(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> Principal | None:
    """Somebody who may sign in now; None for who may not."""
    row = await _PERSON.first(connection, tenant_id=tenant_id, account_id=account_id)
    if row is None or {row.status, row.tenant_status, row.domain_status} != {Status.ACTIVE.value}:
        return None
    return row.principal()


async def change_password(connection: Connection, who: Principal, old_hash: str, new_hash: str) -> bool:
    """False: it was changed meanwhile."""
    row = await _CHANGE_PASSWORD.one(
        connection, tenant_id=who.tenant_id, account_id=who.account_id, old_hash=old_hash, new_hash=new_hash
    )
    return bool(row.done)


async def keep_for_scram(
    connection: Connection, who: Principal, password_hash: str, salting: Salting, keys: ScramKeys
) -> None:
    await _STORE_SCRAM.one(
        connection,
        account_id=who.account_id,
        password_hash=password_hash,
        salt=salting.salt,
        iterations=salting.iterations,
        stored_key=keys.stored_key,
        server_key=keys.server_key,
    )


async def salting_of(connection: Connection, who: Principal, fresh: Salting) -> Salting:
    """That of the account; `fresh` if it has none. Locks the account until the end of the transaction."""
    row = await _SALTING.one(
        connection,
        tenant_id=who.tenant_id,
        account_id=who.account_id,
        salt=fresh.salt,
        iterations=fresh.iterations,
    )
    assert row.salt is not None
    assert row.iterations is not None
    return Salting(row.salt, row.iterations)


async def list_app_passwords(connection: Connection, who: Principal) -> Sequence[ListedAppPassword]:
    """The oldest first."""
    return await _APP_PASSWORDS.all(connection, tenant_id=who.tenant_id, account_id=who.account_id)


async def insert_app_password(
    connection: Connection, who: Principal, *, name: str, scopes: str, digest: bytes, keys: ScramKeys
) -> None:
    """Raises AppPasswordExists."""
    try:
        await _INSERT.execute(
            connection,
            tenant_id=who.tenant_id,
            account_id=who.account_id,
            name=name,
            scopes=scopes,
            digest=digest,
            stored_key=keys.stored_key,
            server_key=keys.server_key,
        )
    except UniqueViolation:
        raise AppPasswordExists(str(who.address), name) from None


async def delete_app_password(connection: Connection, who: Principal, app_password_id: int) -> bool:
    """False when the person has no such app password."""
    return bool(
        await _DELETE.execute(connection, tenant_id=who.tenant_id, account_id=who.account_id, id=app_password_id)
    )
