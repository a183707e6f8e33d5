"""What upkeep deletes, and when: what retention rules say, what lay in the bin for long, accounts that ended. It
tells people that there is little room left."""

from mailserver.services.delivery import Deliveries
from mailserver.services.quota_notices import QuotaNotices
from mailserver.upkeep.jobs import HOUR_S, MINUTE_S, Job
from storage import ended_accounts, purging, retention
from storage.store import MailStore


def retention_jobs(store: MailStore, deliveries: Deliveries, *, hostname: str) -> tuple[Job, ...]:
    """None of them deletes anything under legal hold."""
    database = store.database
    notices = QuotaNotices(store, deliveries, hostname)
    return (
        Job("apply retention rules", HOUR_S, 2 * HOUR_S, lambda: retention.apply_rules(store)),
        Job("purge what was expunged", HOUR_S, 2 * HOUR_S, lambda: purging.purge_due(database)),
        Job("trim what was expunged", 15 * MINUTE_S, HOUR_S, lambda: purging.trim_bins(database)),
        Job("delete accounts that ended", HOUR_S, 2 * HOUR_S, lambda: ended_accounts.delete_ended_accounts(database)),
        Job("tell of quotas", 5 * MINUTE_S, 30 * MINUTE_S, notices.tell),
    )
