"""Mail that was accepted for several tenants or many accounts, and is placed after the 250.

One row and its sealed chunks commit before the answer; placing follows tenant by tenant. A process leases a row
while it places it, and inbound_placed makes a replay harmless, so whoever finds an expired lease may simply start
again.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.blobs.codec import CHUNK_OCTETS, compress, decompress
from storage.database import Database
from storage.errors import ContentDamaged
from storage.keys import KeyRing
from storage.query import Query
from storage.types import InboundId
from tenants.types import AccountId, TenantId

LEASE_S = 300.0


@dataclass(frozen=True, slots=True)
class Inbound:
    """Accepted mail and whom it is for."""

    id: InboundId
    accepted_at: datetime
    octets: int
    accounts: Sequence[tuple[TenantId, AccountId]]


@dataclass(frozen=True, slots=True)
class _Id:
    id: int


@dataclass(frozen=True, slots=True)
class _InboundRow:
    id: int
    accepted_at: datetime
    octets: int
    tenant_ids: list[int]
    account_ids: list[int]


@dataclass(frozen=True, slots=True)
class _Chunk:
    chunk: int
    codec: int
    sealed: bytes


_NEXT_ID = Query("SELECT nextval('mail_id') AS id", row=_Id, role="waypost_system")
_ADD = Query[None](
    """
    INSERT INTO inbound (id, accepted_at, octets, tenant_ids, account_ids, leased_until)
    VALUES (%(id)s, %(accepted_at)s, %(octets)s, %(tenant_ids)s::bigint[], %(account_ids)s::bigint[],
            now() + make_interval(secs => %(lease_s)s))
    """,
    role="waypost_system",
)
_ADD_CHUNK = Query[None](
    """
    INSERT INTO inbound_content (inbound_id, chunk, codec, sealed) VALUES (%(id)s, %(chunk)s, %(codec)s, %(sealed)s)
    """,
    role="waypost_system",
)
_LEASE_FORGOTTEN = Query(
    """
    UPDATE inbound i SET leased_until = now() + make_interval(secs => %(lease_s)s)
      FROM (SELECT id FROM inbound WHERE leased_until < now() ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED) f
     WHERE i.id = f.id
    RETURNING i.id, i.accepted_at, i.octets, i.tenant_ids, i.account_ids
    """,
    row=_InboundRow,
    role="waypost_system",
    scans=["inbound"],
)
_READ_CHUNK = Query(
    "SELECT chunk, codec, sealed FROM inbound_content WHERE inbound_id = %(id)s AND chunk = %(chunk)s",
    row=_Chunk,
)
_REMOVE_CONTENT = Query[None]("DELETE FROM inbound_content WHERE inbound_id = %(id)s", role="waypost_system")
_REMOVE = Query[None]("DELETE FROM inbound WHERE id = %(id)s", role="waypost_system")


async def accept(
    database: Database,
    keys: KeyRing,
    octets: bytes | memoryview,
    accepted_at: datetime,
    accounts: Sequence[tuple[TenantId, AccountId]],
    *,
    lease_s: float = LEASE_S,
) -> Inbound:
    """Make the mail durable; it is leased to the caller, who goes on to place it."""
    async with database.system() as connection:
        inbound_id = InboundId((await _NEXT_ID.one(connection)).id)
        await _ADD.execute(
            connection,
            id=inbound_id,
            accepted_at=accepted_at,
            octets=len(octets),
            tenant_ids=[tenant for tenant, _ in accounts],
            account_ids=[account for _, account in accounts],
            lease_s=lease_s,
        )
        for chunk, start in enumerate(range(0, len(octets), CHUNK_OCTETS)):
            piece = bytes(octets[start : start + CHUNK_OCTETS])
            codec, sealed = await asyncio.to_thread(_seal, keys, inbound_id, chunk, piece)
            await _ADD_CHUNK.execute(connection, id=inbound_id, chunk=chunk, codec=codec, sealed=sealed)
    return Inbound(inbound_id, accepted_at, len(octets), tuple(accounts))


async def lease_forgotten(database: Database, limit: int, *, lease_s: float = LEASE_S) -> list[Inbound]:
    """Mail whose placing stopped half way: its process ended."""
    async with database.system() as connection:
        rows = await _LEASE_FORGOTTEN.all(connection, lease_s=lease_s, limit=limit)
    return [
        Inbound(
            InboundId(row.id),
            row.accepted_at,
            row.octets,
            [
                (TenantId(tenant), AccountId(account))
                for tenant, account in zip(row.tenant_ids, row.account_ids, strict=True)
            ],
        )
        for row in rows
    ]


async def read(database: Database, keys: KeyRing, inbound: Inbound) -> AsyncIterator[bytes]:
    """The message in pieces, one in memory at a time. Raises ContentDamaged, at its end if it is cut."""
    tenant_id = inbound.accounts[0][0]
    octets = 0
    for number in range(-(-inbound.octets // CHUNK_OCTETS)):
        async with database.read(tenant_id) as connection:
            chunk = await _READ_CHUNK.first(connection, id=inbound.id, chunk=number)
        if chunk is None:
            break
        piece = await asyncio.to_thread(_open, keys, inbound.id, chunk)
        octets += len(piece)
        yield piece
    if octets != inbound.octets:
        raise ContentDamaged(f"inbound message {inbound.id} is cut")


def _seal(keys: KeyRing, inbound_id: InboundId, chunk: int, octets: bytes) -> tuple[int, bytes]:
    codec, packed = compress(octets)
    return codec, keys.seal_inbound(inbound_id, chunk, codec, packed)


def _open(keys: KeyRing, inbound_id: InboundId, row: _Chunk) -> bytes:
    return decompress(row.codec, keys.open_inbound(inbound_id, row.chunk, row.codec, row.sealed))


async def remove(database: Database, inbound_id: InboundId) -> None:
    """It is placed for everyone."""
    async with database.system() as connection:
        await _REMOVE_CONTENT.execute(connection, id=inbound_id)
        await _REMOVE.execute(connection, id=inbound_id)
