"""Where the large parts of a message will rest, found before its transaction; there they are claimed (`claims`).

A part that the tenant has already is touched, so that collection spares it; one that is new is uploaded to an object of
its own; while S3 is away it waits in Postgres.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from storage.blobs.breaker import BreakerState
from storage.blobs.objects import ObjectStore
from storage.database import Database
from storage.errors import ColdTierUnavailable, StorageError
from storage.keys import TenantKeys
from storage.parts.uploading import Uploaded, forget, upload
from storage.parts.waiting_room import WaitingRoom
from storage.query import Query
from storage.steps import reached
from storage.types import BlobDigest, BlobOctets
from tenants.types import TenantId

PART_OCTETS = 64 * 1024
"""Longer leaf parts go to objects."""
UPLOADS_AT_ONCE = 4


class Settled(Enum):
    """Homes that need no object."""

    HERE = auto()
    """the tenant has it"""
    WAITS = auto()
    """in Postgres, until S3 is back"""


Home = Uploaded | Settled


class PartLost(StorageError):
    """The home of a part was taken away before its message was placed."""

    def __init__(self, digests: Collection[BlobDigest]) -> None:
        super().__init__("a part of the message was collected meanwhile")
        self.digests = frozenset(digests)


@dataclass(frozen=True, slots=True)
class _Digest:
    digest: bytes


_TOUCH = Query("SELECT digest FROM touch_blobs_v1(%(tenant_id)s, %(digests)s) AS t (digest)", row=_Digest)


class PartStore:
    """One per process. `waiting_octets`: how much of all parts of the installation may wait in Postgres for S3."""

    def __init__(self, database: Database, objects: ObjectStore, *, waiting_octets: int) -> None:
        self.database = database
        self.objects = objects
        self.room = WaitingRoom(database, waiting_octets)
        self._turns = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._under_way: dict[tuple[TenantId, BlobDigest], asyncio.Task[Uploaded | None]] = {}

    async def here(self, tenant_id: TenantId, digests: Collection[BlobDigest]) -> set[BlobDigest]:
        """Those that the tenant has; collection spares them for its grace time. Raises StoreUnavailable."""
        async with self.database.read(tenant_id) as connection:
            rows = await _TOUCH.all(connection, tenant_id=tenant_id, digests=sorted(digests))
        return {BlobDigest(row.digest) for row in rows}

    async def home(self, keys: TenantKeys, digest: BlobDigest, octets: BlobOctets) -> Home:
        """A home for a part that the tenant does not have.

        Raises StoreUnavailable, and ColdTierUnavailable when S3 is away and as much waits for it as may.
        """
        uploaded = await self._upload_once(keys, digest, octets)
        if uploaded is not None:
            return uploaded
        await self.room.let_in(len(octets))
        return Settled.WAITS

    async def let_wait(self, octets: int) -> None:
        """Of mail whose parts are uploaded later: there is S3, or room to wait for it. Raises ColdTierUnavailable."""
        if self.objects.breaker is BreakerState.OPEN:
            await self.room.let_in(octets)

    async def close(self) -> None:
        """End uploads that nobody waits for any more."""
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _upload_once(self, keys: TenantKeys, digest: BlobDigest, octets: BlobOctets) -> Uploaded | None:
        """What several messages bring at the same moment goes once: whoever claims it first makes it a home."""
        key = (keys.tenant_id, digest)
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._upload(keys, digest, octets))
            self._under_way[key] = task
            task.add_done_callback(lambda ended: self._ended(key, ended))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                return None  # the process ends
            raise

    def _ended(self, key: tuple[TenantId, BlobDigest], task: "asyncio.Task[Uploaded | None]") -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # whoever waited has heard

    async def _upload(self, keys: TenantKeys, digest: BlobDigest, octets: BlobOctets) -> Uploaded | None:
        """None while S3 is away. (Raised by the task, that would keep the octets: task, exception, frame, task.)"""
        async with self._turns:
            if self.objects.breaker is BreakerState.OPEN:
                return None
            try:
                return await upload(self.database, self.objects, keys, digest, octets)
            except ColdTierUnavailable:
                return None


class LargeParts:
    """The large parts of a message for one tenant, and their homes. `find_homes` before the message is placed."""

    def __init__(self, store: PartStore, keys: TenantKeys, octets: Mapping[BlobDigest, BlobOctets]) -> None:
        self._store = store
        self._keys = keys
        self._octets = octets
        self._homes: dict[BlobDigest, Home] = {}

    @property
    def digests(self) -> Collection[BlobDigest]:
        return self._octets.keys()

    def octets(self, digest: BlobDigest) -> BlobOctets:
        return self._octets[digest]

    def home(self, digest: BlobDigest) -> Home:
        return self._homes[digest]

    def lose(self, digests: Collection[BlobDigest]) -> None:
        for digest in digests:
            self._homes.pop(digest, None)

    async def find_homes(self) -> None:
        """For all that have none. Raises ColdTierUnavailable, StoreUnavailable; then what was uploaded is given up."""
        missing = self._octets.keys() - self._homes.keys()
        if not missing:
            return
        here = await self._store.here(self._keys.tenant_id, missing)
        reached("parts: touched")
        self._homes.update(dict.fromkeys(here, Settled.HERE))
        new = sorted(missing - here)
        found = await asyncio.gather(
            *(self._store.home(self._keys, digest, self._octets[digest]) for digest in new), return_exceptions=True
        )
        failures = [home for home in found if isinstance(home, BaseException)]
        for digest, home in zip(new, found, strict=True):
            if isinstance(home, BaseException):
                continue
            if failures and isinstance(home, Uploaded):
                await forget(self._store.database, self._keys.tenant_id, home.object_id)
            else:
                self._homes[digest] = home
        if failures:
            raise failures[0]
