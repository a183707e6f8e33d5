"""Rows that name what is not there. No foreign keys guard the mail tables, for they would lock the busiest rows.

Each table is leapt through by its key, from one account or mailbox to the next, so that this costs as much as there are
of these, not as there is mail.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from storage.keys import TenantKeys
from storage.query import Query
from storage.verification.findings import Finding, Kind
from storage.verification.ground import Ground
from tenants.types import AccountId, TenantId

_PAGE = 2000


@dataclass(frozen=True, slots=True)
class _Next:
    id: int


@dataclass(frozen=True, slots=True)
class _Count:
    count: int


@dataclass(frozen=True, slots=True)
class _Use:
    message_id: int
    is_placed: bool


def _next_account(table: str) -> "Query[_Next]":
    return Query(
        f"""
        SELECT t.account_id AS id FROM {table} t
         WHERE t.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND t.account_id > %(after)s
         ORDER BY t.account_id LIMIT 1
        """,  # noqa: S608 - our own tables
        row=_Next,
    )


_NEXT_ACCOUNT = {
    table: _next_account(table) for table in ("mailbox", "message", "thread_reference", "recoverable", "account_state")
}
_NEXT_MAILBOX = Query(
    """
    SELECT p.mailbox_id AS id FROM placement p
     WHERE p.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND p.mailbox_id > %(after)s
     ORDER BY p.mailbox_id LIMIT 1
    """,
    row=_Next,
)
_STATES = Query(
    """
    SELECT count(*) AS count FROM account_state a
     WHERE a.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND a.account_id = %(id)s
    """,
    row=_Count,
)
_MAILBOXES = Query(
    """
    SELECT count(*) AS count FROM mailbox m
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND m.id = %(id)s
    """,
    row=_Count,
)
_USES = Query(
    """
    SELECT u.message_id,
           (SELECT 1 FROM placement p WHERE p.tenant_id = u.tenant_id AND p.message_id = u.message_id LIMIT 1)
               IS NOT NULL AS is_placed
      FROM message_blob u
     WHERE u.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND u.message_id > %(after)s AND u.ordinal = 0
     ORDER BY u.message_id LIMIT %(limit)s
    """,
    row=_Use,
)
_BINNED = Query(
    """
    SELECT r.message_id AS id FROM recoverable r
     WHERE r.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND r.message_id = ANY (%(message_ids)s)
    """,
    row=_Next,
)
_MESSAGES = Query(
    """
    SELECT count(*) AS count FROM message m
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND m.account_id = %(account_id)s AND m.id = %(id)s
    """,
    row=_Count,
)
_STILL_USED = Query(
    """
    SELECT count(*) AS count FROM message_blob u
     WHERE u.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND u.message_id = %(id)s
    """,
    row=_Count,
)


async def accounts_of(ground: Ground, tenant_id: TenantId, after: int = 0) -> AsyncIterator[AccountId]:
    """Every account that has a state, by id."""
    async for found in _leap(ground, tenant_id, _NEXT_ACCOUNT["account_state"], after):
        yield AccountId(found)


async def verify_references(ground: Ground, keys: TenantKeys) -> None:
    for table, query in _NEXT_ACCOUNT.items():
        if table != "account_state":
            await _accounts_without_state(ground, keys, table, query)
    async for mailbox_id in _leap(ground, keys.tenant_id, _NEXT_MAILBOX, 0):
        if not await _is_there(ground, keys, _MAILBOXES, mailbox_id) and await _is_next(
            ground, keys, _NEXT_MAILBOX, mailbox_id
        ):
            ground.report.add(Finding(Kind.MAILBOX_WITHOUT_ROW, keys.tenant_id, {"mailbox": mailbox_id}))
    if ground.choice.slice.is_whole:
        await _uses_without_message(ground, keys)


async def _accounts_without_state(ground: Ground, keys: TenantKeys, table: str, query: "Query[_Next]") -> None:
    async for account_id in _leap(ground, keys.tenant_id, query, 0):
        if not await _is_there(ground, keys, _STATES, account_id) and await _is_next(ground, keys, query, account_id):
            finding = Finding(Kind.ACCOUNT_WITHOUT_STATE, keys.tenant_id, {"table": table}, AccountId(account_id))
            ground.report.add(finding)


async def _leap(ground: Ground, tenant_id: TenantId, query: "Query[_Next]", after: int) -> AsyncIterator[int]:
    while True:
        async with ground.database.read(tenant_id) as connection:
            found = await query.first(connection, tenant_id=tenant_id, after=after)
        if found is None:
            return
        yield found.id
        after = found.id


async def _is_there(ground: Ground, keys: TenantKeys, query: "Query[_Count]", number: int) -> bool:
    async with ground.database.read(keys.tenant_id) as connection:
        return (await query.one(connection, tenant_id=keys.tenant_id, id=number)).count > 0


async def _is_next(ground: Ground, keys: TenantKeys, query: "Query[_Next]", number: int) -> bool:
    """The second look: whether a row still names it, now that what it names was found missing."""
    async with ground.database.read(keys.tenant_id) as connection:
        found = await query.first(connection, tenant_id=keys.tenant_id, after=number - 1)
    return found is not None and found.id == number


async def _uses_without_message(ground: Ground, keys: TenantKeys) -> None:
    """Blobs that are kept for a message which is not there."""
    after = 0
    while True:
        async with ground.database.read(keys.tenant_id) as connection:
            uses = await _USES.all(connection, tenant_id=keys.tenant_id, after=after, limit=_PAGE)
            unplaced = [use.message_id for use in uses if not use.is_placed]
            binned = await _BINNED.all(connection, tenant_id=keys.tenant_id, message_ids=unplaced) if unplaced else []
        for message_id in sorted(set(unplaced) - {each.id for each in binned}):
            if await _is_of_nobody(ground, keys, message_id):
                values: dict[str, object] = {"message": message_id}
                ground.report.add(Finding(Kind.BLOB_USE_WITHOUT_MESSAGE, keys.tenant_id, values))
        if len(uses) < _PAGE:
            return
        after = uses[-1].message_id


async def _is_of_nobody(ground: Ground, keys: TenantKeys, message_id: int) -> bool:
    """No index leads from a message's number to its account, so each account is asked; this is rare."""
    async for account_id in accounts_of(ground, keys.tenant_id):
        async with ground.database.read(keys.tenant_id) as connection:
            found = await _MESSAGES.one(connection, tenant_id=keys.tenant_id, account_id=account_id, id=message_id)
        if found.count:
            return False
    return await _is_there(ground, keys, _STILL_USED, message_id)
