"""As whom people write (RFC 8621 §6): rows of `identity`, one for each address of an account, and more that they made.

Every change takes a modseq of the account and moves the state of the type. What is destroyed stays as a tombstone, for
whoever asks what changed, until the log of the account no longer reaches back to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.query import Connection, Query
from storage.types import IdentityId, Modseq
from tenants.types import AccountId, TenantId

TYPE_NAME = "Identity"


@dataclass(frozen=True, slots=True)
class Identity:
    """`reply_to` and `bcc` are JSON; `is_of_address`: it is there as long as the address is."""

    id: int
    email: str
    name: str
    reply_to: str | None
    bcc: str | None
    text_signature: str
    html_signature: str
    is_of_address: bool


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """The last change of a row, and when it was made."""

    id: int
    modseq: int
    created_modseq: int
    is_destroyed: bool


@dataclass(frozen=True, slots=True)
class _Id:
    id: int


_COLUMNS = "id, email, name, reply_to, bcc, text_signature, html_signature, is_of_address"
_ALL = Query(
    f"""
    SELECT {_COLUMNS} FROM identity
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND account_id = %(account_id)s AND NOT is_destroyed
     ORDER BY id
    """,  # noqa: S608 - our own column list
    row=Identity,
)
_CHANGED = Query(
    """
    SELECT id, modseq, created_modseq, is_destroyed FROM identity
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND account_id = %(account_id)s AND modseq > %(since)s
     ORDER BY modseq, id
    """,
    row=ChangedRow,
)
_INSERT = Query(
    """
    INSERT INTO identity (
        tenant_id, account_id, email, name, reply_to, bcc, text_signature, html_signature, is_of_address,
        created_modseq, modseq)
    VALUES (waypost_tenant(%(tenant_id)s), %(account_id)s, %(email)s, %(name)s, %(reply_to)s, %(bcc)s,
            %(text_signature)s, %(html_signature)s, %(is_of_address)s, %(modseq)s, %(modseq)s)
    RETURNING id
    """,
    row=_Id,
)
_UPDATE = Query[None](
    """
    UPDATE identity
       SET name = %(name)s, reply_to = %(reply_to)s, bcc = %(bcc)s, text_signature = %(text_signature)s,
           html_signature = %(html_signature)s, modseq = %(modseq)s
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id = %(id)s
       AND NOT is_destroyed
    """
)
_DESTROY = Query[None](
    """
    UPDATE identity SET is_destroyed = true, modseq = %(modseq)s, reply_to = NULL, bcc = NULL, text_signature = '',
                        html_signature = '', name = ''
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id = ANY (%(ids)s)
       AND NOT is_destroyed
    """
)
_FORGET = Query[None](
    """
    DELETE FROM identity i USING account_state a
     WHERE i.is_destroyed AND a.tenant_id = i.tenant_id AND a.account_id = i.account_id AND i.modseq < a.oldest_modseq
    """,
    role="waypost_system",
    scans=["identity", "account_state"],  # few have any
)


async def identities(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> list[Identity]:
    """Those that are there, oldest first."""
    return await _ALL.all(connection, tenant_id=tenant_id, account_id=account_id)


async def changed(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, since: Modseq
) -> list[ChangedRow]:
    """In the order of their last changes."""
    return await _CHANGED.all(connection, tenant_id=tenant_id, account_id=account_id, since=since)


async def insert(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, identity: Identity, modseq: Modseq
) -> IdentityId:
    """The id that it has is not looked at."""
    row = await _INSERT.one(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        email=identity.email,
        name=identity.name,
        reply_to=identity.reply_to,
        bcc=identity.bcc,
        text_signature=identity.text_signature,
        html_signature=identity.html_signature,
        is_of_address=identity.is_of_address,
        modseq=modseq,
    )
    return IdentityId(row.id)


async def update(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, identity: Identity, modseq: Modseq
) -> bool:
    """All but its address. False: it is not there."""
    touched = await _UPDATE.execute(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        id=identity.id,
        name=identity.name,
        reply_to=identity.reply_to,
        bcc=identity.bcc,
        text_signature=identity.text_signature,
        html_signature=identity.html_signature,
        modseq=modseq,
    )
    return touched > 0


async def destroy(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, ids: Sequence[int], modseq: Modseq
) -> None:
    await _DESTROY.execute(connection, tenant_id=tenant_id, account_id=account_id, ids=list(ids), modseq=modseq)


async def forget_destroyed(connection: Connection) -> int:
    """Upkeep, on a `system` connection: tombstones that no state reaches back to. Returns how many went."""
    return await _FORGET.execute(connection)
