"""The words of messages in the database: kept, found, and how far an account is indexed.

What stands in `words` is the business of `mailserver.services.indexing`; here it is text. Whoever searches names the
words as the index has them: `index_key` before each.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from storage.database import Database
from storage.packed_numbers import unpacked
from storage.query import Connection, Query, run, run_together
from storage.types import MailboxId, MessageId, Modseq
from tenants.types import AccountId, TenantId

DAMAGED, OUT_OF_REACH, IN_BIN = 1, 2, 3
"""Problems of a row: it has no words because the message could not be read, for good, for now, or while it stands
nowhere."""


@dataclass(frozen=True, slots=True)
class TextRow:
    """`part` counts from 0. With a problem there are no words."""

    message_id: MessageId
    part: int
    words: str
    problem: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """The words of every message created up to the modseq `indexed` are kept; `account` is where the account stands.

    `is_behind`: some were created since. `has_problems`: some could not be read. The vocabulary holds the words of
    messages up to the id `vocabulary`; `has_tail`: there are indexed ones above it.
    """

    indexed: Modseq
    account: Modseq
    is_behind: bool
    has_problems: bool
    vocabulary: int
    has_tail: bool


@dataclass(frozen=True, slots=True)
class Unindexed:
    """A message without words, and the modseq at which it was created."""

    message_id: int
    modseq: int


@dataclass(frozen=True, slots=True)
class Behind:
    """An account that moved since it was indexed."""

    tenant_id: int
    account_id: int


@dataclass(frozen=True, slots=True)
class _Standing:
    indexed: int
    account: int
    is_behind: bool
    has_problems: bool
    vocabulary: int
    has_tail: bool


@dataclass(frozen=True, slots=True)
class _Rows:
    rows: int


@dataclass(frozen=True, slots=True)
class _Packed:
    packed: bytes | None


@dataclass(frozen=True, slots=True)
class _Id:
    id: int


@dataclass(frozen=True, slots=True)
class _May:
    may: bool


@dataclass(frozen=True, slots=True)
class IndexSize:
    """`rows` are estimated by the last ANALYZE."""

    index_octets: int
    table_octets: int
    rows: int


# Each by the order of one index: asked whether there is any, the planner may walk through all the account has.
_STANDING = Query(
    """
    SELECT coalesce(s.modseq, 0) AS indexed, a.modseq AS account,
           coalesce((SELECT m.created_modseq FROM message m
                      WHERE m.tenant_id = a.tenant_id AND m.account_id = a.account_id
                      ORDER BY m.created_modseq DESC LIMIT 1), 0) > coalesce(s.modseq, 0) AS is_behind,
           (SELECT t.problem FROM message_text t
             WHERE t.tenant_id = a.tenant_id AND t.account_id = a.account_id AND t.problem > 0
             ORDER BY t.problem DESC LIMIT 1) IS NOT NULL AS has_problems,
           coalesce(s.vocabulary_id, 0) AS vocabulary,
           coalesce((SELECT t.message_id FROM message_text t
                      WHERE t.tenant_id = a.tenant_id AND t.account_id = a.account_id
                      ORDER BY t.message_id DESC LIMIT 1), 0) > coalesce(s.vocabulary_id, 0) AS has_tail
      FROM account_state a
      LEFT JOIN text_state s ON s.tenant_id = a.tenant_id AND s.account_id = a.account_id
     WHERE a.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND a.account_id = %(account_id)s
    """,
    row=_Standing,
)
_UNINDEXED = Query(
    """
    SELECT m.id AS message_id, m.created_modseq AS modseq FROM message m
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND m.account_id = %(account_id)s
       AND m.created_modseq > %(after)s AND m.created_modseq <= %(up_to)s
     ORDER BY m.created_modseq FETCH FIRST (%(limit)s::bigint) ROWS WITH TIES
    """,
    row=Unindexed,
)
_PROBLEMS = Query(
    """
    SELECT t.message_id AS id FROM message_text t
     WHERE t.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND t.account_id = %(account_id)s
       AND t.message_id > %(after)s AND t.problem > 0 AND t.problem = %(problem)s
     ORDER BY t.message_id LIMIT %(limit)s
    """,
    row=_Id,
)
_PUT = Query(
    """
    SELECT put_texts_v1(%(tenant_id)s, %(account_id)s, %(modseq)s, %(message_ids)s, %(parts)s, %(words)s,
                        %(problems)s) AS rows
    """,
    row=_Rows,
)
_FIND = Query(
    "SELECT find_texts_v1(%(tenant_id)s, %(account_id)s, %(words)s, %(phrases)s) AS packed",
    row=_Packed,
)
_FIND_IN = Query(
    "SELECT find_texts_in_v1(%(tenant_id)s, %(account_id)s, %(mailbox_id)s, %(words)s, %(phrases)s) AS packed",
    row=_Packed,
)
_SCAN_IN = Query(
    """
    SELECT scan_texts_in_v1(%(tenant_id)s, %(account_id)s, %(mailbox_id)s, %(after)s, %(phrases)s,
                            %(pattern)s) AS packed
    """,
    row=_Packed,
)
_PLACED = Query(
    """
    SELECT p.uid AS id FROM placement p
     WHERE p.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND p.message_id = ANY (%(message_ids)s)
       AND p.mailbox_id = %(mailbox_id)s AND p.account_id = %(account_id)s
    """,
    row=_Id,
)
_BEHIND = Query(
    """
    SELECT a.tenant_id, a.account_id FROM account_state a
      LEFT JOIN text_state s ON s.tenant_id = a.tenant_id AND s.account_id = a.account_id
     WHERE s.modseq IS NULL OR s.modseq < a.modseq
    """,
    row=Behind,
    role="waypost_system",
    scans=("account_state", "text_state"),
)
_WITH_PROBLEM = Query(
    """
    SELECT DISTINCT t.account_id AS id FROM message_text t
     WHERE t.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND t.problem > 0 AND t.problem = %(problem)s
    """,
    row=_Id,
)
_MAY_REINDEX = Query(
    """
    SELECT current_setting('server_version_num')::integer >= 170000 AS may
    """,
    row=_May,
    role="waypost_system",
)
_SIZE = Query(
    "SELECT index_octets, table_octets, rows FROM text_index_octets_v1()", row=IndexSize, role="waypost_system"
)


def index_key(tenant_id: TenantId, account_id: AccountId) -> str:
    """What every word of an account begins with in the index."""
    return f"{tenant_id:x}.{account_id:x}."


async def standing(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> Standing | None:
    """None: there is no such account."""
    row = await _STANDING.first(connection, tenant_id=tenant_id, account_id=account_id)
    if row is None:
        return None
    return Standing(
        Modseq(row.indexed), Modseq(row.account), row.is_behind, row.has_problems, row.vocabulary, row.has_tail
    )


async def unindexed(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, stands: Standing, limit: int
) -> list[Unindexed]:
    """The first messages created after those that are indexed, in that order; of one modseq all, beyond the limit."""
    return await _UNINDEXED.all(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        after=stands.indexed,
        up_to=stands.account,
        limit=limit,
    )


async def with_problem(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    problem: int,
    *,
    after: int = 0,
    limit: int = 100,
) -> list[MessageId]:
    rows = await _PROBLEMS.all(
        connection, tenant_id=tenant_id, account_id=account_id, problem=problem, after=after, limit=limit
    )
    return [MessageId(row.id) for row in rows]


async def put(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    rows: Sequence[TextRow],
    up_to: Modseq | None,
) -> int:
    """Keep these rows; and the account is indexed up to that modseq. Returns how many rows were written."""
    done = await _PUT.one(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        modseq=up_to,
        message_ids=[row.message_id for row in rows],
        parts=[row.part for row in rows],
        words=[row.words for row in rows],
        problems=[row.problem for row in rows],
    )
    return done.rows


async def find(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, words: str, phrases: Sequence[str] | None
) -> "array[int]":
    """Ids of messages whose words match a tsquery and, where phrases are given, hold one of them."""
    row = await _FIND.one(connection, tenant_id=tenant_id, account_id=account_id, words=words, phrases=phrases)
    return unpacked("q", row.packed)


@dataclass(frozen=True, slots=True)
class Reading:
    """Words of messages with ids above `after` are read, too: whether they hold one of the phrases, and match the
    pattern (a regular expression)."""

    after: int
    phrases: Sequence[str]
    pattern: str | None


async def find_in(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    mailbox_id: MailboxId,
    words: str,
    phrases: Sequence[str] | None,
    reading: Reading | None,
) -> set[int]:
    """The same in one mailbox: uids. One round trip."""
    where = {"tenant_id": tenant_id, "account_id": account_id, "mailbox_id": mailbox_id}
    asked: list[tuple[Query[_Packed], Mapping[str, object]]] = [
        (_FIND_IN, {**where, "words": words, "phrases": phrases})
    ]
    if reading is not None:
        scanned = {"after": reading.after, "phrases": list(reading.phrases), "pattern": reading.pattern}
        asked.append((_SCAN_IN, {**where, **scanned}))
    uids: set[int] = set()
    for rows in await run_together(connection, asked):
        uids.update(*(unpacked("q", row.packed) for row in rows))
    return uids


async def uids_of(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    mailbox_id: MailboxId,
    message_ids: Sequence[MessageId],
) -> list[int]:
    """Where these messages stand in a mailbox."""
    rows = await _PLACED.all(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        mailbox_id=mailbox_id,
        message_ids=list(message_ids),
    )
    return [row.id for row in rows]


async def behind(database: Database) -> list[tuple[TenantId, AccountId]]:
    """Accounts that moved since they were indexed, whether by new messages or otherwise."""
    async with database.system_single() as connection:
        rows = await _BEHIND.all(connection)
    return [(TenantId(row.tenant_id), AccountId(row.account_id)) for row in rows]


async def accounts_with_problem(database: Database, tenant_id: TenantId, problem: int) -> list[AccountId]:
    async with database.read(tenant_id) as connection:
        rows = await _WITH_PROBLEM.all(connection, tenant_id=tenant_id, problem=problem)
    return [AccountId(row.id) for row in rows]


async def reindex(database: Database) -> bool:
    """Build the index anew beside itself; searching and indexing go on. False: this PostgreSQL (before 17) lets only
    the owner do that. It may take hours; whoever gives up waiting ends it, and an unfinished index stays behind."""
    async with database.system_single() as connection:
        if not (await _MAY_REINDEX.one(connection)).may:
            return False
        await run(connection, b"SET statement_timeout = 0")
        await run(connection, b"SET lock_timeout = '10s'")
        await run(connection, b"REINDEX INDEX CONCURRENTLY message_text_words")
        await run(connection, b"RESET statement_timeout")
        await run(connection, b"RESET lock_timeout")
    return True


async def size(database: Database) -> IndexSize:
    async with database.system_single() as connection:
        return await _SIZE.one(connection)
