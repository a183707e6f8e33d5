"""Web Push: tells devices that hold no connection open what changed (RFC 8620 §7.2, RFC 8030, RFC 8291, RFC 8292).

Every process that runs this follows the accounts with a verified subscription. Whichever finds a change first claims
the subscriptions that were not told of it (`storage.push_subscriptions`), so each is told once; one that could not be
told is put back, to be claimed again later. Before a subscription is verified it gets one message: its code.

A message says which types of an account changed, and nothing else; it is sealed where the device gave keys.
"""

import asyncio
import hashlib
import os
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import orjson
from cryptography.hazmat.primitives.asymmetric import ec

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter, gauge
from mailserver.outward_http import NotPublic, OutwardFailed, OutwardHttp
from mailserver.services.state_changes import Following, Place, StateChanges, changed_since
from mailserver.tasks import end_task
from mailserver.web_push_encryption import (
    SALT_OCTETS,
    application_server_key,
    authorization,
    encrypt,
    parse_push_keys,
    public_octets,
    to_base64,
)
from storage import push_subscriptions as stored
from storage.database import Database
from storage.errors import ContentDamaged, KeyUnusable, StoreUnavailable
from storage.keys import KeyRing
from storage.push_subscriptions import Claimed, Target
from storage.told_states import ToldStates
from storage.types import Modseq, PushSubscriptionId
from tenants.types import AccountId, TenantId

PUSHES = counter("web_pushes", "Messages to push services, by what came of them.", "came")
WAITING = gauge("web_push_accounts_waiting", "Accounts whose devices are to be told.", across="livesum")

PAUSE_S = 2.0  # between two messages to a device; what changes meanwhile is told in the second
TTL_S = 86_400  # how long a push service keeps a message for a device that is off
TOKEN_S = 12 * 3_600  # RFC 8292 §2: at most a day
POST_S = 20.0
ANSWER_OCTETS = 64 * 1024
WORKERS = 16
LOOK_EVERY_S = 60.0  # for subscriptions that other processes verified
RETRY_S = 5.0
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 30.0, 6 * 3_600.0
MOST_FAILURES = 30  # in a row: some six days
CODES_WAITING = 1_000
CODES_IN_AN_HOUR = 20  # of one account: each makes us ask a server that somebody named
_ACCOUNTS_REMEMBERED = 10_000
_CODE_RETRIES_S = (3.0, 30.0)

log = get_logger()

Key = tuple[TenantId, AccountId]


class TooManyCodes(Exception):
    """The account made as many subscriptions lately as it may, or more wait than we send."""


class Came(Enum):
    """What came of a message."""

    TAKEN = "taken"
    GONE = "gone"
    BUSY = "busy"  # 429: we are asked to send less
    FAILED = "failed"
    REFUSED = "refused"  # it would lead inside, or its keys are none


@dataclass(frozen=True, slots=True)
class _Result:
    came: Came
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Code:
    key: Key
    target: Target
    message: bytes


