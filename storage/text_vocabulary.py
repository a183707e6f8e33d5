"""The different words of an account's messages, packed: in them pieces of words are looked for.

Each row holds the words of some dozen messages; when there are many rows, one takes the place of all. `number` only
grows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from storage import zstd
from storage.query import Connection, Query
from tenants.types import AccountId, TenantId

_LIMIT_OCTETS = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Progress:
    """Messages up to the id `until` are in the vocabulary; `purged` were deleted since it was made anew."""

    until: int
    purged: int
    rows: int


@dataclass(frozen=True, slots=True)
class Words:
    """One row: words with single spaces between. `first_number` is that of the first row there is."""

    number: int
    words: str
    first_number: int


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    words: bytes
    first_number: int


@dataclass(frozen=True, slots=True)
class _Text:
    message_id: int
    words: str


@dataclass(frozen=True, slots=True)
class _IsPut:
    is_put: bool


_PROGRESS = Query(
    """
    SELECT s.vocabulary_id AS until, s.purged,
           (SELECT count(*) FROM text_vocabulary v
             WHERE v.tenant_id = s.tenant_id AND v.account_id = s.account_id) AS rows
      FROM text_state s
     WHERE s.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND s.account_id = %(account_id)s
    """,
    row=Progress,
)
_ROWS = Query(
    """
    SELECT v.number, v.words,
           (SELECT min(f.number) FROM text_vocabulary f
             WHERE f.tenant_id = v.tenant_id AND f.account_id = v.account_id) AS first_number
      FROM text_vocabulary v
     WHERE v.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND v.account_id = %(account_id)s
       AND v.number > %(after)s
     ORDER BY v.number
    """,
    row=_Row,
)
_TEXTS = Query(
    """
    SELECT t.message_id, t.words FROM message_text t
     WHERE t.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND t.account_id = %(account_id)s
       AND t.message_id > %(after)s
     ORDER BY t.message_id FETCH FIRST (%(limit)s::bigint) ROWS WITH TIES
    """,
    row=_Text,
)
_PUT = Query(
    """
    SELECT put_vocabulary_v1(%(tenant_id)s, %(account_id)s, %(start)s, %(until)s, %(words)s, %(replaces)s,
                             %(begins_anew)s) AS is_put
    """,
    row=_IsPut,
)


async def progress(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> Progress | None:
    return await _PROGRESS.first(connection, tenant_id=tenant_id, account_id=account_id)


async def read(connection: Connection, tenant_id: TenantId, account_id: AccountId, *, after: int) -> list[Words]:
    """Rows with numbers above one."""
    rows = await _ROWS.all(connection, tenant_id=tenant_id, account_id=account_id, after=after)
    return [
        Words(row.number, zstd.unpack(row.words, limit_octets=_LIMIT_OCTETS).decode(), row.first_number) for row in rows
    ]


async def texts(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, *, after: int, limit: int
) -> tuple[int, list[str]]:
    """The words of the next messages, whole messages, and the id of the last one; 0 when there are none."""
    rows = await _TEXTS.all(connection, tenant_id=tenant_id, account_id=account_id, after=after, limit=limit)
    return (rows[-1].message_id if rows else 0), [row.words for row in rows]


async def put(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    start: int,
    until: int,
    words: Sequence[str],
    *,
    replaces: bool = False,
    begins_anew: bool = False,
) -> bool:
    """Add the words of the messages between two ids, or with `replaces` those of all up to the second.

    False: the vocabulary had not come to `start`, so nothing was done. `begins_anew`: no deleted message is in it.
    """
    row = await _PUT.one(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        start=start,
        until=until,
        words=zstd.pack_thoroughly(" ".join(words).encode()),
        replaces=replaces,
        begins_anew=begins_anew,
    )
    return row.is_put
