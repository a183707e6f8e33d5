"""Passkeys in the directory: public keys by the id that an authenticator knows them by."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.errors import UniqueViolation

from storage.query import Connection, Query
from tenants.errors import PasskeyTaken
from tenants.types import AccountId, Principal, TenantId


@dataclass(frozen=True, slots=True)
class KeptPasskey:
    id: int
    credential_id: bytes
    public_key: bytes
    sign_count: int
    rp_id: str
    transports: str
    is_backed_up: bool
    name: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewPasskey:
    credential_id: bytes
    public_key: bytes
    sign_count: int
    rp_id: str
    transports: str
    is_backed_up: bool
    name: str


@dataclass(frozen=True, slots=True)
class _Owner:
    tenant_id: int | None
    account_id: int | None


_OWNER = Query("SELECT tenant_id, account_id FROM directory_passkey_v1(%(credential_id)s)", row=_Owner)
_LIST = Query(
    """
    SELECT id, credential_id, public_key, sign_count, rp_id::text, transports::text, is_backed_up, name::text,
           created_at, last_used_at
      FROM passkey
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s
     ORDER BY id
    """,
    row=KeptPasskey,
)
_INSERT: Query[Any] = Query(
    """
    INSERT INTO passkey (tenant_id, account_id, credential_id, public_key, sign_count, rp_id, transports, is_backed_up,
                         name)
    VALUES (waypost_tenant(%(tenant_id)s), %(account_id)s, %(credential_id)s, %(public_key)s, %(sign_count)s,
            %(rp_id)s, %(transports)s, %(is_backed_up)s, %(name)s)
    """
)
_USE: Query[Any] = Query(
    """
    UPDATE passkey SET sign_count = %(sign_count)s, last_used_at = now(), last_challenge_at = %(challenge_at)s
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND id = %(id)s AND sign_count = %(old_count)s
       AND (last_challenge_at IS NULL OR last_challenge_at < %(challenge_at)s)
    """
)
_RENAME: Query[Any] = Query(
    """
    UPDATE passkey SET name = %(name)s
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id = %(id)s
    """
)
_DELETE: Query[Any] = Query(
    """
    DELETE FROM passkey
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id = %(id)s
    """
)


async def owner_of_passkey(connection: Connection, credential_id: bytes) -> tuple[TenantId, AccountId] | None:
    row = await _OWNER.first(connection, credential_id=credential_id)
    if row is None or row.tenant_id is None or row.account_id is None:
        return None
    return TenantId(row.tenant_id), AccountId(row.account_id)


async def list_passkeys(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> Sequence[KeptPasskey]:
    """The oldest first."""
    return await _LIST.all(connection, tenant_id=tenant_id, account_id=account_id)


async def insert_passkey(connection: Connection, who: Principal, new: NewPasskey) -> None:
    """Raises PasskeyTaken."""
    try:
        await _INSERT.execute(
            connection,
            tenant_id=who.tenant_id,
            account_id=who.account_id,
            credential_id=new.credential_id,
            public_key=new.public_key,
            sign_count=new.sign_count,
            rp_id=new.rp_id,
            transports=new.transports,
            is_backed_up=new.is_backed_up,
            name=new.name,
        )
    except UniqueViolation:
        raise PasskeyTaken from None


async def use_passkey(
    connection: Connection, tenant_id: TenantId, used: KeptPasskey, *, sign_count: int, challenge_at: datetime
) -> bool:
    """False: it was used meanwhile, with a challenge as late as this one; so this is the same answer once more."""
    return bool(
        await _USE.execute(
            connection,
            tenant_id=tenant_id,
            id=used.id,
            sign_count=sign_count,
            old_count=used.sign_count,
            challenge_at=challenge_at,
        )
    )


async def rename_passkey(connection: Connection, who: Principal, passkey_id: int, name: str) -> bool:
    """Raises PasskeyTaken."""
    try:
        return bool(
            await _RENAME.execute(
                connection, tenant_id=who.tenant_id, account_id=who.account_id, id=passkey_id, name=name
            )
        )
    except UniqueViolation:
        raise PasskeyTaken from None


async def delete_passkey(connection: Connection, who: Principal, passkey_id: int) -> bool:
    return bool(await _DELETE.execute(connection, tenant_id=who.tenant_id, account_id=who.account_id, id=passkey_id))
