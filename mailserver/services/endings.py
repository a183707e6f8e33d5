"""The end of what people have open: by a password that was changed, a session that was ended, a suspension.

Whoever ends it moves `account.sign_in_epoch` (`tenants.sign_in_ends`, `storage.sign_in_ends`), in whichever process
or command. Every process looks for accounts whose epoch moved lately: one statement on a small index, whatever number
of people are connected, and none while nobody is. What was admitted in an earlier epoch is told to end. Each look
reaches back beyond the last one, so a commit that was slow, or a sign-in that began before the end and was done after
it, is found by the next.
"""

import asyncio
import time
from collections.abc import Callable

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter
from mailserver.observability.repeats import Repeats
from mailserver.services.connections import AccountConnections
from mailserver.tasks import end_task
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.sign_in_ends import sign_in_ends
from tenants.types import AccountId

LOOK_EVERY_S = 2.0
REACH_BACK_S = 300.0  # longer than a transaction may stay open, and than a sign-in takes

ENDED = counter("connections_ended", "Connections that were ended because somebody was signed out.")

log = get_logger()


class Endings:
    """One per process. `start` looks until `close`."""

    def __init__(
        self,
        database: Database,
        connections: AccountConnections,
        *,
        look_every_s: float = LOOK_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._connections = connections
        self._look_every_s = look_every_s
        self._clock = clock
        self._looked_at = clock()
        self._repeats = Repeats(clock)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._look_forever(), name="endings: look")

    async def close(self) -> None:
        await end_task(self._task)

    def ended(self, account_id: AccountId, epoch: int) -> None:
        """This process ended it itself, and that is committed: here it is over at once."""
        if count := self._connections.end_before(account_id, epoch):
            ENDED.labels().inc(count)
            log.info("signed out", account=account_id, connections=count)

    async def look(self) -> None:
        """Raises StoreUnavailable; the next look reaches back further then."""
        began = self._clock()
        if not self._connections.is_empty:
            async with self._database.directory() as connection:
                found = await sign_in_ends(connection, within_s=began - self._looked_at + REACH_BACK_S)
            for account_id, epoch in found:
                self.ended(account_id, epoch)
        self._looked_at = began

    async def _look_forever(self) -> None:
        while True:
            await asyncio.sleep(self._look_every_s)
            try:
                await self.look()
            except StoreUnavailable as unavailable:
                if (left_out := self._repeats.worth_saying("away")) is not None:
                    log.warning("cannot look who was signed out", error=str(unavailable), left_out=left_out)
            else:
                self._repeats.forget("away")
