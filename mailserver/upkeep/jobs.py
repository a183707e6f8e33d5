"""What upkeep does, and how often."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailserver.services.delivery import Deliveries, DeliveryConfig
from storage import change_retention, housekeeping
from storage.store import MailStore

MINUTE_S = 60.0
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Job:
    """`run` is given up after `timeout_s`, and begins anew `every_s` after it ended."""

    name: str
    every_s: float
    timeout_s: float
    run: Callable[[], Awaitable[object]]


def all_jobs(
    store: MailStore, deliveries: Deliveries, delivery: DeliveryConfig, *, keep_changes_days: int
) -> tuple[Job, ...]:
    database = store.database
    return (
        Job("make partitions", HOUR_S, 5 * MINUTE_S, lambda: housekeeping.make_partitions(database)),
        Job("place accepted mail", delivery.look_every_s, 10 * MINUTE_S, deliveries.place_forgotten),
        Job(
            "collect unused content",
            HOUR_S,
            2 * HOUR_S,
            lambda: housekeeping.collect_blobs(database, store.keys, store.blobs.hot),
        ),
        Job(
            "finish deleting mailboxes",
            5 * MINUTE_S,
            30 * MINUTE_S,
            lambda: housekeeping.finish_deleting_mailboxes(database),
        ),
        Job(
            "cut the log of changes",
            6 * HOUR_S,
            HOUR_S,
            lambda: change_retention.cut_changes(database, keep_days=keep_changes_days),
        ),
        Job("forget replays", 6 * HOUR_S, 10 * MINUTE_S, lambda: housekeeping.forget_replays(database)),
    )
