"""The object store of a process: opened as configured, its bucket made ready, its requests counted and told of."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter, gauge, histogram
from mailserver.observability.repeats import Repeats
from mailserver.tasks import end_task
from storage.blobs.breaker import BreakerState
from storage.blobs.object_faults import ObjectsMisconfigured, Outcome
from storage.blobs.object_requests import Observed
from storage.blobs.objects import ObjectStore
from storage.blobs.objects_config import ObjectsConfig
from storage.errors import ColdTierUnavailable

REQUESTS = counter("object_requests", "Requests to S3, by what for and how they ended.", "operation", "outcome")
SECONDS = histogram("object_request_seconds", "Seconds of one request to S3, by what for.", "operation")
BREAKER = gauge("object_breaker", "Requests to S3 are: 0 sent, 1 tried one by one, 2 not sent.", across="livemax")

TOLD_EVERY_S = 60.0
AWAY_RETRY_S = 5.0
MISCONFIGURED_RETRY_S = 60.0

_UNREMARKABLE = (Outcome.OK, Outcome.MISSING, Outcome.NOT_TRIED)
_STATES = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}

log = get_logger()


class RequestLog:
    """Counts every request and tells of trouble, of each kind once a minute. Called from the threads of the store."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._repeats = Repeats(clock, every_s=TOLD_EVERY_S)
        self._lock = threading.Lock()
        self._was_open = False

    def __call__(self, observed: Observed) -> None:
        REQUESTS.labels(observed.operation, observed.outcome).inc()
        SECONDS.labels(observed.operation).observe(observed.seconds)
        BREAKER.labels().set(_STATES[observed.breaker])
        with self._lock:
            if observed.outcome not in _UNREMARKABLE:
                self._tell(observed)
            self._tell_of_turns(is_open=observed.breaker is BreakerState.OPEN, observed=observed)

    def _tell(self, observed: Observed) -> None:
        if (left_out := self._repeats.worth_saying(observed.outcome)) is not None:
            log.warning(
                "a request to S3 failed",
                operation=observed.operation,
                outcome=observed.outcome,
                reason=observed.reason,
                left_out=left_out,
            )

    def _tell_of_turns(self, *, is_open: bool, observed: Observed) -> None:
        if is_open and not self._was_open:
            self._was_open = True
            if self._repeats.worth_saying("open") is not None:
                log.warning("S3 is left alone for a moment after several failures", reason=observed.reason)
        elif self._was_open and observed.outcome is Outcome.OK:
            self._was_open = False
            log.info("S3 answers again")


@contextlib.asynccontextmanager
async def open_objects(config: ObjectsConfig) -> AsyncIterator[ObjectStore | None]:
    """The store until the end of the block; None where no S3 is configured. S3 need not answer yet."""
    if not config.is_on:
        yield None
        return
    store = ObjectStore(config, RequestLog())
    preparing = asyncio.create_task(prepare_until_done(store), name="objects: bucket")
    try:
        yield store
    finally:
        await end_task(preparing)
        await store.close()


async def prepare_until_done(store: ObjectStore) -> None:
    """A bucket that cannot be used is told of again and again: mail goes on without it, and nothing else would say."""
    while True:
        try:
            await store.prepare()
        except ObjectsMisconfigured as wrong:
            log.error("the bucket in S3 cannot be used", reason=str(wrong))
            await asyncio.sleep(MISCONFIGURED_RETRY_S)
        except ColdTierUnavailable:
            await asyncio.sleep(AWAY_RETRY_S)  # the store has told of it
        else:
            return
