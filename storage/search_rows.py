"""Columns that SEARCH looks at, in narrow rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.query import Connection, Query
from storage.types import MailboxId, Uid
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class SearchFacts:
    uid: int
    octets: int
    received_at: datetime
    sent_at: datetime | None
    modseq: int


@dataclass(frozen=True, slots=True)
class SearchSubject:
    uid: int
    subject: str


_FACTS = Query(
    """
    SELECT p.uid, m.octets, m.received_at, m.sent_at, p.modseq
      FROM placement p
      JOIN message m ON m.tenant_id = p.tenant_id AND m.account_id = p.account_id AND m.id = p.message_id
     WHERE p.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND p.mailbox_id = %(mailbox_id)s
       AND p.account_id = %(account_id)s AND p.uid = ANY (%(uids)s)
    """,
    row=SearchFacts,
)
_SUBJECTS = Query(
    """
    SELECT p.uid, m.subject
      FROM placement p
      JOIN message m ON m.tenant_id = p.tenant_id AND m.account_id = p.account_id AND m.id = p.message_id
     WHERE p.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND p.mailbox_id = %(mailbox_id)s
       AND p.account_id = %(account_id)s AND p.uid = ANY (%(uids)s)
    """,
    row=SearchSubject,
)


async def facts(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, mailbox_id: MailboxId, uids: Sequence[Uid]
) -> list[SearchFacts]:
    return await _FACTS.all(
        connection, tenant_id=tenant_id, account_id=account_id, mailbox_id=mailbox_id, uids=list(uids)
    )


async def subjects(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, mailbox_id: MailboxId, uids: Sequence[Uid]
) -> list[SearchSubject]:
    return await _SUBJECTS.all(
        connection, tenant_id=tenant_id, account_id=account_id, mailbox_id=mailbox_id, uids=list(uids)
    )
