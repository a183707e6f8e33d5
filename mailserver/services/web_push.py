"""Web Push: tells devices that hold no connection open what changed (RFC 8620 §7.2, RFC 8030, RFC 8291, RFC 8292).

Every process that runs this follows the accounts with a verified subscription. Whichever finds a change first claims
the subscriptions that were not told of it (`storage.push_subscriptions`), so each is told once; one that could not be
told is put back, to be claimed again later. Before a subscription is verified it gets one message: its code.

A message says which types of an account changed, and nothing else; it is sealed where the device gave keys.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import gauge
from mailserver.services.push_posting import Came, Posted, PushPosting
from mailserver.services.state_changes import Following, Place, StateChanges, changed_since
from mailserver.tasks import end_task
from mailserver.web_push_encryption import to_base64
from storage import push_subscriptions as stored
from storage.database import Database
from storage.errors import ContentDamaged, KeyUnusable, StoreUnavailable
from storage.keys import KeyRing
from storage.push_subscriptions import Claimed, Target
from storage.told_states import ToldStates
from storage.types import Modseq, PushSubscriptionId
from tenants.types import AccountId, TenantId

WAITING = gauge("web_push_accounts_waiting", "Accounts whose devices are to be told.", across="livesum")

PAUSE_S = 2.0  # between two messages to a device; what changes meanwhile is told in the second
WORKERS = 16
LOOK_EVERY_S = 60.0  # for subscriptions that other processes verified
RETRY_S = 5.0
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 30.0, 6 * 3_600.0
MOST_FAILURES = 30  # in a row: some six days
CODES_AT_ONCE = 200
CODES_IN_AN_HOUR = 20  # of one account: each makes us ask a server that somebody named
_ACCOUNTS_REMEMBERED = 10_000
_CODE_RETRIES_S = (3.0, 30.0)

log = get_logger()

Key = tuple[TenantId, AccountId]


class TooManyCodes(Exception):
    """The account made as many subscriptions lately as it may, or more are on their way than we send at once."""


class WebPush:
    """One per process. Without `start` it only sends codes."""

    def __init__(
        self,
        database: Database,
        keys: KeyRing,
        changes: StateChanges,
        posting: PushPosting,
        *,
        pause_s: float = PAUSE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._keys = keys
        self._changes = changes
        self.posting = posting
        self._pause_s = pause_s
        self._clock = clock
        self._followed: dict[Key, Following] = {}
        self._due: OrderedDict[Key, None] = OrderedDict()
        self._is_due = asyncio.Semaphore(0)
        self._later: dict[Key, asyncio.TimerHandle] = {}
        self._codes_under_way = 0
        self._sent_codes: OrderedDict[AccountId, deque[float]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Tell whoever has a verified subscription, until `close`."""
        self._begin(self._look_forever(), "web push: look")
        for _ in range(WORKERS):
            self._begin(self._tell_forever(), "web push: tell")

    async def close(self) -> None:
        for later in self._later.values():
            later.cancel()
        for task in list(self._tasks):
            await end_task(task)
        for following in self._followed.values():
            following.close()
        self._followed.clear()

    def send_code(self, subscription_id: PushSubscriptionId, target: Target, code: str) -> None:
        """The PushVerification of a new subscription, at once (RFC 8620 §7.2.2)."""
        told = {"@type": "PushVerification", "pushSubscriptionId": f"P{subscription_id}", "verificationCode": code}
        self._begin(self._send_code(target, orjson.dumps(told)), "web push: code")

    def demand_code(self, account_id: AccountId) -> None:
        """Before a subscription is made. Raises TooManyCodes."""
        now = self._clock()
        sent = self._sent_codes.setdefault(account_id, deque())
        self._sent_codes.move_to_end(account_id)
        while sent and sent[0] < now - 3_600:
            sent.popleft()
        while len(self._sent_codes) > _ACCOUNTS_REMEMBERED:
            self._sent_codes.popitem(last=False)
        if len(sent) >= CODES_IN_AN_HOUR or self._codes_under_way >= CODES_AT_ONCE:
            raise TooManyCodes
        sent.append(now)

    def subscribed(self, tenant_id: TenantId, account_id: AccountId) -> None:
        """The account has a verified subscription, and that is committed."""
        self._follow((tenant_id, account_id))

    # -- who is to be told

    def _begin(self, work: Any, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _follow(self, key: Key) -> None:
        if key not in self._followed:
            self._followed[key] = self._changes.follow(*key, lambda: self._stir(key))
            self._stir(key)

    def _unfollow(self, key: Key) -> None:
        following = self._followed.pop(key, None)
        if following is not None:
            following.close()
        if (later := self._later.pop(key, None)) is not None:
            later.cancel()

    def _stir(self, key: Key) -> None:
        """Its devices are told soon; an account waits once, however much happens."""
        if key not in self._due and key in self._followed:
            self._due[key] = None
            WAITING.labels().inc()
            self._is_due.release()

    def _stir_in(self, key: Key, seconds: float) -> None:
        if (later := self._later.pop(key, None)) is not None:
            later.cancel()

        def now() -> None:
            self._later.pop(key, None)
            self._stir(key)

        self._later[key] = asyncio.get_running_loop().call_later(seconds, now)

    async def _look_forever(self) -> None:
        while True:
            before = set(self._followed)  # who verifies meanwhile is not among those that are found
            try:
                wanted = await stored.subscribed_accounts(self._database)
            except StoreUnavailable as unavailable:
                log.warning("push subscriptions cannot be looked for", error=str(unavailable))
                await asyncio.sleep(RETRY_S)
                continue
            for key in wanted - self._followed.keys():
                self._follow(key)
            for key in before - wanted:
                self._unfollow(key)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _tell_forever(self) -> None:
        while True:
            await self._is_due.acquire()
            key, _ = self._due.popitem(last=False)
            WAITING.labels().dec()
            try:
                await self._tell(key)
            except (StoreUnavailable, KeyUnusable) as unavailable:
                log.warning("devices cannot be told", account=key[1], error=str(unavailable))
                self._stir_in(key, RETRY_S)
            except Exception:
                log.exception("devices could not be told", account=key[1])

    async def _tell(self, key: Key) -> None:
        """Raises StoreUnavailable, KeyUnusable."""
        following = self._followed.get(key)
        if following is None:
            return
        states = await following.now()
        async with self._database.read(key[0]) as connection:
            claimed = await stored.claim(
                connection, *key, epoch=states.epoch, modseq=states.modseq, pause_s=self._pause_s
            )
            standing = await stored.standing(connection, *key) if claimed else None
        await asyncio.gather(*(self._tell_one(key, states, each, standing) for each in claimed))
        async with self._database.read(key[0]) as connection:
            wait_s = await stored.wait_s(connection, *key, epoch=states.epoch, modseq=states.modseq)
        if wait_s is not None:
            self._stir_in(key, wait_s + 0.05)
        elif claimed:
            self._stir_in(key, self._pause_s)  # for what happened since the states were read

    async def _tell_one(self, key: Key, states: ToldStates, claimed: Claimed, standing: stored.Standing | None) -> None:
        """Raises StoreUnavailable, KeyUnusable."""
        if standing is None or not standing.allows(claimed):
            await self._forget(key, claimed, "its credentials are good no more")
            return
        place = Place(claimed.told_epoch, Modseq(claimed.told_modseq))
        changed = changed_since(states, place, claimed.types)
        if not changed:
            return
        try:
            target = stored.open_target(await self._keys.of(key[0]), key[1], claimed.sealed)
        except ContentDamaged:
            await self._forget(key, claimed, "its URL cannot be read")
            return
        told = {"@type": "StateChange", "changed": {f"A{key[1]}": changed}}
        headers = {
            "urgency": "normal" if "EmailDelivery" in changed else "low",
            "topic": _topic(key[1], changed),
        }
        result = await self.posting.post(target, orjson.dumps(told), headers)
        await self._settle(key, states, claimed, result)

    async def _settle(self, key: Key, states: ToldStates, claimed: Claimed, result: Posted) -> None:
        match result.came:
            case Came.TAKEN:
                if claimed.failures:
                    async with self._database.read(key[0]) as connection:
                        await stored.settle(connection, *key, claimed)
            case Came.GONE | Came.REFUSED:
                await self._forget(key, claimed, result.came.value)
            case Came.BUSY | Came.FAILED | Came.REJECTED if claimed.failures >= MOST_FAILURES:
                await self._forget(key, claimed, "it never answers")
            case Came.BUSY | Came.FAILED | Came.REJECTED:
                backoff_s = min(FIRST_BACKOFF_S * 2.0 ** min(claimed.failures, 20), LONGEST_BACKOFF_S)
                asked_s = min(result.retry_after_s or 0.0, LONGEST_BACKOFF_S)
                async with self._database.read(key[0]) as connection:
                    await stored.put_back(
                        connection,
                        *key,
                        claimed,
                        epoch=states.epoch,
                        modseq=states.modseq,
                        wait_s=max(backoff_s if result.retry_after_s is None else asked_s, self._pause_s),
                    )

    async def _forget(self, key: Key, claimed: Claimed, why: str) -> None:
        async with self._database.read(key[0]) as connection:
            await stored.forget(connection, *key, PushSubscriptionId(claimed.id))
        log.info("push subscription ended", account=key[1], subscription=claimed.id, reason=why)

    async def _send_code(self, target: Target, message: bytes) -> None:
        """Again where there was no answer, or trouble; never where it was rejected (RFC 9749 §6)."""
        self._codes_under_way += 1
        try:
            for pause_s in _CODE_RETRIES_S:
                if (await self.posting.post(target, message, {"urgency": "high"})).came is not Came.FAILED:
                    return
                await asyncio.sleep(pause_s)
            await self.posting.post(target, message, {"urgency": "high"})
        finally:
            self._codes_under_way -= 1


def _topic(account_id: AccountId, changed: Mapping[str, str]) -> str:
    """A message that waits for a device gives way to a later one about the same types (RFC 8030 §5.4)."""
    about = f"{account_id} {' '.join(sorted(changed))}".encode()
    return to_base64(hashlib.blake2b(about, digest_size=15).digest())
