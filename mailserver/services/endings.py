"""The end of what people have open: by a password that was changed, a session that was ended, a suspension, and of
what a token opened: by its expiry, or when its program gave it back.

Whoever ends it moves `account.sign_in_epoch` (`tenants.sign_in_ends`, `storage.sign_in_ends`), in whichever process
or command. Every process looks for accounts whose epoch moved lately: one statement on a small index, whatever number
of people are connected, and none while nobody is. What was admitted in an earlier epoch is told to end. Each look
reaches back beyond the last one, so a commit that was slow, or a sign-in that began before the end and was done after
it, is found by the next.

A program's leave that ends, by its own wish or because a token was stolen, ends nothing else of the person. It moves
only the time (`sign_ins_ended_at`); of those found by it the tokens are asked for by which they have something open.
Expiry is looked at here, by this machine's clock.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter
from mailserver.observability.repeats import Repeats
from mailserver.services.connections import AccountConnections
from mailserver.services.sign_in_errors import SessionEnded
from mailserver.tasks import end_task
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.query import Connection
from storage.sign_in_ends import is_still_signed_in, sign_in_ends, tokens_gone
from tenants.types import AccountId, Principal

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
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._connections = connections
        self._look_every_s = look_every_s
        self._clock = clock
        self._now = now
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
            self._note(self._connections.end_of_expired(self._now()), "tokens expired")
            async with self._database.directory() as connection:
                found = await sign_in_ends(connection, within_s=began - self._looked_at + REACH_BACK_S)
                for account_id, epoch in found:
                    self.ended(account_id, epoch)
                tokens = self._connections.tokens_of(account_id for account_id, _ in found)
                gone = await tokens_gone(connection, tokens) if tokens else ()
            self._note(self._connections.end_of_tokens(frozenset(gone)), "tokens ended")
        self._looked_at = began

    def _note(self, count: int, what: str) -> None:
        if count:
            ENDED.labels().inc(count)
            log.info(what, connections=count)

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


async def demand_signed_in(connection: Connection, who: Principal) -> None:
    """Before anything by which somebody gets in is made or taken away, first of all in its transaction: nothing was
    ended since `who` was admitted, nor is before the transaction ends. Raises SessionEnded."""
    if not await is_still_signed_in(connection, who):
        raise SessionEnded
