"""What Emails are sorted by where no search page has it: base subjects, and headers for who stands in them."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.header_column import unpack_header
from storage.query import Connection, Query
from storage.types import MessageId
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class BaseSubject:
    message_id: int
    base_subject: str


@dataclass(frozen=True, slots=True)
class _Header:
    message_id: int
    header: bytes


_BASE_SUBJECTS = Query(
    """
    SELECT m.id AS message_id, m.base_subject FROM message m
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND m.account_id = %(account_id)s
       AND m.id = ANY (%(message_ids)s)
    """,
    row=BaseSubject,
)
_HEADERS = Query(
    """
    SELECT m.id AS message_id, m.header FROM message m
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND m.account_id = %(account_id)s
       AND m.id = ANY (%(message_ids)s)
    """,
    row=_Header,
)


async def base_subjects(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, message_ids: Sequence[MessageId]
) -> list[BaseSubject]:
    return await _BASE_SUBJECTS.all(
        connection, tenant_id=tenant_id, account_id=account_id, message_ids=list(message_ids)
    )


async def headers(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, message_ids: Sequence[MessageId]
) -> dict[MessageId, bytes]:
    """As far as their columns hold them. Raises ContentDamaged."""
    rows = await _HEADERS.all(connection, tenant_id=tenant_id, account_id=account_id, message_ids=list(message_ids))
    return {MessageId(row.message_id): unpack_header(row.header) for row in rows}
