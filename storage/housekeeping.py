"""What upkeep does to the tables: partitions ahead, content nobody uses, mailboxes half deleted, replays no longer
possible.

Work lists are read as waypost_system, across tenants; the work itself is done as the tenant.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.blobs.hot import HotBlobs
from storage.database import Database
from storage.errors import KeyUnusable
from storage.flags import expunge
from storage.keys import KeyRing
from storage.query import Query
from storage.types import BlobDigest, MailboxId
from tenants.policies import keeping_of
from tenants.types import AccountId, TenantId

WEEKS_AHEAD = 5
REPLAY_DAYS = 14
LOOKED_AT_AT_ONCE = 10_000
DELETED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class _Made:
    partitions: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    tenant_id: int
    digest: bytes
    is_unused: bool


@dataclass(frozen=True, slots=True)
class _Tombstone:
    tenant_id: int
    account_id: int
    id: int


_MAKE_PARTITIONS = Query(
    "SELECT make_week_partitions_v1(CURRENT_DATE, %(weeks)s) AS partitions", row=_Made, role="waypost_system"
)
_LOOKED_AT = Query(
    """
    WITH looked AS MATERIALIZED (
        SELECT b.tenant_id, b.digest, b.touched_at FROM blob b
         WHERE (b.tenant_id, b.digest) > (%(tenant_id)s, %(digest)s)
         ORDER BY b.tenant_id, b.digest LIMIT %(limit)s
    )
    SELECT l.tenant_id, l.digest, true AS is_unused FROM looked l
     WHERE l.touched_at < now() - make_interval(secs => %(grace_s)s)
       -- not NOT EXISTS: that becomes a merge join, which reads message_blob from its beginning for every page
       AND (SELECT 1 FROM message_blob u WHERE u.tenant_id = l.tenant_id AND u.digest = l.digest LIMIT 1) IS NULL
     UNION ALL
    (SELECT l.tenant_id, l.digest, false FROM looked l ORDER BY l.tenant_id DESC, l.digest DESC LIMIT 1)
    """,
    row=_Candidate,
    role="waypost_system",
)
_HALF_DELETED = Query(
    """
    SELECT tenant_id, account_id, id FROM mailbox
     WHERE deleted_at IS NOT NULL AND messages > 0 LIMIT %(limit)s
    """,
    row=_Tombstone,
    role="waypost_system",
    scans=["mailbox"],
)
_FORGET_REPLAYS = Query[None](
    """
    DELETE FROM inbound_placed p
     WHERE p.placed_on < CURRENT_DATE - %(days)s::integer
       AND NOT EXISTS (SELECT FROM inbound i WHERE i.id = p.inbound_id)
    """,
    role="waypost_system",
    scans=["inbound_placed", "inbound"],
)


async def make_partitions(database: Database) -> int:
    """Make the partitions of the coming weeks; returns how many were missing."""
    async with database.system() as connection:
        return (await _MAKE_PARTITIONS.one(connection, weeks=WEEKS_AHEAD)).partitions


async def collect_blobs(database: Database, keys: KeyRing, blobs: HotBlobs, *, page: int = LOOKED_AT_AT_ONCE) -> int:
    """Delete blobs that nothing uses and nobody claimed within the grace time; returns how many went.

    A page is of blobs looked at, not of those found: a statement is short also where next to nothing is unused.
    """
    deleted = 0
    after: tuple[int, bytes] = (0, b"")
    while True:
        async with database.system_single() as connection:
            rows = await _LOOKED_AT.all(
                connection, tenant_id=after[0], digest=after[1], grace_s=blobs.grace_s, limit=page
            )
        if not rows:
            return deleted
        after = max((row.tenant_id, row.digest) for row in rows)
        unused = [row for row in rows if row.is_unused]
        for tenant_id in sorted({each.tenant_id for each in unused}):
            digests = [BlobDigest(each.digest) for each in unused if each.tenant_id == tenant_id]
            for start in range(0, len(digests), DELETED_AT_ONCE):
                some = digests[start : start + DELETED_AT_ONCE]
                deleted += await _delete(database, keys, blobs, TenantId(tenant_id), some)


async def _delete(
    database: Database, keys: KeyRing, blobs: HotBlobs, tenant_id: TenantId, digests: Sequence[BlobDigest]
) -> int:
    try:
        tenant_keys = await keys.of(tenant_id)
    except KeyUnusable:
        return 0  # it is being shredded, or the doctor says what is wrong; others are not to wait for it
    async with database.read(tenant_id) as connection:
        return await blobs.delete(connection, tenant_keys, digests)


async def finish_deleting_mailboxes(database: Database, *, limit: int = 100) -> int:
    """Remove what a DELETE left when its process ended half way; returns how many messages."""
    async with database.system() as connection:
        tombstones = await _HALF_DELETED.all(connection, limit=limit)
    removed = 0
    for tombstone in tombstones:
        tenant_id, account_id = TenantId(tombstone.tenant_id), AccountId(tombstone.account_id)
        async with database.read(tenant_id) as connection:
            keeping = await keeping_of(connection, tenant_id, account_id)
        while True:
            async with database.read(tenant_id) as connection:
                uids, _ = await expunge(
                    connection,
                    tenant_id,
                    account_id,
                    MailboxId(tombstone.id),
                    None,
                    keeping=keeping,
                    everything=True,
                )
            if not uids:
                break
            removed += len(uids)
    return removed


async def forget_replays(database: Database) -> int:
    """Drop the marks of inbound messages that were placed long ago and whose content is gone."""
    async with database.system() as connection:
        return await _FORGET_REPLAYS.execute(connection, days=REPLAY_DAYS)
