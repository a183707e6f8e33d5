"""Hints between processes: *account 7 of tenant 3 is at modseq 42*, through Redis pub/sub (droppable, never waited
for).

A hint is published after the commit and says only where an account stands; who cares asks the table what changed. An
account belongs to one of 256 channels by the low bits of its id, so a process hears only channels of accounts that are
watched there. Whatever is lost is found by polling (`services.watching`), so nothing here blocks or raises: a sender
keeps a bounded number of hints and drops the rest, a receiver reconnects and says so.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter, gauge
from mailserver.observability.repeats import Repeats
from mailserver.tasks import end_task
from storage.types import Modseq
from tenants.types import AccountId, TenantId

HINTS = counter("hints", "Hints by what happened to them here.", "what")
LISTENING = gauge("hints_listening", "1 if this process hears hints from other processes.", across="livemin")

CHANNEL_PREFIX = b"waypost:hint:"
BUCKETS = 256
PENDING_LIMIT = 10_000  # hints waiting to be sent; more are dropped
MESSAGE_HINTS = 500  # hints in one message
SILENCE_S = 15.0  # after this long without a word the receiver asks whether Redis is still there
BACKOFF_S = (0.05, 5.0)  # first and longest wait before the receiver connects again
SENDER_PAUSE_S = 0.01  # after hints were sent, so that many writes a second share what a hint costs
SENDER_REST_S = 0.25  # how long the sender leaves Redis alone after it failed

log = get_logger()

Watched = tuple[TenantId, AccountId]
OnHint = Callable[[Watched, Modseq], None]


def bucket_of(account_id: AccountId) -> int:
    return account_id % BUCKETS


def channel_of(bucket: int) -> bytes:
    return CHANNEL_PREFIX + b"%02x" % bucket


def encode_hints(hints: Iterable[tuple[Watched, Modseq]]) -> bytes:
    return b" ".join(b"%d.%d.%d" % (tenant, account, modseq) for (tenant, account), modseq in hints)


def decode_hints(message: bytes) -> Iterator[tuple[Watched, Modseq]]:
    """What can be read of a message; anything else in it is passed over, for a newer version may have sent it."""
    for item in message.split():
        parts = item.split(b".")
        if len(parts) == 3 and all(part.isdigit() and len(part) < 20 for part in parts):
            tenant, account, modseq = (int(part) for part in parts)
            yield (TenantId(tenant), AccountId(account)), Modseq(modseq)


class HintSender:
    """Publishes hints, all that came meanwhile in one round trip. Start it, then `publish` from anywhere.

    While Redis is away, the last hint of each account waits: a receiver may be back before the sender is.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._pending: dict[Watched, Modseq] = {}
        self._wake = asyncio.Event()
        self._repeats = Repeats(time.monotonic)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._send_forever(), name="hints: send")

    async def close(self) -> None:
        await end_task(self._task)

    def publish(self, tenant_id: TenantId, account_id: AccountId, modseq: Modseq) -> None:
        """Never blocks, never raises; drops when too much waits."""
        watched = (tenant_id, account_id)
        if len(self._pending) >= PENDING_LIMIT and watched not in self._pending:
            HINTS.labels("dropped").inc()
            return
        self._pending[watched] = max(modseq, self._pending.get(watched, modseq))
        self._wake.set()

    async def _send_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            pending, self._pending = self._pending, {}
            try:
                await self._send(pending)
            except (RedisError, OSError) as error:
                if (left_out := self._repeats.worth_saying("away")) is not None:
                    log.warning("hints wait, Redis is away", error=type(error).__name__, left_out=left_out)
                for (tenant_id, account_id), modseq in pending.items():
                    self.publish(tenant_id, account_id, modseq)
                await asyncio.sleep(SENDER_REST_S)
            else:
                HINTS.labels("sent").inc(len(pending))
                self._repeats.forget("away")
                await asyncio.sleep(SENDER_PAUSE_S)

    async def _send(self, pending: dict[Watched, Modseq]) -> None:
        by_bucket: dict[int, list[tuple[Watched, Modseq]]] = {}
        for hint in pending.items():
            by_bucket.setdefault(bucket_of(hint[0][1]), []).append(hint)
        pipeline = self._redis.pipeline(transaction=False)
        for bucket, hints in by_bucket.items():
            for start in range(0, len(hints), MESSAGE_HINTS):
                pipeline.execute_command(
                    "PUBLISH", channel_of(bucket), encode_hints(hints[start : start + MESSAGE_HINTS])
                )
        await pipeline.execute()


