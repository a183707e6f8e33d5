"""An object that a row names and the bucket does not have: its blobs are told of together."""

from storage.blobs.tiered import object_name
from storage.keys import TenantKeys
from storage.verification.blob_repair import restore_blob
from storage.verification.blob_rows import blobs_in
from storage.verification.findings import Finding, Kind
from storage.verification.ground import Ground
from storage.verification.object_rows import LIVE, ObjectRow, one_object
from storage.verification.single_blob import Damage


async def still_live(ground: Ground, keys: TenantKeys, row: ObjectRow) -> bool:
    """Whether blobs still rest in it, as far as its row says."""
    async with ground.database.read(keys.tenant_id) as connection:
        now = await one_object(connection, keys.tenant_id, row.id)
    return now is not None and now.state == LIVE


async def judge_missing(ground: Ground, keys: TenantKeys, row: ObjectRow) -> None:
    """Look again at an object that was not there; report it and, if asked to, find its blobs elsewhere.

    Raises ColdTierUnavailable.
    """
    assert ground.bucket is not None
    if not await still_live(ground, keys, row):
        return  # given up meanwhile, and deleted
    if await ground.bucket.facts(object_name(keys.tenant_id, row.id)) is not None:
        return
    async with ground.database.read(keys.tenant_id) as connection:
        blobs = await blobs_in(connection, keys.tenant_id, row.id)
    restored = 0
    if ground.choice.uses_copies:
        for blob in blobs:
            restored += await restore_blob(ground, keys, Damage(blob, "its object is missing"))
    values = {"object": f"{row.id:016x}", "octets": row.octets, "blobs": len(blobs), "restored": restored}
    is_repaired = bool(blobs) and restored == len(blobs)
    ground.report.add(Finding(Kind.OBJECT_MISSING, keys.tenant_id, values, is_repaired=is_repaired))
