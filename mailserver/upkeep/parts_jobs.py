"""What upkeep does with large parts that came while S3 was away."""

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter, gauge
from mailserver.upkeep.jobs import HOUR_S, Job
from storage.blobs.breaker import BreakerState
from storage.errors import ColdTierUnavailable
from storage.parts.homes import PartStore
from storage.parts.moving_waiting import move_waiting
from storage.parts.waiting_room import waiting
from storage.store import MailStore

WAITING_PARTS = gauge("parts_waiting", "Large parts that wait in Postgres for S3.", across="livemax")
WAITING_OCTETS = gauge(
    "parts_waiting_octets",
    "Octets that wait in Postgres for S3, accepted mail not yet placed included.",
    across="livemax",
)
MOVED = counter("parts_moved", "Large parts that had waited in Postgres and went to objects.")
DAMAGED = counter("parts_damaged", "Large parts that waited in Postgres and could not be moved, for they do not open.")
LOOK_EVERY_S = 20.0

log = get_logger()


def parts_jobs(store: MailStore) -> tuple[Job, ...]:
    """None without an object store."""
    parts = store.parts
    if parts is None:
        return ()
    return (Job("move waiting parts to objects", LOOK_EVERY_S, 6 * HOUR_S, lambda: move(store, parts)),)


async def move(store: MailStore, parts: PartStore) -> str:
    """While S3 is away it only counts. Raises StoreUnavailable."""
    try:
        return await _move(store, parts)
    except ColdTierUnavailable:
        return "S3 is away"
    finally:
        now = await waiting(store.database)
        WAITING_PARTS.labels().set(now.parts)
        WAITING_OCTETS.labels().set(now.octets)


async def _move(store: MailStore, parts: PartStore) -> str:
    if parts.objects.breaker is BreakerState.OPEN:
        return "S3 is away"
    moved = await move_waiting(store.database, parts.objects, store.keys)
    MOVED.labels().inc(moved.parts)
    DAMAGED.labels().inc(len(moved.damaged))
    for tenant_id, digest in moved.damaged:
        log.error("a damaged part was left where it is", tenant=tenant_id, blob=digest.hex())
    for tenant_id in moved.keyless:
        log.error("the parts of a tenant wait, for its keys cannot be used", tenant=tenant_id)
    return f"{moved.parts} parts"
