"""A mailbox as POP3 lists it: every message with its size, in the order of uids."""

from dataclasses import dataclass

from storage.query import Connection, Query
from storage.types import MailboxId, MessageId, Uid
from tenants.types import TenantId


@dataclass(frozen=True, slots=True)
class _Row:
    uid: int
    message_id: int
    octets: int


_LIST = Query(
    """
    SELECT p.uid, p.message_id, m.octets
      FROM placement p
      JOIN message m ON m.tenant_id = p.tenant_id AND m.account_id = p.account_id AND m.id = p.message_id
     WHERE p.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND p.mailbox_id = %(mailbox_id)s
     ORDER BY p.uid
    """,
    row=_Row,
)


async def list_sizes(
    connection: Connection, tenant_id: TenantId, mailbox_id: MailboxId
) -> list[tuple[Uid, MessageId, int]]:
    """Uid, message and octets of each."""
    return await _LIST.tuples(connection, tenant_id=tenant_id, mailbox_id=mailbox_id)
