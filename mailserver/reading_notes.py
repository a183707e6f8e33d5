"""Writes what people read to the store once a minute (`storage.read_notes`), and tells of damaged content once each."""

import asyncio
import contextlib
import time

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter
from mailserver.observability.repeats import Repeats
from mailserver.tasks import end_task
from storage.blobs.tiered import Damaged
from storage.database import Database
from storage.errors import ContentDamaged, StoreUnavailable
from storage.read_notes import ReadNotes
from storage.types import BlobDigest
from tenants.types import TenantId

EVERY_S = 60.0
DAMAGED = counter("damaged_copies", "Reads that found a copy of content in an object damaged or missing.")

log = get_logger()


class NoteWriter:
    """One per process."""

    def __init__(self, database: Database, notes: ReadNotes, *, every_s: float = EVERY_S) -> None:
        self._database = database
        self._notes = notes
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._write_forever(), name="notes of reading")

    async def close(self) -> None:
        await end_task(self._task)
        with contextlib.suppress(StoreUnavailable):
            await self._notes.write(self._database)

    async def _write_forever(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            with contextlib.suppress(StoreUnavailable):  # tiers are a little worse for it
                await self._notes.write(self._database)


def tell_of_damage() -> Damaged:
    """What `TieredBlobs` tells of a copy it could not use."""
    repeats = Repeats(time.monotonic, every_s=600.0)

    def tell(tenant_id: TenantId, digest: BlobDigest, damage: ContentDamaged) -> None:
        DAMAGED.labels().inc()
        if (left_out := repeats.worth_saying((tenant_id, digest))) is not None:
            log.error(
                "a copy of stored content is damaged",
                tenant=tenant_id,
                blob=digest.hex(),
                what=damage.what,
                left_out=left_out,
            )

    return tell
