"""Large parts are claimed in the transaction of their messages, wherever they rest.

What was touched before may have been collected since (a clock leapt), and an object may have been given up. Then the
transaction ends in PartLost, and is to be done again with another home for that part.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from storage.blobs.hot import HotBlobs
from storage.keys import TenantKeys
from storage.parts.homes import Home, LargeParts, PartLost, Settled
from storage.parts.uploading import Uploaded
from storage.query import Connection, Query
from storage.types import BlobDigest


@dataclass(frozen=True, slots=True)
class _IsNew:
    is_new: bool


@dataclass(frozen=True, slots=True)
class _GivenUp:
    object_id: int


_HOLD = Query[None](
    """
    UPDATE blob SET touched_at = now() WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND digest = %(digest)s
    """
)
_CLAIM = Query(
    """
    SELECT claim_part_v1(
        %(tenant_id)s, %(digest)s, %(octets)s, %(object_id)s, %(layout)s, %(stored_octets)s) AS is_new
    """,
    row=_IsNew,
)
_SETTLE = Query(
    """
    SELECT object_id FROM settle_parts_v1(
        %(tenant_id)s, %(objects)s::bigint[], %(are_homes)s, %(octets)s::bigint[], %(sha256)s) AS t (object_id)
    """,
    row=_GivenUp,
)


@dataclass(frozen=True, slots=True)
class _Object:
    """An object that was written for a part, and whether it became the part's home."""

    digest: BlobDigest
    uploaded: Uploaded
    is_home: bool


class Claims:
    """Parts of messages that are placed in one transaction: each is claimed once, then the objects are settled."""

    def __init__(self, blobs: HotBlobs, keys: TenantKeys, messages: Sequence[LargeParts]) -> None:
        self._blobs = blobs
        self._keys = keys
        self._offers: dict[BlobDigest, list[tuple[Home, LargeParts]]] = {}
        for parts in messages:
            for digest in parts.digests:
                self._offers.setdefault(digest, []).append((parts.home(digest), parts))
        self._objects: list[_Object] = []

    @property
    def digests(self) -> Collection[BlobDigest]:
        return self._offers.keys()

    async def claim(self, connection: Connection, digest: BlobDigest) -> None:
        """In the order of digests. Raises PartLost."""
        offers = self._offers[digest]
        uploads = {home.object_id: home for home, _ in offers if isinstance(home, Uploaded)}
        tenant_id = self._keys.tenant_id
        if uploads:
            chosen, *others = uploads.values()
            row = await _CLAIM.one(
                connection,
                tenant_id=tenant_id,
                digest=digest,
                octets=len(offers[0][1].octets(digest)),
                object_id=chosen.object_id,
                layout=chosen.layout,
                stored_octets=chosen.octets,
            )
            self._objects.append(_Object(digest, chosen, row.is_new))
            self._objects += [_Object(digest, other, is_home=False) for other in others]
            return
        waiting = [parts for home, parts in offers if home is Settled.WAITS]
        if waiting:
            octets = waiting[0].octets(digest)
            await self._blobs.put_long(connection, self._keys, digest, octets, is_waiting=True)
        elif not await _HOLD.execute(connection, tenant_id=tenant_id, digest=digest):
            raise PartLost([digest])

    async def settle(self, connection: Connection) -> None:
        """When all are claimed. Raises PartLost."""
        if not self._objects:
            return
        given_up = await _SETTLE.all(
            connection,
            tenant_id=self._keys.tenant_id,
            objects=[each.uploaded.object_id for each in self._objects],
            are_homes=[each.is_home for each in self._objects],
            octets=[each.uploaded.octets for each in self._objects],
            sha256=[each.uploaded.sha256 for each in self._objects],
        )
        if given_up:
            lost = {row.object_id for row in given_up}
            raise PartLost([each.digest for each in self._objects if each.uploaded.object_id in lost])
