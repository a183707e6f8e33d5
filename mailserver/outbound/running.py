"""The role outbound: its parts put together, and ended in order."""

import asyncio
import time
from datetime import UTC, datetime

from redis.asyncio import Redis

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import gauge
from mailserver.observability.repeats import Repeats
from mailserver.outbound.config import ExchangeConfig
from mailserver.outbound.exchange import Exchange
from mailserver.outbound.lanes import Router
from mailserver.outbound.queue_config import WorkerConfig
from mailserver.outbound.tenancy import Tenancy
from mailserver.outbound.worker import Worker
from mailserver.queue_hints import QueueHintReceiver
from mailserver.services.queue_reports import QueueReports
from mailserver.tasks import end_task
from storage.database import Database
from storage.errors import StorageError
from storage.outgoing_acts import Chosen, release
from storage.outgoing_lists import count_states, suspended_tenants
from storage.outgoing_types import HeldReason, QueueState
from storage.store import MailStore

RECIPIENTS = gauge("outgoing_recipients", "Recipients in the queue.", "state", across="livemax")
OLDEST = gauge(
    "outgoing_oldest_seconds", "For how long the oldest recipient of a state waits.", "state", across="livemax"
)

log = get_logger()


class Outbound:
    """The running role. Without a worker outbound is off: only reports of what administrators bounce are written."""

    def __init__(
        self,
        database: Database,
        reports: QueueReports,
        tenancy: Tenancy,
        worker: Worker | None,
        exchange: Exchange | None,
        hints: QueueHintReceiver | None,
        *,
        count_every_s: float,
    ) -> None:
        self._database = database
        self._reports = reports
        self._tenancy = tenancy
        self.worker = worker
        self._exchange = exchange
        self._hints = hints
        self._count_every_s = count_every_s
        self._repeats = Repeats(time.monotonic)
        self._counting: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._reports.start()
        if self.worker is not None:
            self.worker.start()
        if self._hints is not None:
            self._hints.start()
        self._counting = asyncio.create_task(self._count_forever(), name="outbound: count")

    async def drain(self, deadline_s: float) -> None:
        await end_task(self._counting)
        if self._hints is not None:
            await self._hints.close()
        if self.worker is not None:
            await self.worker.drain(deadline_s)
        await self._reports.close()
        if self._exchange is not None:
            await self._exchange.close()

    async def _count_forever(self) -> None:
        """A door of its own: figures and tenants that are active again."""
        while True:
            try:
                await self._count()
                await self._release_resumed()
            except StorageError as error:
                if (left_out := self._repeats.worth_saying("count")) is not None:
                    log.warning("the queue is not counted", error=str(error), left_out=left_out)
            except Exception:
                log.exception("the queue is not counted")
            await asyncio.sleep(self._count_every_s)

    async def _count(self) -> None:
        counts = dict.fromkeys(QueueState, 0)
        oldest_s = dict.fromkeys(QueueState, 0.0)
        now = datetime.now(UTC)
        for each in await count_states(self._database):
            state = QueueState(each.state)
            counts[state] += each.recipients
            oldest_s[state] = max(oldest_s[state], (now - each.oldest_at).total_seconds())
        for state in QueueState:
            RECIPIENTS.labels(state.name.lower()).set(counts[state])
            OLDEST.labels(state.name.lower()).set(oldest_s[state])
        if self.worker is not None:
            self.worker.count_resting()

    async def _release_resumed(self) -> None:
        """Mail that was held because its tenant was suspended goes on when it is active again."""
        for tenant_id in await suspended_tenants(self._database):
            if (await self._tenancy.standing(tenant_id)).is_active:
                released = await release(self._database, Chosen(tenant_id, held_reason=HeldReason.SUSPENDED))
                log.info("mail of a tenant goes on", tenant=tenant_id, recipients=released)


def start_outbound(
    store: MailStore,
    router: Router,
    tenancy: Tenancy,
    reports: QueueReports,
    redis: Redis | None,
    worker_config: WorkerConfig,
    exchange_config: ExchangeConfig,
    *,
    hostname: str,
    is_on: bool,
) -> Outbound:
    if not is_on:
        log.info("outbound is off: mail for other systems is held (WAYPOST_OUTBOUND)")
        running = Outbound(
            store.database, reports, tenancy, None, None, None, count_every_s=worker_config.count_every_s
        )
        running.start()
        return running
    exchange = Exchange(hostname, exchange_config)
    worker = Worker(
        store,
        router,
        exchange,
        tenancy,
        worker_config,
        recipients_limit=exchange_config.recipients_limit,
        on_report=reports.wake,
    )
    hints = None
    if redis is not None:
        hints = QueueHintReceiver(redis, on_lane=worker.lanes.mark_due, on_heard=worker.lanes.look)
    running = Outbound(
        store.database, reports, tenancy, worker, exchange, hints, count_every_s=worker_config.count_every_s
    )
    running.start()
    return running
