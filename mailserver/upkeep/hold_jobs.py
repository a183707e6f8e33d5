"""What upkeep does for legal holds: S3 keeps what a tenant under hold has there."""

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter
from mailserver.upkeep.jobs import HOUR_S, MINUTE_S, Job
from storage.blobs.objects import ObjectStore
from storage.database import Database
from storage.object_holds import keep_holds

CHANGED = counter("object_holds", "Objects that were put under legal hold or let go.", "change")

DAY_S = 24 * HOUR_S

log = get_logger()


def hold_jobs(database: Database, objects: ObjectStore | None) -> tuple[Job, ...]:
    """Every few minutes what changed; once a day everything, should somebody have lifted a hold past us."""
    if objects is None:
        return ()
    return (
        Job("hold objects", 5 * MINUTE_S, 6 * HOUR_S, lambda: keep(database, objects, again=False)),
        Job("hold objects anew", DAY_S, 6 * HOUR_S, lambda: keep(database, objects, again=True)),
    )


async def keep(database: Database, objects: ObjectStore, *, again: bool) -> str:
    """Raises ColdTierUnavailable, StoreUnavailable."""
    done = await keep_holds(database, objects, again=again)
    CHANGED.labels("held").inc(done.held)
    CHANGED.labels("lifted").inc(done.lifted)
    if done.held and not done.has_lock:
        log.error("a legal hold is kept by Waypost alone: the bucket has no Object Lock", objects=done.held)
    if done.missing:
        log.error("objects under legal hold are missing", count=done.missing)
    return f"{done.held} objects held, {done.lifted} let go"
