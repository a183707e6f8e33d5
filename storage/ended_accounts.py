"""Accounts whose recovery window is over: their mail is deleted, in chunks. Octets go with the next collection.

`directory_end_accounts_v1` says which: from then on nobody restores them. Under legal hold none ends, and one that is
half deleted stays as it is.
"""

from dataclasses import dataclass

from storage.database import Database
from storage.query import Connection, Query
from tenants.policies import account_is_gone, end_accounts, keeping_of
from tenants.types import AccountId, TenantId

CHUNK_ROWS = 500


@dataclass(frozen=True, slots=True)
class _Rows:
    rows: int


_FORGET = Query("SELECT forget_account_v1(%(tenant_id)s, %(account_id)s, %(limit)s) AS rows", row=_Rows)


async def delete_ended_accounts(database: Database, *, chunk_rows: int = CHUNK_ROWS) -> int:
    """Returns how many accounts it deleted the mail of.

    One is done with when nothing of it is found: mail that was on its way when it was deleted may come late.
    """
    async with database.system() as connection:
        ended = await end_accounts(connection)
    deleted = 0
    for tenant_id, account_id in ended:
        rows, is_whole = await _delete(database, tenant_id, account_id, chunk_rows)
        if not is_whole:
            continue
        if rows:
            deleted += 1
        else:
            async with database.system() as connection:
                await account_is_gone(connection, account_id)
    return deleted


async def _delete(database: Database, tenant_id: TenantId, account_id: AccountId, chunk_rows: int) -> tuple[int, bool]:
    """How many rows went, and whether none is left: a hold may have come."""

    async def forget() -> int | None:
        async with database.transaction(tenant_id) as connection:
            if (await keeping_of(connection, tenant_id, account_id)).is_held:
                return None
            return await _forget(connection, tenant_id, account_id, chunk_rows)

    deleted = 0
    while True:
        rows = await database.retried(forget)
        if not rows:
            return deleted, rows is not None
        deleted += rows


async def _forget(connection: Connection, tenant_id: TenantId, account_id: AccountId, limit: int) -> int:
    row = await _FORGET.one(connection, tenant_id=tenant_id, account_id=account_id, limit=limit)
    return row.rows
