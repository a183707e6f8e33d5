"""What upkeep does for the queue of outgoing mail and the trace of events."""

from mailserver.upkeep.jobs import HOUR_S, MINUTE_S, Job
from storage import outgoing_acts, outgoing_upkeep
from storage.database import Database


def queue_jobs(database: Database, *, events_kept_days: int) -> tuple[Job, ...]:
    return (
        Job("make days of events", HOUR_S, 5 * MINUTE_S, lambda: outgoing_upkeep.make_days(database)),
        Job(
            "drop old events",
            6 * HOUR_S,
            10 * MINUTE_S,
            lambda: outgoing_upkeep.drop_old_days(database, events_kept_days),
        ),
        Job("forget counts of sending", HOUR_S, 10 * MINUTE_S, lambda: outgoing_upkeep.forget_counts(database)),
        Job("forget messages that left", 5 * MINUTE_S, 10 * MINUTE_S, lambda: outgoing_acts.forget_orphans(database)),
    )
