"""A large part becomes an object of its own, sealed chunk by chunk while it leaves."""

import asyncio
import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from storage.blobs.codec import CHUNK_OCTETS, compress
from storage.blobs.layout import pack_place
from storage.blobs.objects import ObjectStore
from storage.blobs.opening import last_chunk
from storage.blobs.tiered import object_name
from storage.database import Database
from storage.errors import ColdTierUnavailable, StoreUnavailable
from storage.keys import TenantKeys
from storage.steps import reached
from storage.tiers.moving import PART, begin_object, give_up_object
from storage.types import BlobDigest, BlobOctets
from tenants.types import TenantId

PATIENCE_S = 20.0
SLOWEST = 256 * 1024  # octets a second; an upload that takes longer than PATIENCE_S and this is given up


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An object that holds a part, and nothing else, from its first octet to its last. No blob rests in it yet."""

    object_id: int
    layout: bytes
    octets: int
    sha256: bytes


class SealedPieces:
    """The chunks of a part in order, each sealed when it is asked for. Once iterated, says what it came to.

    Iterated in any thread; of the part one chunk at a time is in memory.
    """

    def __init__(self, keys: TenantKeys, digest: BlobDigest, octets: BlobOctets) -> None:
        self._keys = keys
        self._digest = digest
        self._octets = octets
        self.layout = b""
        self.octets = 0
        self.sha256 = hashlib.sha256()

    def __iter__(self) -> Iterator[bytearray]:
        last = last_chunk(len(self._octets))
        for chunk in range(last + 1):
            codec, packed = compress(bytes(self._octets[chunk * CHUNK_OCTETS : (chunk + 1) * CHUNK_OCTETS]))
            sealed = self._keys.seal_long(self._digest, chunk, chunk == last, codec, packed)
            del packed
            self.layout += pack_place(self._keys.current, codec, len(sealed))
            self.octets += len(sealed)
            self.sha256.update(sealed)
            yield sealed
            del sealed


async def upload(
    database: Database, objects: ObjectStore, keys: TenantKeys, digest: BlobDigest, octets: BlobOctets
) -> Uploaded:
    """Durable and whole in a new object, whose row is there before its octets.

    Raises ColdTierUnavailable when S3 is away, slow, or does not keep what it was sent; StoreUnavailable.
    """
    object_id = await begin_object(database, keys.tenant_id, PART)
    reached("parts: begun")
    try:
        async with asyncio.timeout(PATIENCE_S + len(octets) / SLOWEST):
            uploaded = await _put(objects, object_name(keys.tenant_id, object_id), object_id, keys, digest, octets)
    except TimeoutError:
        await forget(database, keys.tenant_id, object_id)
        raise ColdTierUnavailable("an upload took too long") from None
    except ColdTierUnavailable:
        await forget(database, keys.tenant_id, object_id)
        raise
    reached("parts: uploaded")
    return uploaded


async def _put(
    objects: ObjectStore, name: str, object_id: int, keys: TenantKeys, digest: BlobDigest, octets: BlobOctets
) -> Uploaded:
    """Every request carries the checksum of its octets and S3 answers with its own; then we look how much is there."""
    pieces = SealedPieces(keys, digest, octets)
    await objects.put_pieces(name, pieces, None)
    reached("parts: sent")
    facts = await objects.facts(name)
    if facts is None or facts.octets != pieces.octets:
        raise ColdTierUnavailable(f"object {name} was not kept as it was sent")
    return Uploaded(object_id, pieces.layout, pieces.octets, pieces.sha256.digest())


async def forget(database: Database, tenant_id: TenantId, object_id: int) -> None:
    """Nothing will rest in it. If Postgres cannot be told now, upkeep gives it up a day later."""
    with contextlib.suppress(StoreUnavailable):
        await give_up_object(database, tenant_id, object_id)
