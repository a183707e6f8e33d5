"""Settling: the ends of attempts are written to the queue, all that came together in one statement.

While Postgres is away they wait in memory: what was delivered must not be forgotten, or it is sent again.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter
from mailserver.observability.repeats import Repeats
from mailserver.tasks import end_task
from storage import outbox
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.outgoing_types import Ending, LastReply, Settlement

SETTLED = counter("outgoing_settled", "Recipients whose attempt ended, by how.", "ending")
STALE = counter("outgoing_stale_leases", "Attempts that ended after their lease: another process has the recipient.")

AT_ONCE = 1_000
PAUSE_S = 0.02  # what ends meanwhile shares a commit; a process that dies then has it sent again
RETRY_S = 0.25

log = get_logger()


class Settler:
    """`on_settled` gets what was written (or turned out to be another's)."""

    def __init__(
        self, database: Database, *, report_wait_s: float, on_settled: Callable[[Sequence[Settlement]], None]
    ) -> None:
        self._database = database
        self._report_wait_s = report_wait_s
        self._on_settled = on_settled
        self._pending: list[Settlement] = []
        self._wake = asyncio.Event()
        self._is_done = asyncio.Event()
        self._is_done.set()
        self._repeats = Repeats(time.monotonic)
        self._one_by_one = 0  # so many are written singly, to find which of them cannot be written
        self._task: asyncio.Task[None] | None = None
        self.is_stuck = False
        """Whether Postgres refused the last attempt: nothing more is leased meanwhile."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="outbound: settle")

    def put(self, settlements: Sequence[Settlement]) -> None:
        self._pending += settlements
        self._is_done.clear()
        self._wake.set()

    async def close(self, within_s: float) -> None:
        """Wait until all is written, as far as the time allows."""
        try:
            async with asyncio.timeout(within_s):
                await self._is_done.wait()
        except TimeoutError:
            log.error("attempts are not written to the queue; they are made again", recipients=len(self._pending))
        await end_task(self._task)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                await self._write(self._pending[: 1 if self._one_by_one else AT_ONCE])
            self._is_done.set()
            await asyncio.sleep(PAUSE_S)

    async def _write(self, batch: list[Settlement]) -> None:
        try:
            settled = await outbox.settle(self._database, batch, report_wait_s=self._report_wait_s)
        except StoreUnavailable as unavailable:
            self.is_stuck = True
            if (left_out := self._repeats.worth_saying("away")) is not None:
                log.warning("attempts wait to be written", error=str(unavailable), left_out=left_out)
            await asyncio.sleep(RETRY_S)
            return
        except Exception:
            log.exception("ends of attempts cannot be written", recipients=len(batch))
            self._endure(batch)
            return
        self.is_stuck = False
        self._one_by_one = max(0, self._one_by_one - len(batch))
        del self._pending[: len(batch)]
        for settlement in settled:
            SETTLED.labels(settlement.ending.name.lower()).inc()
        if len(settled) < len(batch):
            STALE.labels().inc(len(batch) - len(settled))
            written = set(map(id, settled))
            delivered = sum(each.ending is Ending.DELIVERED for each in batch if id(each) not in written)
            log.warning(
                "leases had ended before their attempts", recipients=len(batch) - len(settled), delivered=delivered
            )
        self._on_settled(batch)

    def _endure(self, batch: list[Settlement]) -> None:
        """A door of its own: what Postgres will not have, a bug of ours, must not keep all other ends from being
        written, for then everything would be sent again."""
        if len(batch) > 1:
            self._one_by_one = len(batch)
            return
        (settlement,) = batch
        self._one_by_one = max(0, self._one_by_one - 1)
        if settlement.reply != LastReply():
            self._pending[0] = replace(settlement, reply=LastReply())
            self._one_by_one += 1
            return
        log.error("the end of an attempt is not written: it is made again", outgoing=settlement.recipient.message.id)
        del self._pending[0]
        self._on_settled(batch)
