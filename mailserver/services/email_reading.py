"""Messages read by their ids, wherever they stand in an account: a few columns of many, or whole ones."""

from collections.abc import AsyncIterator, Mapping, Sequence

from storage import emails
from storage.content import WHOLE_LIMIT_OCTETS
from storage.emails import ENOUGH_OCTETS, EmailColumns, EmailRow, WholeEmail
from storage.store import MailStore
from storage.types import MessageId
from tenants.types import Principal

_AT_ONCE_MESSAGES = 50


async def read_columns(
    store: MailStore, who: Principal, message_ids: Sequence[MessageId], columns: EmailColumns
) -> dict[MessageId, EmailRow]:
    """One statement for all of them; those that are gone are absent. Raises ContentDamaged, StoreUnavailable."""
    async with store.database.read(who.tenant_id) as connection:
        return await emails.read_columns(connection, who.tenant_id, who.account_id, message_ids, columns)


async def read_whole(
    store: MailStore, who: Principal, sizes: Mapping[MessageId, int]
) -> AsyncIterator[Mapping[MessageId, WholeEmail]]:
    """Messages with their octets, as many at a time as are not too much; those that are gone are absent.

    `sizes` are the octets of those that are wanted. Long ones come without theirs: `messages.open_content` reads them
    in ranges.
    """
    keys = await store.keys.of(who.tenant_id)
    some: list[MessageId] = []
    octets = 0
    for message_id, size in sizes.items():
        counted = size if size <= WHOLE_LIMIT_OCTETS else 0
        if some and (octets + counted > ENOUGH_OCTETS or len(some) == _AT_ONCE_MESSAGES):
            yield await emails.read_whole(store.database, store.blobs, keys, who.account_id, some)
            some, octets = [], 0
        some.append(message_id)
        octets += counted
    if some:
        yield await emails.read_whole(store.database, store.blobs, keys, who.account_id, some)
