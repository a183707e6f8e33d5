"""Where messages stand: the thread, and the mailboxes of their placements."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.query import Connection, Query
from storage.types import MessageId
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class Places:
    message_id: int
    thread_id: int
    mailbox_ids: list[int]


_PLACES = Query(
    """
    SELECT m.id AS message_id, m.thread_id,
           ARRAY(SELECT p.mailbox_id FROM placement p
                  WHERE p.tenant_id = m.tenant_id AND p.message_id = m.id ORDER BY p.mailbox_id) AS mailbox_ids
      FROM message m
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND m.account_id = %(account_id)s
       AND m.id = ANY (%(message_ids)s)
    """,
    row=Places,
)


async def places(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, message_ids: Sequence[MessageId]
) -> list[Places]:
    """Those that are there; one that stands nowhere is in the bin."""
    found = await _PLACES.all(
        connection, tenant_id=tenant_id, account_id=account_id, message_ids=list(dict.fromkeys(message_ids))
    )
    return [each for each in found if each.mailbox_ids]
