"""Hints to the role outbound: *tenant 3 has mail for example.net*, through Redis pub/sub (droppable, never waited for).

Published after the commit. Whatever is lost is found by the worker's own looking, once a second.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterable, Iterator

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from mailserver.observability.logs import get_logger
from mailserver.observability.repeats import Repeats
from mailserver.tasks import end_task
from storage.outgoing_types import Lane
from tenants.types import TenantId

CHANNEL = b"waypost:outgoing"
PENDING_LIMIT = 10_000
MESSAGE_LANES = 200
SILENCE_S = 15.0  # after this long without a word the receiver asks whether Redis is still there
BACKOFF_S = (0.05, 5.0)  # first and longest wait before the receiver connects again
SENDER_PAUSE_S = 0.05  # what is queued meanwhile shares a message
SENDER_REST_S = 0.25

log = get_logger()


def encode_lanes(lanes: Iterable[Lane]) -> bytes:
    return b" ".join(b"%d/%s" % (lane.tenant_id, lane.domain.encode()) for lane in lanes)


def decode_lanes(message: bytes) -> Iterator[Lane]:
    """What can be read of a message; anything else in it is passed over, for a newer version may have sent it."""
    for item in message.split(b" "):
        tenant, slash, domain = item.partition(b"/")
        if slash and tenant.isdigit() and len(tenant) < 20:
            with contextlib.suppress(UnicodeDecodeError):
                yield Lane(TenantId(int(tenant)), domain.decode())


class QueueHintSender:
    """Publishes what became due: the first at once, what follows soon together. Start it, then `publish`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._pending: set[Lane] = set()
        self._wake = asyncio.Event()
        self._repeats = Repeats(time.monotonic)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._send_forever(), name="queue hints: send")

    async def close(self) -> None:
        await end_task(self._task)

    def publish(self, lanes: Iterable[Lane]) -> None:
        """Never blocks, never raises; drops when too much waits."""
        if len(self._pending) < PENDING_LIMIT:
            self._pending.update(lanes)
            self._wake.set()

    async def _send_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            pending, self._pending = list(self._pending), set()
            try:
                for start in range(0, len(pending), MESSAGE_LANES):
                    message = encode_lanes(pending[start : start + MESSAGE_LANES])
                    await self._redis.execute_command("PUBLISH", CHANNEL, message)  # type: ignore[no-untyped-call]
            except (RedisError, OSError) as error:  # the worker looks by itself
                if (left_out := self._repeats.worth_saying("away")) is not None:
                    log.warning("queue hints are lost, Redis is away", error=type(error).__name__, left_out=left_out)
                await asyncio.sleep(SENDER_REST_S)
            else:
                self._repeats.forget("away")
                await asyncio.sleep(SENDER_PAUSE_S)


class QueueHintReceiver:
    """Hears what became due, and reconnects by itself. `on_heard` says that hints before now may have been lost."""

    def __init__(
        self,
        redis: Redis,
        *,
        on_lane: Callable[[Lane], None],
        on_heard: Callable[[], None],
        silence_s: float = SILENCE_S,
    ) -> None:
        self._redis = redis
        self._on_lane = on_lane
        self._on_heard = on_heard
        self._silence_s = silence_s
        self._repeats = Repeats(time.monotonic)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._receive_forever(), name="queue hints: receive")

    async def close(self) -> None:
        await end_task(self._task)

    async def _receive_forever(self) -> None:
        first_s, longest_s = BACKOFF_S
        wait_s = first_s
        while True:
            connection: AbstractConnection = self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
                await connection.send_command(b"SUBSCRIBE", CHANNEL)
                wait_s = first_s
                self._repeats.forget("away")
                await self._read(connection)
            except (RedisError, OSError) as error:
                if (left_out := self._repeats.worth_saying("away")) is not None:
                    log.warning("queue hints are not heard", error=type(error).__name__, left_out=left_out)
            finally:
                await connection.disconnect(nowait=True)
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311  spreads reconnections, no secret
            wait_s = min(wait_s * 2, longest_s)

    async def _read(self, connection: AbstractConnection) -> None:
        was_silent = False
        while True:
            reply = await connection.read_response(disable_decoding=True, timeout=self._silence_s)
            match reply:
                case None if was_silent:
                    raise TimeoutError("no answer to PING")
                case None:
                    was_silent = True
                    await connection.send_command(b"PING")
                case [b"message", _, bytes() as message]:
                    was_silent = False
                    for lane in decode_lanes(message):
                        self._on_lane(lane)
                case [b"subscribe", *_]:
                    self._on_heard()
                case _:
                    was_silent = False
