"""What upkeep does with push subscriptions that are over."""

from mailserver.observability.metrics import counter
from mailserver.upkeep.jobs import HOUR_S, MINUTE_S, Job
from storage.database import Database
from storage.push_subscriptions import expire_push_subscriptions

EXPIRED = counter("push_subscriptions_expired", "Push subscriptions that were over, or never verified.")


def push_jobs(database: Database) -> tuple[Job, ...]:
    return (Job("forget old push subscriptions", 10 * MINUTE_S, HOUR_S, lambda: forget(database)),)


async def forget(database: Database) -> str:
    """Raises StoreUnavailable."""
    gone = await expire_push_subscriptions(database)
    EXPIRED.labels().inc(gone)
    return f"{gone} push subscriptions"
