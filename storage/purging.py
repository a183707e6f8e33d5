"""What leaves the bin for good: what lay there for as long as the tenant keeps it, and what an account has too much of.

Nothing under legal hold does, of a tenant or of an account, nor of a deleted account, which comes back as it was. That
is looked at anew for every chunk. Each chunk is a transaction of its own, so this can be stopped anywhere, and run by
several processes at once.
"""

from collections import defaultdict
from datetime import UTC, datetime

from storage import recoverable
from storage.database import Database
from storage.recoverable import CEILING_MESSAGES, Binned
from storage.types import MessageId
from tenants.policies import account_limits, frozen_accounts, keeping_of, policy_of
from tenants.types import AccountId, TenantId

_FIRST = (datetime(1970, 1, 1, tzinfo=UTC), 0)


async def purge_due(database: Database) -> int:
    """Delete what lay in the bin for as long as its tenant keeps it; returns how many messages."""
    async with database.system() as connection:
        binned = await recoverable.all_binned(connection)
    purged = 0
    for tenant_id in sorted({each.tenant_id for each in binned}):
        purged += await _purge_tenant(database, TenantId(tenant_id))
    return purged


async def _purge_tenant(database: Database, tenant_id: TenantId) -> int:
    purged = 0
    after = _FIRST
    while True:
        async with database.read(tenant_id) as connection:
            policy = await policy_of(connection, tenant_id)
            if policy.is_held:
                return purged
            found = await recoverable.due(
                connection,
                tenant_id,
                days=policy.recoverable_days,
                frozen=await frozen_accounts(connection, tenant_id),
                after=after,
            )
        if not found:
            return purged
        after = (found[-1].expunged_at, found[-1].message_id)
        by_account: dict[AccountId, list[MessageId]] = defaultdict(list)
        for each in found:
            by_account[AccountId(each.account_id)].append(MessageId(each.message_id))
        for account_id, message_ids in sorted(by_account.items()):
            purged += await _purge(database, tenant_id, account_id, message_ids)


async def trim_bins(database: Database, *, ceiling_messages: int = CEILING_MESSAGES) -> int:
    """Delete the oldest of what accounts have in the bin beyond that many messages, or beyond their quota; returns how
    many messages. Between two runs an account may have more."""
    async with database.system() as connection:
        binned = await recoverable.all_binned(connection)
        limits = {
            tenant: await account_limits(connection, TenantId(tenant)) for tenant in {e.tenant_id for e in binned}
        }
    trimmed = 0
    for each in binned:
        limit = limits[each.tenant_id].get(AccountId(each.account_id))
        if limit is None or not limit.is_deleted:
            trimmed += await _trim(database, each, limit.quota_octets if limit else None, ceiling_messages)
    return trimmed


async def _trim(database: Database, binned: Binned, quota_octets: int | None, ceiling_messages: int) -> int:
    tenant_id, account_id = TenantId(binned.tenant_id), AccountId(binned.account_id)
    now: Binned | None = binned
    trimmed = 0
    while now is not None and any(each > 0 for each in _surplus(now, quota_octets, ceiling_messages)):
        async with database.read(tenant_id) as connection:
            if (await keeping_of(connection, tenant_id, account_id)).is_held:
                break
            oldest = await recoverable.oldest(connection, tenant_id, account_id)
            now = await recoverable.binned_of(connection, tenant_id, account_id)  # somebody may have restored some
        if now is None:
            break
        too_many, too_much = _surplus(now, quota_octets, ceiling_messages)
        chosen: list[MessageId] = []
        for message_id, octets in oldest:
            if too_many <= 0 and too_much <= 0:
                break
            chosen.append(message_id)
            too_many -= 1
            too_much -= octets
        if not chosen:
            break
        trimmed += await _purge(database, tenant_id, account_id, chosen)
    return trimmed


def _surplus(binned: Binned, quota_octets: int | None, ceiling_messages: int) -> tuple[int, int]:
    """Messages and octets beyond what an account may have in the bin; none if not above 0."""
    too_much = 0 if quota_octets is None else binned.binned_octets - quota_octets
    return binned.binned_messages - ceiling_messages, too_much


async def _purge(database: Database, tenant_id: TenantId, account_id: AccountId, message_ids: list[MessageId]) -> int:
    async def purge() -> int:
        async with database.transaction(tenant_id) as connection:
            return await recoverable.purge(connection, tenant_id, account_id, message_ids)

    return await database.retried(purge)
