"""A message put together from its header and its blobs, as a client would get it."""

from storage.blobs.hot import HotBlobs
from storage.blobs.tiered import TieredBlobs
from storage.content import open_content
from storage.errors import ContentDamaged
from storage.keys import TenantKeys
from storage.types import MessageId
from storage.verification.ground import Ground
from tenants.types import AccountId

_PIECE_OCTETS = 1024 * 1024


async def rebuild(ground: Ground, keys: TenantKeys, account_id: AccountId, message_id: int) -> int:
    """Returns its octets. Raises MessageGone, ContentDamaged, ColdTierUnavailable.

    Through a reader of its own, so that no blob counts as read by somebody.
    """
    blobs = TieredBlobs(HotBlobs(), ground.bucket)
    async with ground.database.read(keys.tenant_id) as connection:
        content = await open_content(
            connection, ground.database, blobs, keys, keys.tenant_id, account_id, MessageId(message_id)
        )
    read = 0
    while read < content.octets:
        piece = await content.read(read, _PIECE_OCTETS)
        if not piece:
            raise ContentDamaged(f"the message ends after {read} octets")
        read += len(piece)
        await ground.pace.spend(len(piece))
    return content.octets
