"""What a store of blobs offers. Blobs never change once written: the row comes after the blob is durable, and the
blob goes after the row is gone. Hot content rests in Postgres (`hot`); colder tiers fill further files beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from storage.keys import TenantKeys
from storage.query import Connection
from storage.types import BlobDigest


@dataclass(frozen=True, slots=True)
class SealedBlob:
    """A blob of one chunk, ready to be written in the transaction of the message that uses it."""

    digest: BlobDigest
    octets: int
    key_id: int
    codec: int
    sealed: bytes


class BlobStore(Protocol):
    async def put(self, connection: Connection, keys: TenantKeys, octets: bytes | memoryview) -> BlobDigest:
        """Keep content of any length; it is durable when the connection's transaction has committed."""

    async def read(
        self, connection: Connection, keys: TenantKeys, digest: BlobDigest, offset: int, length: int
    ) -> bytes:
        """A range of a blob. Raises ContentDamaged when it is missing, cut or altered."""

    async def delete(self, connection: Connection, keys: TenantKeys, digests: Sequence[BlobDigest]) -> int:
        """Remove blobs that nothing uses and nobody claimed since; returns how many went."""
