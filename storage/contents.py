"""A mailbox as its sessions see it: two packed arrays, loaded in one statement.

Postgres packs the columns, so that 100,000 messages cost Python two copies of bytes rather than 100,000 rows.
"""

import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from storage.errors import MailboxNotFound
from storage.mailboxes import MAILBOX_COLUMNS, MailboxRow
from storage.query import Connection, Query
from storage.types import Mailbox, MailboxId, Modseq
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class Contents:
    """A consistent picture of one mailbox at `account_modseq`.

    `uids` ascend (array of 32-bit "I"), `flags` holds SystemFlag bits beside them ("B"), `keywords` only the uids that
    have any. `day` is the server's, when it was read.
    """

    mailbox: Mailbox
    account_modseq: Modseq
    day: date
    uids: "array[int]"
    flags: "array[int]"
    keywords: dict[int, frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Packed(MailboxRow):
    account_modseq: int
    today: date
    uids: bytes | None
    flags: bytes | None
    keyword_uids: list[int] | None
    keywords: list[str] | None


_LOAD = Query(
    f"""
    SELECT {MAILBOX_COLUMNS}, a.modseq AS account_modseq, CURRENT_DATE AS today, p.uids, p.flags, p.keyword_uids,
           p.keywords
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
        day=row.today,
        uids=_uids(row.uids or b""),
        flags=array("B", (row.flags or b"")[1::2]),
        keywords=_keywords(row.keyword_uids or (), row.keywords or ()),
    )


def _uids(octets: bytes) -> "array[int]":
    values = array("I", octets)
    if sys.byteorder == "little":
        values.byteswap()
    return values


def _keywords(uids: Sequence[int], words: Sequence[str]) -> dict[int, frozenset[str]]:
    """Equal sets are one object: many messages bear the same keywords, and all of them may bear some."""
    distinct = {each: frozenset(each.split(" ")) for each in set(words)}
    return dict(zip(uids, map(distinct.__getitem__, words), strict=True))
