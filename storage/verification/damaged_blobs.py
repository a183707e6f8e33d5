"""What becomes of a blob that was found damaged: it is told of, or another copy takes its place."""

from storage.errors import ColdTierUnavailable
from storage.keys import TenantKeys
from storage.verification.blob_repair import restore_blob
from storage.verification.blob_rows import messages_using
from storage.verification.findings import Finding, Kind
from storage.verification.ground import Ground, fresh_keys
from storage.verification.single_blob import Damage, look_again, unreachable


async def judge(ground: Ground, keys: TenantKeys, digest: bytes) -> None:
    """Look again at a blob that seemed damaged, and report what it comes to."""
    keys = await fresh_keys(ground, keys.tenant_id)
    try:
        damage = await look_again(ground, keys, digest)
    except ColdTierUnavailable as away:
        ground.report.add(unreachable(keys, f"blob {digest.hex()}", away))
        return
    if damage is not None:
        await report_damage(ground, keys, damage)


async def report_damage(ground: Ground, keys: TenantKeys, damage: Damage) -> None:
    is_repaired = ground.choice.uses_copies and await restore_blob(ground, keys, damage)
    async with ground.database.read(keys.tenant_id) as connection:
        messages = await messages_using(connection, keys.tenant_id, damage.row.digest)
    values = {
        "digest": damage.row.digest.hex(),
        "octets": damage.row.octets,
        "messages": messages,
        "place": "postgres" if damage.row.object_id is None else f"object {damage.row.object_id:016x}",
        "reason": damage.reason,
    }
    ground.report.add(Finding(Kind.CONTENT_DAMAGED, keys.tenant_id, values, is_repaired=is_repaired))
