"""Which messages of an account have the content of one that is about to be added: told without reading any body.

A header stands in its row, the rest of a message is named by the keyed digests of its blobs. Equal octets give equal
names as long as messages are divided into blobs by the same rule; so `header` is there by itself, and who finds only
that equal reads on.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from storage.header_column import unpack_header
from storage.placing import PreparedMessage
from storage.query import Connection, Query
from storage.types import BlobDigest, MessageId
from tenants.types import AccountId, TenantId

MESSAGES_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Likeness:
    """What is equal for equal messages. `header` is a digest of it."""

    header: bytes
    digests: tuple[BlobDigest, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    message_id: int
    header: bytes
    digests: list[bytes] | None


_READ = Query(
    """
    SELECT m.id AS message_id, m.header,
           (SELECT array_agg(b.digest ORDER BY b.ordinal) FROM message_blob b
             WHERE b.tenant_id = m.tenant_id AND b.message_id = m.id) AS digests
      FROM message m
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s))
       AND m.account_id = %(account_id)s AND m.id = ANY (%(message_ids)s)
    """,
    row=_Row,
)


def likeness(message: PreparedMessage) -> Likeness:
    return Likeness(_digest(message.facts.header), tuple(message.digests))


async def likenesses(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, message_ids: Sequence[MessageId]
) -> dict[MessageId, Likeness]:
    """Of the messages that are still there; at most MESSAGES_AT_ONCE are asked for. Raises ContentDamaged."""
    rows = await _READ.all(connection, tenant_id=tenant_id, account_id=account_id, message_ids=list(message_ids))
    return {
        MessageId(row.message_id): Likeness(
            _digest(unpack_header(row.header)), tuple(BlobDigest(each) for each in row.digests or ())
        )
        for row in rows
    }


def _digest(header: bytes) -> bytes:
    return hashlib.sha256(header).digest()
