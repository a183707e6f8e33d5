"""What people read, noted now and then, for the tiers: what was read lately stays hot, or comes back.

A note costs a reader nothing but a place in a set; the sets are written once a minute. They may be lost, and what comes
beyond their size is not noted: tiers are no worse for it than a little. Downloads of whole mailboxes are no reading of
any one message, and are not noted.
"""

from collections.abc import Sequence

from storage.database import Database
from storage.query import Query
from storage.types import BlobDigest
from tenants.types import TenantId

FEW_MESSAGES = 20
"""Up to so many messages at once are read; more are downloaded."""

_LIMIT = 20_000
_AT_ONCE = 1_000

_NOTE = Query[None]("SELECT note_reads_v1(%(tenant_id)s, %(digests)s)")


class ReadNotes:
    """One per process."""

    def __init__(self) -> None:
        self._read: dict[TenantId, set[BlobDigest]] = {}
        self._count = 0

    def note(self, tenant_id: TenantId, digests: Sequence[BlobDigest]) -> None:
        if self._count < _LIMIT:
            noted = self._read.setdefault(tenant_id, set())
            before = len(noted)
            noted.update(digests)
            self._count += len(noted) - before

    async def write(self, database: Database) -> int:
        """Returns how many. Raises StoreUnavailable: then what was not written is forgotten."""
        read, self._read = self._read, {}
        written, self._count = self._count, 0
        for tenant_id, digests in read.items():
            ordered = sorted(digests)
            for start in range(0, len(ordered), _AT_ONCE):
                async with database.read(tenant_id) as connection:
                    await _NOTE.execute(connection, tenant_id=tenant_id, digests=ordered[start : start + _AT_ONCE])
        return written
