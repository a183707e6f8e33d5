"""What upkeep does with content that is old, read again, or no longer used.

Moving and compacting take turns, and rest after each (`storage.tiers.pace`).
"""

import asyncio

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter, gauge
from mailserver.upkeep.jobs import HOUR_S, MINUTE_S, Job
from storage.blobs.objects import ObjectStore
from storage.store import MailStore
from storage.tiers import orphans, weeks
from storage.tiers.moving import Moved, Progress
from storage.tiers.rounds import Round, TieringConfig, Tiers, clock_is_steady
from storage.tiers.turns import Turns

MOVED_BLOBS = counter("tiers_moved_blobs", "Blobs written to packs, by work.", "work")
MOVED_OCTETS = counter("tiers_moved_octets", "Octets of packs that were written, by work.", "work")
DAMAGED = counter("tiers_damaged_blobs", "Blobs that could not be moved because no copy of them opens.", "work")
PROMOTED = counter("tiers_promoted_blobs", "Blobs that came back to Postgres because they were read again.")
DELETED = counter("tiers_deleted_objects", "Objects deleted from the bucket, by why.", "why")
ORPHANS = gauge("tiers_orphan_objects", "Objects in the bucket that no row knows.", across="livemax")
MISSING = gauge("tiers_missing_objects", "Objects that rows know and the bucket does not hold.", across="livemax")
BUCKET_OCTETS = gauge("tiers_bucket_octets", "Octets in the bucket at the last look.", across="livemax")
RESTS = gauge("tiers_rests", "1 while moving and compacting rest after a turn.")
RESTED = counter("tiers_rested_seconds", "How long moving and compacting rested after their turns.")
PRESSING = gauge("tiers_pressing_tenants", "Tenants whose mail is moved without rests, because far too much is hot.")
DAY_S = 24 * HOUR_S
ROUND_S = 10 * HOUR_S
"""After so long moving ends in good order, and is begun again with the next hour."""

log = get_logger()


def tier_jobs(
    store: MailStore, objects: ObjectStore | None, config: TieringConfig, *, keep_doomed_days: int
) -> tuple[Job, ...]:
    """Without an object store only what concerns Postgres."""
    database = store.database
    jobs = [
        Job("drop idle weeks of content", HOUR_S, 10 * MINUTE_S, lambda: weeks.drop_idle(database)),
        Job("empty nearly idle weeks", DAY_S, HOUR_S, lambda: weeks.empty_nearly_idle(database)),
    ]
    if objects is None:
        return tuple(jobs)
    tiers = Tiers(database, objects, store.keys, config)
    turns = Turns(config.duty, wait=_rest)
    kept_s = keep_doomed_days * DAY_S

    async def tier() -> str:
        count = _counted("tiering")
        return _told("tiering", await tiers.tier(count, turns=turns, lasts_s=ROUND_S, pressing=PRESSING.labels().set))

    async def compact() -> str:
        return _told("compaction", await tiers.compact(_counted("compaction"), turns=turns))

    async def promote() -> str:
        done = await tiers.promote()
        PROMOTED.labels().inc(done.count)
        return _told("promotion", done)

    async def delete_doomed() -> str:
        done = await tiers.delete_doomed(kept_s=kept_s)
        DELETED.labels("doomed").inc(done.count)
        return _told("deleting objects", done)

    async def sweep() -> str:
        is_steady = await clock_is_steady(database, wary_s=kept_s)
        try:
            swept = await orphans.sweep(database, objects, kept_s=kept_s, may_delete=is_steady)
        except orphans.TooManyOrphans as many:
            ORPHANS.labels().set(many.orphans)
            raise
        ORPHANS.labels().set(swept.orphans)
        MISSING.labels().set(len(swept.missing))
        BUCKET_OCTETS.labels().set(swept.octets)
        DELETED.labels("orphan").inc(swept.deleted)
        for name in swept.missing:
            log.error("an object is missing", name=name)
        return f"{swept.objects} objects, {swept.orphans} of them orphans, {len(swept.missing)} missing"

    return (
        *jobs,
        Job("move old content to packs", HOUR_S, 12 * HOUR_S, tier),
        Job("compact packs", 6 * HOUR_S, 12 * HOUR_S, compact),
        Job("bring back what is read again", HOUR_S, HOUR_S, promote),
        Job("delete objects that nothing uses", HOUR_S, HOUR_S, delete_doomed),
        Job("compare bucket and rows", DAY_S, 6 * HOUR_S, sweep),
    )


async def _rest(seconds: float) -> None:
    RESTS.labels().set(1)
    try:
        await asyncio.sleep(seconds)
    finally:
        RESTS.labels().set(0)
    RESTED.labels().inc(seconds)


def _counted(work: str) -> Progress:
    """Counts packs while they come."""

    def count(moved: Moved) -> None:
        MOVED_BLOBS.labels(work).inc(moved.blobs)
        MOVED_OCTETS.labels(work).inc(moved.octets)

    return count


def _told(work: str, done: Round) -> str:
    if done.moved.damaged:
        DAMAGED.labels(work).inc(len(done.moved.damaged))
        log.error("damaged content was left where it is", work=work, blobs=[each.hex() for each in done.moved.damaged])
    for tenant_id, reason in done.refused.items():
        log.warning("the turn of a tenant ended early", work=work, tenant=tenant_id, reason=reason)
    return f"{done.moved.blobs or done.count} blobs or objects, {len(done.refused)} tenants refused"
