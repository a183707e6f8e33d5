"""Tells sessions that an account of theirs moved: at once by hints, and by polling whatever a hint did not say.

A watcher is woken when the account is found beyond the modseq that was last known of it; being woken once too often is
harmless, never being woken is not. Three things find it: an `announce` in this process, a hint of another process, and
one statement that looks at all watched accounts of the process: every minute, every few seconds while Redis is away,
and for the accounts of a channel right after it was (re)subscribed.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from redis.asyncio import Redis

from mailserver.hints import HintReceiver, HintSender, Watched, bucket_of
from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter, gauge
from mailserver.observability.repeats import Repeats
from mailserver.tasks import end_task
from storage.changes import account_modseqs
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.types import Modseq
from tenants.types import AccountId, TenantId

WATCHED = gauge("watched_accounts", "Accounts that somebody watches in this process.")
WAKES = counter("watch_wakes", "Watchers woken, by what found the change.", "found_by")

LOOK_ACCOUNTS = 5_000  # accounts looked at in one statement
RETRY_S = 1.0  # wait before looking again after Postgres failed

log = get_logger()

Wake = Callable[[], None]


@dataclass(frozen=True, slots=True)
class WatchingConfig:
    poll_s: float = field(default=60.0, metadata={"least": 1})  # how often all watched accounts are looked at
    poll_away_s: float = field(default=5.0, metadata={"least": 0.1})  # the same while hints are not heard


@dataclass(slots=True)
class _Account:
    modseq: Modseq
    wakes: dict["Watch", Wake]


class Watch:
    """One session's watch of one account, until `close`."""

    __slots__ = ("_watched", "_watchers")

    def __init__(self, watchers: "Watchers", watched: Watched) -> None:
        self._watchers = watchers
        self._watched = watched

    @property
    def modseq(self) -> Modseq:
        """How far the account is known to be, by what announced, hinted or looked; 0 while nothing did."""
        return self._watchers.known_modseq(self._watched)

    def close(self) -> None:
        """No wake comes after this; closing twice is harmless."""
        self._watchers.forget(self, self._watched)


class Watchers:
    """All watches of a process. `redis` None: polling only."""

    def __init__(self, database: Database, redis: Redis | None, config: WatchingConfig) -> None:
        self._database = database
        self._config = config
        self._accounts: dict[Watched, _Account] = {}
        self._to_look_at: set[Watched] = set()
        self._stirred = asyncio.Event()
        self._spread = random.uniform(0.9, 1.0)  # noqa: S311  so that processes do not poll in step
        self._repeats = Repeats(time.monotonic)
        self._task: asyncio.Task[None] | None = None
        self._sender: HintSender | None = None
        self._receiver: HintReceiver | None = None
        if redis is not None:
            self._sender = HintSender(redis)
            self._receiver = HintReceiver(redis, on_hint=self._hinted, on_heard=self._heard, on_away=self._stirred.set)

    def start(self) -> None:
        if self._sender is not None and self._receiver is not None:
            self._sender.start()
            self._receiver.start()
        self._task = asyncio.create_task(self._look_forever(), name="watching: look")

    async def close(self) -> None:
        if self._sender is not None and self._receiver is not None:
            await self._receiver.close()
            await self._sender.close()
        await end_task(self._task)

    def watch(self, tenant_id: TenantId, account_id: AccountId, wake: Wake, *, since: Modseq | None = None) -> Watch:
        """Call `wake` (on the loop, soon) whenever the account moved. Watch first, then read what there is.

        `since`: what the session has seen; it is woken at once if the account is known to be further.
        """
        watched = (tenant_id, account_id)
        watch = Watch(self, watched)
        account = self._accounts.get(watched)
        if account is None:
            account = self._accounts[watched] = _Account(since or Modseq(0), {})
            WATCHED.labels().inc()
            if self._receiver is not None:
                self._receiver.want_also(bucket_of(account_id))
        account.wakes[watch] = wake
        if since is not None and account.modseq > since:
            asyncio.get_running_loop().call_soon(wake)
        return watch

    def forget(self, watch: Watch, watched: Watched) -> None:
        account = self._accounts.get(watched)
        if account is None or account.wakes.pop(watch, None) is None:
            return
        if not account.wakes:
            del self._accounts[watched]
            WATCHED.labels().dec()

    def known_modseq(self, watched: Watched) -> Modseq:
        account = self._accounts.get(watched)
        return account.modseq if account is not None else Modseq(0)

    def announce(self, tenant_id: TenantId, account_id: AccountId, modseq: Modseq) -> None:
        """The account has reached `modseq`, and that is committed. Never blocks, never raises."""
        self._found((tenant_id, account_id), modseq, "announce")
        if self._sender is not None:
            self._sender.publish(tenant_id, account_id, modseq)

    def _hinted(self, watched: Watched, modseq: Modseq) -> None:
        self._found(watched, modseq, "hint")

    def _heard(self, bucket: int) -> None:
        self._to_look_at.update(watched for watched in self._accounts if bucket_of(watched[1]) == bucket)
        self._stirred.set()

    def _found(self, watched: Watched, modseq: Modseq, found_by: str) -> None:
        account = self._accounts.get(watched)
        if account is None or modseq <= account.modseq:
            return
        account.modseq = modseq
        loop = asyncio.get_running_loop()
        for wake in account.wakes.values():
            loop.call_soon(wake)
        WAKES.labels(found_by).inc(len(account.wakes))

    def _want_no_others(self) -> None:
        """Hear no more of accounts that nobody watches any longer. Not done as soon as a watch ends: most people come
        back soon, and to subscribe anew costs more than hearing of others meanwhile."""
        if self._receiver is not None:
            self._receiver.want(frozenset(bucket_of(account_id) for _, account_id in self._accounts))

    async def _look_forever(self) -> None:
        polled_at = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(max(0.0, polled_at + self._period_s() - time.monotonic())):
                    await self._stirred.wait()
            except TimeoutError:
                self._to_look_at.update(self._accounts)
                self._want_no_others()
                polled_at = time.monotonic()
            self._stirred.clear()
            try:
                await self._look()
            except StoreUnavailable as unavailable:
                if (left_out := self._repeats.worth_saying("away")) is not None:
                    log.warning("watched accounts cannot be looked at", error=str(unavailable), left_out=left_out)
                await asyncio.sleep(RETRY_S)
                self._stirred.set()
            else:
                self._repeats.forget("away")

    async def _look(self) -> None:
        """Look at the accounts of `_to_look_at`; those that could not be looked at stay there."""
        self._to_look_at &= self._accounts.keys()
        while self._to_look_at:
            chosen = list(itertools.islice(self._to_look_at, LOOK_ACCOUNTS))
            async with self._database.system() as connection:
                found = await account_modseqs(connection, chosen)
            for watched, modseq in found.items():
                self._found(watched, modseq, "poll")
            self._to_look_at.difference_update(chosen)

    def _period_s(self) -> float:
        hears = self._receiver is not None and not self._receiver.is_away
        return self._spread * (self._config.poll_s if hears else self._config.poll_away_s)
