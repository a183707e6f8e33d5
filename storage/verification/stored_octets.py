"""How much a blob stores, as its row says: counts of objects and of tiers are sums of it."""

from dataclasses import dataclass

from storage.errors import ContentDamaged
from storage.keys import TenantKeys
from storage.query import Query
from storage.verification.blob_rows import BlobRow, one_blob, resting_chunks
from storage.verification.findings import Finding, Kind
from storage.verification.ground import Ground


@dataclass(frozen=True, slots=True)
class _Stored:
    octets: int


_LOCKED = Query[None](
    """
    SELECT 1 FROM blob b
     WHERE b.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND b.digest = %(digest)s FOR UPDATE
    """
)
_IN_POSTGRES = Query(
    """
    SELECT coalesce(sum(length(c.sealed)), 0)::bigint AS octets FROM blob_content c
     WHERE c.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND c.digest = %(digest)s
       AND c.content_on = %(content_on)s
    """,
    row=_Stored,
)
_CORRECT = Query[None](
    """
    UPDATE blob b SET stored_octets = %(octets)s
     WHERE b.tenant_id = waypost_tenant(%(tenant_id)s) AND b.digest = %(digest)s
    """
)


async def judge_stored_octets(ground: Ground, keys: TenantKeys, digest: bytes) -> None:
    """Compare again while the row cannot change, and correct it."""
    async with ground.database.transaction(keys.tenant_id) as connection:
        await _LOCKED.execute(connection, tenant_id=keys.tenant_id, digest=digest)
        row = await one_blob(connection, keys.tenant_id, digest)
        if row is None:
            return
        if row.object_id is None:
            found = await _IN_POSTGRES.one(
                connection, tenant_id=keys.tenant_id, digest=digest, content_on=row.content_on
            )
            octets = found.octets
        else:
            octets = stored_in_object(row)
        if octets == row.stored_octets:
            return
        repairs = ground.choice.repairs_counts
        if repairs:
            await _CORRECT.execute(connection, tenant_id=keys.tenant_id, digest=digest, octets=octets)
    values = {"digest": digest.hex(), "counted": row.stored_octets, "found": octets}
    ground.report.add(Finding(Kind.STORED_OCTETS, keys.tenant_id, values, is_repaired=repairs))


def stored_in_object(row: BlobRow) -> int:
    """By its layout; what its row says, if that cannot be read."""
    try:
        return sum(chunk.octets for chunk in resting_chunks(row))
    except ContentDamaged:
        return row.stored_octets
