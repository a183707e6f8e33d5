"""A damaged blob gets another copy: into Postgres, where upkeep finds it and moves it on as it does any other."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date

from storage.errors import ColdTierUnavailable, ContentDamaged, StorageError
from storage.keys import TenantKeys
from storage.query import Connection, Query
from storage.types import BlobDigest
from storage.verification.blob_copies import Copy, SpareDay, chunks_of, fetch, replaced_packs, spare_days
from storage.verification.blob_rows import BlobRow, one_blob
from storage.verification.examination import Examination
from storage.verification.ground import Ground
from storage.verification.single_blob import Damage, is_same_place


class _NotThatOne(StorageError):
    """The copy is damaged too, or the blob has moved: nothing is written."""


@dataclass(frozen=True, slots=True)
class _Locked:
    today: date


_LOCK = Query(
    """
    SELECT CURRENT_DATE AS today FROM blob b
     WHERE b.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND b.digest = %(digest)s FOR UPDATE
    """,
    row=_Locked,
)
_CLEAR = Query[None](
    """
    DELETE FROM blob_content c
     WHERE c.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND c.digest = %(digest)s
       AND c.content_on = %(content_on)s
    """
)
_ADD = Query[None](
    """
    INSERT INTO blob_content (tenant_id, digest, chunk, content_on, key_id, codec, sealed)
    VALUES (waypost_tenant(%(tenant_id)s), %(digest)s, %(chunk)s, %(content_on)s, %(key_id)s, %(codec)s, %(sealed)s)
    """
)
_REST_IN_POSTGRES = Query[None](
    """
    UPDATE blob b
       SET object_id = NULL, object_offset = NULL, layout = NULL, content_on = %(content_on)s,
           stored_octets = %(stored)s
     WHERE b.tenant_id = waypost_tenant(%(tenant_id)s) AND b.digest = %(digest)s
    """
)
_LEAVE_OBJECT = Query[None](
    "SELECT forget_in_objects_v1(%(tenant_id)s, %(object_ids)s::bigint[], %(stored)s::bigint[])"
)


async def restore_blob(ground: Ground, keys: TenantKeys, damage: Damage) -> bool:
    """Put the first copy that is whole in the place of the damaged one. Returns whether there was one."""
    async for copy in _copies(ground, keys, damage.row):
        try:
            async with ground.database.transaction(keys.tenant_id) as connection:
                await _restore(connection, keys, damage.row, copy)
        except (_NotThatOne, ContentDamaged):
            continue
        return True
    return False


async def _copies(ground: Ground, keys: TenantKeys, row: BlobRow) -> AsyncIterator[Copy]:
    async with ground.database.read(keys.tenant_id) as connection:
        days = await spare_days(connection, keys.tenant_id, row.digest)
    for day in days:
        if row.object_id is not None or day.content_on != row.content_on:
            yield day
    if ground.bucket is None:
        return
    replaced = ground.replaced.get(keys.tenant_id)
    if replaced is None:
        try:
            replaced = await replaced_packs(ground.database, ground.bucket, keys.tenant_id)
        except ColdTierUnavailable:
            return
        ground.replaced[keys.tenant_id] = replaced
    if (copy := replaced.get(row.digest)) is not None:
        try:
            fetched = await fetch(ground.bucket, keys.tenant_id, copy)
        except (ContentDamaged, ColdTierUnavailable):
            return
        yield fetched


async def _restore(connection: Connection, keys: TenantKeys, row: BlobRow, copy: Copy) -> None:
    """Under the blob's lock; every chunk is examined on its way."""
    locked = await _LOCK.first(connection, tenant_id=keys.tenant_id, digest=row.digest)
    now = await one_blob(connection, keys.tenant_id, row.digest)
    if locked is None or now is None or not is_same_place(now, row):
        raise _NotThatOne
    rests_already = isinstance(copy, SpareDay) and copy.content_on == locked.today
    if not rests_already:
        await _CLEAR.execute(connection, tenant_id=keys.tenant_id, digest=row.digest, content_on=locked.today)
    examination = Examination(keys, BlobDigest(row.digest), row.octets)
    async for chunk in chunks_of(connection, keys.tenant_id, row.digest, copy):
        examination.take(chunk)
        if not rests_already:
            await _ADD.execute(
                connection,
                tenant_id=keys.tenant_id,
                digest=row.digest,
                chunk=chunk.number,
                content_on=locked.today,
                key_id=chunk.key_id,
                codec=chunk.codec,
                sealed=chunk.sealed,
            )
    examination.end()
    await _REST_IN_POSTGRES.execute(
        connection,
        tenant_id=keys.tenant_id,
        digest=row.digest,
        content_on=locked.today,
        stored=examination.stored_octets,
    )
    if now.object_id is not None:
        await _LEAVE_OBJECT.execute(
            connection, tenant_id=keys.tenant_id, object_ids=[now.object_id], stored=[now.stored_octets]
        )
