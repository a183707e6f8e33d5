"""What upkeep does for keys: sealing anew what old ones sealed, of tenants for which an administrator asked for it."""

from mailserver.observability.logs import get_logger
from mailserver.upkeep.jobs import HOUR_S, MINUTE_S, Job
from storage import old_keys
from storage.blobs.objects import ObjectStore
from storage.errors import ColdTierUnavailable, KeyUnusable
from storage.store import MailStore

log = get_logger()


def key_jobs(store: MailStore, objects: ObjectStore | None) -> tuple[Job, ...]:
    """An order ends when nothing rests under old keys, in Postgres and in objects."""
    return (Job("seal anew", 5 * MINUTE_S, 6 * HOUR_S, lambda: reseal_as_asked(store, objects)),)


async def reseal_as_asked(store: MailStore, objects: ObjectStore | None) -> int:
    """One tenant that cannot be done does not keep the others; returns how many chunks. Raises StoreUnavailable."""
    done = 0
    for tenant_id in await old_keys.asked_for(store.database):
        try:
            resealed = await old_keys.reseal(store.database, store.keys, tenant_id)
            if objects is not None:
                await old_keys.reseal_objects(store.database, objects, store.keys, tenant_id)
            is_done = await old_keys.finish_if_done(store.database, tenant_id)
        except (KeyUnusable, ColdTierUnavailable) as problem:
            log.error("old keys of a tenant cannot be given up yet", tenant=tenant_id, error=str(problem))
            continue
        done += resealed.chunks
        log.info(
            "what old keys sealed is sealed anew",
            tenant=tenant_id,
            chunks=resealed.chunks,
            damaged=resealed.damaged,
            is_done=is_done,
        )
    return done
