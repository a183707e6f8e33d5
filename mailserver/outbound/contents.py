"""Opened octets of queued messages: read when somebody asks, and kept for a message's other recipients."""

from collections import OrderedDict
from collections.abc import AsyncIterator

from mailserver.outbound.letters import OpenOctets
from storage.errors import ContentDamaged
from storage.keys import KeyUnusable
from storage.outgoing_content import last_chunk, read_chunk
from storage.outgoing_types import OutgoingId, QueuedMessage
from storage.store import MailStore
from tenants.types import TenantId

Key = tuple[TenantId, OutgoingId, int]


class Contents:
    """Keeps at most `limit_octets` of chunks, those asked for last."""

    def __init__(self, store: MailStore, limit_octets: int) -> None:
        self._store = store
        self._limit_octets = limit_octets
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self._kept_octets = 0

    def opener(self, message: QueuedMessage) -> OpenOctets:
        return lambda: self._read(message)

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
        try:
            keys = await self._store.keys.of(message.tenant_id)
        except KeyUnusable as unusable:
            raise ContentDamaged(str(unusable)) from None
        chunk = await read_chunk(self._store.database, keys, message, number)
        if key not in self._kept and len(chunk) <= self._limit_octets:
            self._kept[key] = chunk
            self._kept_octets += len(chunk)
            while self._kept_octets > self._limit_octets:
                _, dropped = self._kept.popitem(last=False)
                self._kept_octets -= len(dropped)
        return chunk
