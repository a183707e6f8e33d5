"""Opened octets of queued messages: read when they are needed, and kept for a message's other recipients.

What is asked for in one turn of the loop is read in one statement of each tenant. So a small message is asked for when
its exchange begins, as many do at once, and not when its host has agreed to take it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Sequence

from mailserver.outbound.letters import OpenOctets
from mailserver.tasks import end_task
from storage.blobs.codec import CHUNK_OCTETS
from storage.errors import ContentDamaged, KeyUnusable
from storage.outgoing_content import last_chunk, read_chunks
from storage.outgoing_types import OutgoingId, QueuedMessage
from storage.store import MailStore
from tenants.types import TenantId

AHEAD_OCTETS = 65_536  # messages up to this size are read before their host has agreed to take them
TOGETHER_OCTETS = 2 * CHUNK_OCTETS  # read by one statement

Key = tuple[TenantId, OutgoingId, int]
Wanted = tuple[QueuedMessage, int]


class Contents:
    """Keeps at most `limit_octets` of chunks, those asked for last."""

    def __init__(self, store: MailStore, limit_octets: int) -> None:
        self._store = store
        self._limit_octets = limit_octets
        self._loop = asyncio.get_running_loop()
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self._kept_octets = 0
        self._asked: dict[Key, asyncio.Future[bytes]] = {}
        self._wanted: dict[TenantId, list[Wanted]] = {}  # asked for in this turn
        self._readings: set[asyncio.Task[None]] = set()

    def opener(self, message: QueuedMessage) -> OpenOctets:
        if message.octets <= AHEAD_OCTETS and (message.tenant_id, message.id, 0) not in self._kept:
            self._ask(message, 0)
        return lambda: self._read(message)

    async def close(self) -> None:
        for reading in list(self._readings):
            await end_task(reading)

    async def _read(self, message: QueuedMessage) -> AsyncIterator[bytes]:
        """Raises MessageGone, ContentDamaged, StoreUnavailable."""
        for number in range(last_chunk(message.octets) + 1):
            yield await self._chunk(message, number)

    async def _chunk(self, message: QueuedMessage, number: int) -> bytes:
        key = (message.tenant_id, message.id, number)
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        return await asyncio.shield(self._ask(message, number))  # others may wait for it

    def _ask(self, message: QueuedMessage, number: int) -> "asyncio.Future[bytes]":
        key = (message.tenant_id, message.id, number)
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = self._loop.create_future()
            asked.add_done_callback(_ignore)
            if message.tenant_id not in self._wanted:
                self._wanted[message.tenant_id] = []
                self._loop.call_soon(self._begin_reading, message.tenant_id)
            self._wanted[message.tenant_id].append((message, number))
        return asked

    def _begin_reading(self, tenant_id: TenantId) -> None:
        for portion in _portions(self._wanted.pop(tenant_id)):
            reading = self._loop.create_task(self._read_portion(tenant_id, portion), name="outbound: read")
            self._readings.add(reading)
            reading.add_done_callback(self._readings.discard)

    async def _read_portion(self, tenant_id: TenantId, portion: Sequence[Wanted]) -> None:
        """A door of its own, as it runs beside those who wait for it: they are told."""
        asked = [self._asked[message.tenant_id, message.id, number] for message, number in portion]
        try:
            results = await read_chunks(self._store.database, await self._store.keys.of(tenant_id), portion)
        except KeyUnusable as unusable:
            results = [ContentDamaged(str(unusable))] * len(portion)
        except Exception as failure:  # noqa: BLE001 (handed on to who asked)
            results = [failure] * len(portion)
        finally:
            for message, number in portion:
                del self._asked[message.tenant_id, message.id, number]
        for (message, number), future, result in zip(portion, asked, results, strict=True):
            if isinstance(result, bytes):
                self._keep((message.tenant_id, message.id, number), result)
                future.set_result(result)
            else:
                future.set_exception(result)

    def _keep(self, key: Key, chunk: bytes) -> None:
        if len(chunk) <= self._limit_octets:
            self._kept[key] = chunk
            self._kept_octets += len(chunk)
            while self._kept_octets > self._limit_octets:
                _, dropped = self._kept.popitem(last=False)
                self._kept_octets -= len(dropped)


def _portions(wanted: Sequence[Wanted]) -> Iterator[Sequence[Wanted]]:
    portion: list[Wanted] = []
    octets = 0
    for message, number in wanted:
        own = min(message.octets, CHUNK_OCTETS)
        if portion and octets + own > TOGETHER_OCTETS:
            yield portion
            portion, octets = [], 0
        portion.append((message, number))
        octets += own
    yield portion


def _ignore(future: "asyncio.Future[bytes]") -> None:
    """Nobody may have waited for it: its exchange ended before."""
    if not future.cancelled():
        future.exception()