class WebPush:
    """One per process. Without `start` it only sends codes."""

    def __init__(
        self,
        database: Database,
        keys: KeyRing,
        changes: StateChanges,
        outward: OutwardHttp,
        *,
        contact: str,
        pause_s: float = PAUSE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._keys = keys
        self._changes = changes
        self._outward = outward
        self._contact = contact
        self._pause_s = pause_s
        self._clock = clock
        self._private_key: ec.EllipticCurvePrivateKey | None = None
        self._followed: dict[Key, Following] = {}
        self._due: OrderedDict[Key, None] = OrderedDict()
        self._is_due = asyncio.Semaphore(0)
        self._later: dict[Key, asyncio.TimerHandle] = {}
        self._codes: asyncio.Queue[_Code] = asyncio.Queue(CODES_WAITING)
        self._sent_codes: OrderedDict[AccountId, deque[float]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    @cached_property
    def public_key(self) -> str:
        """What push services know the installation by (RFC 9749 §3)."""
        return to_base64(public_octets(self._vapid_key()))

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

    def allows(self, url: str) -> bool:
        """Whether a subscription may have it."""
        return self._outward.allows(url, https_only=True)

    def send_code(
        self, tenant_id: TenantId, account_id: AccountId, subscription_id: PushSubscriptionId, target: Target, code: str
    ) -> None:
        """The PushVerification of a new subscription, at once (RFC 8620 §7.2.2)."""
        told = {
            "@type": "PushVerification",
            "pushSubscriptionId": f"P{subscription_id}",
            "verificationCode": code,
        }
        self._codes.put_nowait(_Code((tenant_id, account_id), target, orjson.dumps(told)))
        self._begin(self._send_code(), "web push: code")

    def demand_code(self, account_id: AccountId) -> None:
        """Before a subscription is made. Raises TooManyCodes."""
        now = self._clock()
        sent = self._sent_codes.setdefault(account_id, deque())
        self._sent_codes.move_to_end(account_id)
        while sent and sent[0] < now - 3_600:
            sent.popleft()
        while len(self._sent_codes) > _ACCOUNTS_REMEMBERED:
            self._sent_codes.popitem(last=False)
        if len(sent) >= CODES_IN_AN_HOUR or self._codes.full():
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
            try:
                wanted = await stored.subscribed_accounts(self._database)
            except StoreUnavailable as unavailable:
                log.warning("push subscriptions cannot be looked for", error=str(unavailable))
                await asyncio.sleep(RETRY_S)
                continue
            for key in wanted - self._followed.keys():
                self._follow(key)
            for key in self._followed.keys() - wanted:
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
        if standing is None or not standing.allows(claimed.sign_in_epoch, claimed.app_password_id):
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
            "ttl": str(TTL_S),
            "urgency": "normal" if "EmailDelivery" in changed else "low",
            "topic": _topic(key[1], changed),
        }
        result = await self._post(target, orjson.dumps(told), headers)
        await self._settle(key, states, claimed, result)

    async def _settle(self, key: Key, states: ToldStates, claimed: Claimed, result: _Result) -> None:
        PUSHES.labels(result.came.value).inc()
        match result.came:
            case Came.TAKEN:
                if claimed.failures:
                    async with self._database.read(key[0]) as connection:
                        await stored.settle(connection, *key, claimed)
            case Came.GONE | Came.REFUSED:
                await self._forget(key, claimed, result.came.value)
            case Came.BUSY | Came.FAILED if claimed.failures >= MOST_FAILURES:
                await self._forget(key, claimed, "it never answers")
            case Came.BUSY | Came.FAILED:
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

    # -- what goes out

    async def _send_code(self) -> None:
        code = self._codes.get_nowait()
        for pause_s in (*_CODE_RETRIES_S, None):
            result = await self._post(code.target, code.message, {"ttl": str(TTL_S), "urgency": "high"})
            PUSHES.labels(result.came.value).inc()
            if pause_s is None or result.came is not Came.FAILED:
                return
            await asyncio.sleep(pause_s)

    async def _post(self, target: Target, message: bytes, headers: Mapping[str, str]) -> _Result:
        more: dict[str, str] = {"content-type": "application/json", **headers}
        try:
            if target.p256dh is not None and target.auth is not None:
                message = encrypt(
                    message,
                    parse_push_keys(target.p256dh, target.auth),
                    salt=os.urandom(SALT_OCTETS),
                    private_key=ec.generate_private_key(ec.SECP256R1()),
                )
                more["content-encoding"] = "aes128gcm"
            more["authorization"] = self._authorization(target.url)
        except ValueError:  # what is too long for one record
            return _Result(Came.REFUSED)
        try:
            answer = await self._outward.post(target.url, message, more, timeout_s=POST_S, most_octets=ANSWER_OCTETS)
        except NotPublic:
            return _Result(Came.REFUSED)
        except OutwardFailed as failed:
            log.info("a push service does not answer", reason=str(failed))
            return _Result(Came.FAILED)
        if 200 <= answer.status < 300:
            return _Result(Came.TAKEN)
        if answer.status in (404, 410):
            return _Result(Came.GONE)
        came = Came.BUSY if answer.status == 429 else Came.FAILED
        return _Result(came, _retry_after_s(answer.headers.get("retry-after", "")))

    def _authorization(self, url: str) -> str:
        parts = urlsplit(url)
        return authorization(
            self._vapid_key(),
            audience=f"{parts.scheme}://{parts.netloc}",
            subject=self._contact,
            expires_at=int(self._clock()) + TOKEN_S,
        )

    def _vapid_key(self) -> ec.EllipticCurvePrivateKey:
        if self._private_key is None:
            self._private_key = application_server_key(self._keys.web_push_secret)
        return self._private_key


def _topic(account_id: AccountId, changed: Mapping[str, str]) -> str:
    """A message that waits for a device gives way to a later one about the same types (RFC 8030 §5.4)."""
    about = f"{account_id} {' '.join(sorted(changed))}".encode()
    return to_base64(hashlib.blake2b(about, digest_size=15).digest())


def _retry_after_s(text: str) -> float | None:
    """In seconds; a date is not read (RFC 9110 §10.2.3)."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 8 else None
