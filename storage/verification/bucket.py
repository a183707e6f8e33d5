"""What verification asks of the object store."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol


class Stored(Protocol):
    """What S3 says of one object."""

    @property
    def name(self) -> str: ...
    @property
    def octets(self) -> int: ...
    @property
    def modified_at(self) -> datetime: ...


class Bucket(Protocol):
    """Of an ObjectStore what is needed here; each raises ColdTierUnavailable when S3 is away."""

    async def get(self, name: str, offset: int, length: int) -> bytes:
        """Exactly these octets. Raises ObjectMissing, ContentDamaged."""

    async def facts(self, name: str) -> Stored | None:
        """None: it is not there."""

    def list(self, prefix: str = "", after: str = "") -> AsyncIterator[Sequence[Stored]]:
        """By ascending name, in pages."""
