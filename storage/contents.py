"""A mailbox as its sessions see it: two packed arrays, loaded in one statement.

Postgres packs the columns, so that 100,000 messages cost Python two copies of bytes rather than 100,000 rows.
"""

import sys
from array import array
from dataclasses import dataclass

from storage.errors import MailboxNotFound
from storage.mailboxes import MAILBOX_COLUMNS, MailboxRow
from storage.query import Connection, Query
from storage.types import Mailbox, MailboxId, Modseq
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class Contents:
    """A consistent picture of one mailbox at `account_modseq`.

    `uids` ascend (array of 32-bit "I"), `flags` holds SystemFlag bits beside them ("H"), `keywords` only the uids that
    have any.
    """

    mailbox: Mailbox
    account_modseq: Modseq
    uids: "array[int]"
    flags: "array[int]"
    keywords: dict[int, frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Packed(MailboxRow):
    account_modseq: int
    uids: bytes | None
    flags: bytes | None
    keyword_uids: list[int] | None
    keywords: list[str] | None


_LOAD = Query(
    f"""
    SELECT {MAILBOX_COLUMNS}, a.modseq AS account_modseq, p.uids, p.flags, p.keyword_uids, p.keywords
      FROM mailbox m
      JOIN account_state a ON a.tenant_id = m.tenant_id AND a.account_id = m.account_id
     CROSS JOIN (
        SELECT string_agg(int4send((CASE WHEN o.uid < 2147483648 THEN o.uid ELSE o.uid - 4294967296 END)::integer), ''
                          ORDER BY o.uid) AS uids,
               string_agg(int2send(o.flags), '' ORDER BY o.uid) AS flags,
               array_agg(o.uid ORDER BY o.uid) FILTER (WHERE o.keywords IS NOT NULL) AS keyword_uids,
               array_agg(array_to_string(o.keywords, ' ') ORDER BY o.uid)
                   FILTER (WHERE o.keywords IS NOT NULL) AS keywords
          FROM placement o
         WHERE o.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND o.mailbox_id = %(mailbox_id)s) p
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s))
       AND m.id = %(mailbox_id)s AND m.account_id = %(account_id)s AND m.deleted_at IS NULL
    """,  # noqa: S608 - our own column list
    row=_Packed,
)


async def load(connection: Connection, tenant_id: TenantId, account_id: AccountId, mailbox_id: MailboxId) -> Contents:
    """The mailbox at one moment. Raises MailboxNotFound."""
    row = await _LOAD.first(connection, tenant_id=tenant_id, account_id=account_id, mailbox_id=mailbox_id)
    if row is None:
        raise MailboxNotFound(str(mailbox_id))
    return Contents(
        mailbox=row.mailbox(),
        account_modseq=Modseq(row.account_modseq),
        uids=_unpacked("I", row.uids),
        flags=_unpacked("H", row.flags),
        keywords={
            uid: frozenset(words.split(" "))
            for uid, words in zip(row.keyword_uids or (), row.keywords or (), strict=True)
        },
    )


def _unpacked(typecode: str, octets: bytes | None) -> "array[int]":
    values = array(typecode, octets or b"")
    if sys.byteorder == "little":
        values.byteswap()
    return values
