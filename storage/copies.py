"""COPY and MOVE: placements in a further mailbox of the same account, with fresh uids and shared blobs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from storage.errors import MailboxNotFound, OverQuota
from storage.query import Connection, Query
from storage.types import MailboxId, Modseq, Uid
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class CopiedMessage:
    source_uid: int
    target_uid: int
    modseq: int


_COPY = Query(
    """
    SELECT source_uid, target_uid, modseq FROM copy_v1(
        %(tenant_id)s, %(account_id)s, %(source_id)s, %(uids)s::bigint[], %(target_id)s, %(is_move)s, %(quota_octets)s)
    """,
    row=CopiedMessage,
)


async def copy(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    source_id: MailboxId,
    uids: Sequence[Uid],
    target_id: MailboxId,
    *,
    is_move: bool,
    quota_octets: int | None,
) -> tuple[list[CopiedMessage], Modseq | None]:
    """Copy or move messages that still exist, at one modseq. Raises OverQuota, MailboxNotFound (the target went)."""
    with named_refusals(target_id, quota_octets):
        rows = await _COPY.all(
            connection,
            tenant_id=tenant_id,
            account_id=account_id,
            source_id=source_id,
            uids=uids,
            target_id=target_id,
            is_move=is_move,
            quota_octets=quota_octets,
        )
    return rows, Modseq(rows[0].modseq) if rows else None


@contextmanager
def named_refusals(target_id: MailboxId, quota_octets: int | None) -> Iterator[None]:
    """What the functions of the database refuse that place messages in a mailbox: OverQuota, MailboxNotFound."""
    try:
        yield
    except psycopg.Error as refusal:
        if refusal.sqlstate == "WP002":
            raise OverQuota(int(refusal.diag.message_detail or 0), quota_octets or 0) from None
        if refusal.sqlstate == "WP003":
            raise MailboxNotFound(str(target_id)) from None
        raise