class HintReceiver:
    """Hears the channels it is told to, and reconnects by itself.

    `on_heard` names a bucket that was (re)subscribed: hints before that are lost, so whoever watches an account of the
    bucket looks at it once. `on_away` says that hints are not heard for now.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        on_hint: OnHint,
        on_heard: Callable[[int], None],
        on_away: Callable[[], None],
        silence_s: float = SILENCE_S,
    ) -> None:
        self._redis = redis
        self._silence_s = silence_s
        self._on_hint = on_hint
        self._on_heard = on_heard
        self._on_away = on_away
        self._wanted: set[int] = set()
        self._asked: set[int] = set()
        self._changed = asyncio.Event()
        self._repeats = Repeats(time.monotonic)
        self._task: asyncio.Task[None] | None = None
        self.is_away = True
        """Whether hints are not heard now; then polling has to be quicker."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._receive_forever(), name="hints: receive")

    async def close(self) -> None:
        await end_task(self._task)

    def want(self, buckets: frozenset[int]) -> None:
        """Hear exactly these buckets from now on."""
        if buckets != self._wanted:
            self._wanted = set(buckets)
            self._changed.set()

    def want_also(self, bucket: int) -> None:
        """Hear this bucket too."""
        if bucket not in self._wanted:
            self._wanted.add(bucket)
            self._changed.set()

    async def _receive_forever(self) -> None:
        first_s, longest_s = BACKOFF_S
        wait_s = first_s
        while True:
            try:
                async with self._connected() as connection:
                    wait_s = first_s
                    await self._receive(connection)
            except (RedisError, OSError) as error:
                if (left_out := self._repeats.worth_saying("away")) is not None:
                    log.warning("hints are not heard, Redis is away", error=type(error).__name__, left_out=left_out)
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311  spreads reconnections, no secret
            wait_s = min(wait_s * 2, longest_s)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[AbstractConnection]:
        connection: AbstractConnection = self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            self.is_away = False
            LISTENING.labels().set(1)
            self._repeats.forget("away")
            yield connection
        finally:
            self.is_away = True
            LISTENING.labels().set(0)
            self._asked.clear()
            self._on_away()
            await connection.disconnect(nowait=True)

    async def _receive(self, connection: AbstractConnection) -> None:
        """Until the connection fails. Subscribing is done beside reading, so that no hint waits for it."""
        subscribing = asyncio.create_task(self._keep_subscribed(connection), name="hints: subscribe")
        reading = asyncio.create_task(self._read(connection), name="hints: read")
        try:
            done, _ = await asyncio.wait({subscribing, reading}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end_task(subscribing)
            await end_task(reading)

    async def _keep_subscribed(self, connection: AbstractConnection) -> None:
        self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            wanted = set(self._wanted)
            for command, buckets in ((b"SUBSCRIBE", wanted - self._asked), (b"UNSUBSCRIBE", self._asked - wanted)):
                if buckets:
                    await connection.send_command(command, *(channel_of(bucket) for bucket in sorted(buckets)))
            self._asked = wanted

    async def _read(self, connection: AbstractConnection) -> None:
        was_silent = False
        while True:
            reply = await connection.read_response(disable_decoding=True, timeout=self._silence_s)
            if reply is not None:
                was_silent = False
                self._take(reply)
            elif was_silent:
                raise TimeoutError("no answer to PING")
            else:
                was_silent = True
                await connection.send_command(b"PING")

    def _take(self, reply: object) -> None:
        match reply:
            case [b"message", bytes(), bytes() as message]:
                for watched, modseq in decode_hints(message):
                    HINTS.labels("heard").inc()
                    self._on_hint(watched, modseq)
            case [b"subscribe", bytes() as channel, _]:
                self._on_heard(int(channel.removeprefix(CHANNEL_PREFIX), 16))
            case _:
                pass
