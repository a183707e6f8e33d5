"""Indexes new mail within seconds of its delivery.

Hints tell of accounts that moved; every half minute one statement names all that are behind, every few seconds while
hints are not heard. It runs in every process of upkeep: for each tenant one of them at a time, by a lease, and an
account with very much mail (a company that moved in) lets others have their turn.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

from redis.asyncio import Redis

from mailserver.hints import BUCKETS, HintReceiver, Watched
from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import gauge, histogram
from mailserver.observability.repeats import Repeats
from mailserver.services.indexing import index_account
from mailserver.services.vocabularies import extend_vocabulary
from mailserver.tasks import end_task
from storage import message_text
from storage.errors import ColdTierUnavailable, StorageError
from storage.leases import leased
from storage.store import MailStore
from storage.types import Modseq

WAITING = gauge("index_waiting_accounts", "Accounts with changes that the index was not asked about yet.")
DELAY_SECONDS = histogram("index_delay_seconds", "From hearing of a change to the index knowing it.")

WORK = "indexing"
"""The name of its lease."""
RETRY_S = 1.0

log = get_logger()


@dataclass(frozen=True, slots=True)
class IndexingConfig:
    """Of the index for full-text search."""

    gather_s: float = field(default=0.5, metadata={"least": 0.05})  # new mail of so long is indexed together
    poll_s: float = field(default=30.0, metadata={"least": 1})  # how often accounts that are behind are looked for
    poll_away_s: float = field(default=5.0, metadata={"least": 0.5})  # the same while hints are not heard
    turn_messages: int = field(default=512, metadata={"least": 64})  # of one account before others have their turn
    reindex_hour: int = field(default=2, metadata={"least": 0, "most": 23})
    """from this hour on (UTC), for three hours, an index that has grown too far is built anew"""


class Indexer:
    """Owns its tasks. `redis` None: polling only."""

    def __init__(self, store: MailStore, redis: Redis | None, config: IndexingConfig) -> None:
        self._store = store
        self._config = config
        self._waiting: dict[Watched, float] = {}
        self._wake = asyncio.Event()
        self._repeats = Repeats(time.monotonic)
        self._task: asyncio.Task[None] | None = None
        self._receiver: HintReceiver | None = None
        if redis is not None:
            self._receiver = HintReceiver(
                redis, on_hint=self._on_hint, on_heard=lambda _bucket: None, on_away=lambda: None
            )

    def start(self) -> None:
        if self._receiver is not None:
            self._receiver.start()
            self._receiver.want(frozenset(range(BUCKETS)))
        self._task = asyncio.create_task(self._work_forever(), name="indexing")

    async def drain(self, deadline_s: float) -> None:
        """Stop; what was begun is done again by whoever comes next."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                await end_task(self._task)
                if self._receiver is not None:
                    await self._receiver.close()

    def _on_hint(self, watched: Watched, _modseq: Modseq) -> None:
        self._waiting.setdefault(watched, time.monotonic())
        self._wake.set()

    async def _work_forever(self) -> None:
        polled_at = -self._config.poll_s
        while True:
            try:
                is_away = self._receiver is None or self._receiver.is_away
                poll_s = self._config.poll_away_s if is_away else self._config.poll_s
                left_s = polled_at + poll_s - time.monotonic()
                if left_s <= 0:
                    polled_at = time.monotonic()
                    await self._look()
                elif not self._waiting:
                    await self._woken_within(left_s)
                    await asyncio.sleep(self._config.gather_s)
                await self._index_waiting()
                self._repeats.forget("refused")
            except StorageError as refusal:
                if (left_out := self._repeats.worth_saying("refused")) is not None:
                    log.warning("indexing waits", reason=str(refusal), left_out=left_out)
                await asyncio.sleep(RETRY_S)
            except Exception:  # a door of its own: a bug here must not end indexing
                log.exception("indexing failed")
                await asyncio.sleep(RETRY_S)

    async def _woken_within(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    async def _look(self) -> None:
        """Everything that is behind, once more: nothing that a hint did not say is left. New mail does not wait."""
        for tenant_id, account_id in await message_text.behind(self._store.database):
            await self._index_one((tenant_id, account_id), time.monotonic(), notes_nothing=True)
            await self._index_waiting()

    async def _index_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        WAITING.labels().set(len(waiting))
        for watched, since in waiting.items():
            await self._index_one(watched, since, notes_nothing=False)
        WAITING.labels().set(len(self._waiting))

    async def _index_one(self, watched: Watched, since: float, *, notes_nothing: bool) -> None:
        """One turn. What could not be done is put back, or found by the next look."""
        tenant_id, account_id = watched
        try:
            async with leased(self._store.database, tenant_id, WORK) as lease:
                if lease is None:  # another process is at it, and may have looked before this change
                    self._waiting.setdefault(watched, since)
                    await asyncio.sleep(self._config.gather_s)
                    return
                done = await index_account(
                    self._store,
                    tenant_id,
                    account_id,
                    most_messages=self._config.turn_messages,
                    notes_nothing=notes_nothing,
                )
                if done.messages:
                    await extend_vocabulary(self._store, tenant_id, account_id)
        except ColdTierUnavailable as away:
            log.warning("mail of an account could not be indexed", account=account_id, reason=str(away))
            return
        except StorageError as refusal:
            log.warning("an account could not be indexed", account=account_id, reason=str(refusal))
            return
        except Exception:  # a door of its own: a bug that one account meets must not hold up the others
            log.exception("an account could not be indexed", account=account_id)
            return
        if not done.is_complete:
            self._waiting.setdefault(watched, since)
        elif done.messages:
            DELAY_SECONDS.labels().observe(time.monotonic() - since)
