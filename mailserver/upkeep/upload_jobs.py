"""What upkeep does with uploads that no message took in."""

from mailserver.observability.metrics import counter
from mailserver.upkeep.jobs import HOUR_S, MINUTE_S, Job
from storage.database import Database
from storage.uploads import expire_uploads

EXPIRED = counter("uploads_expired", "Uploads that nothing used within a day.")


def upload_jobs(database: Database) -> tuple[Job, ...]:
    return (Job("forget old uploads", 10 * MINUTE_S, HOUR_S, lambda: forget(database)),)


async def forget(database: Database) -> str:
    """Raises StoreUnavailable."""
    gone = await expire_uploads(database)
    EXPIRED.labels().inc(gone)
    return f"{gone} uploads"
