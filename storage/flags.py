"""STORE and EXPUNGE: what changes about placements, and what takes them away."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import psycopg

from storage.errors import TooManyKeywords
from storage.query import Connection, Query
from storage.types import FlagChange, Flags, MailboxId, Modseq, SystemFlag, Uid
from tenants.policies import Keeping
from tenants.types import AccountId, TenantId

CHUNK_MESSAGES = 1000  # how many placements one modseq covers at most
KEYWORDS_PER_MESSAGE = 100


@dataclass(frozen=True, slots=True)
class StoredFlags:
    """One named message after a STORE. `outcome` is changed, same, or newer (UNCHANGEDSINCE spared it)."""

    uid: Uid
    outcome: str
    flags: Flags
    modseq: Modseq

    @property
    def is_changed(self) -> bool:
        return self.outcome == "changed"

    @property
    def is_spared(self) -> bool:
        return self.outcome == "newer"


@dataclass(frozen=True, slots=True)
class FlagRequest:
    """One STORE over at most CHUNK_MESSAGES uids. UNCHANGEDSINCE spares what has a higher modseq (RFC 7162 §3.1.3)."""

    mailbox_id: MailboxId
    uids: Sequence[Uid]
    change: FlagChange
    unchanged_since: Modseq | None = None


@dataclass(frozen=True, slots=True)
class _FlagsRow:
    request: int
    uid: int
    outcome: str
    flags: int
    keywords: list[str] | None
    modseq: int


@dataclass(frozen=True, slots=True)
class _Expunged:
    uid: int
    modseq: int


_CHANGE = Query(
    """
    SELECT request, uid, outcome, flags, keywords, modseq FROM change_flags_v2(
        %(tenant_id)s, %(account_id)s, %(mailbox_ids)s, %(counts)s, %(uids)s, %(operations)s, %(bits)s, %(words)s,
        %(unchanged_sinces)s, %(keyword_limit)s)
    """,
    row=_FlagsRow,
)
_EXPUNGE = Query(
    """
    SELECT uid, modseq FROM expunge_v2(
        %(tenant_id)s, %(account_id)s, %(mailbox_id)s, %(uids)s::bigint[], %(everything)s, %(limit)s, %(keeps)s,
        %(is_held)s)
    """,
    row=_Expunged,
)


async def change_flags(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, requests: Sequence[FlagRequest]
) -> list[list[StoredFlags]]:
    """STOREs of one account in one transaction, each at a modseq of its own; of each the messages that are still there.

    Raises TooManyKeywords: then none is done.
    """
    try:
        rows = await _CHANGE.all(
            connection,
            tenant_id=tenant_id,
            account_id=account_id,
            mailbox_ids=[each.mailbox_id for each in requests],
            counts=[len(each.uids) for each in requests],
            uids=[uid for each in requests for uid in each.uids],
            operations=[each.change.operation for each in requests],
            bits=[each.change.flags.system for each in requests],
            words=[joined_keywords(each.change.flags.keywords) for each in requests],
            unchanged_sinces=[each.unchanged_since for each in requests],
            keyword_limit=KEYWORDS_PER_MESSAGE,
        )
    except psycopg.Error as refusal:
        if refusal.sqlstate == "WP001":
            raise TooManyKeywords(KEYWORDS_PER_MESSAGE) from None
        raise
    stored: list[list[StoredFlags]] = [[] for _ in requests]
    for row in rows:
        stored[row.request - 1].append(
            StoredFlags(Uid(row.uid), row.outcome, as_flags(row.flags, row.keywords), Modseq(row.modseq))
        )
    return stored


def joined_keywords(keywords: Collection[str]) -> str | None:
    """Arrays of arrays must be rectangular, so they travel as one text; a keyword holds no space."""
    return " ".join(keywords_column(keywords) or ()) or None


async def expunge(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    mailbox_id: MailboxId,
    uids: Sequence[Uid] | None,
    *,
    keeping: Keeping,
    everything: bool = False,
) -> tuple[list[Uid], Modseq | None]:
    r"""Remove up to CHUNK_MESSAGES placements with \Deleted (or all of them); call again until the answer is empty.

    Messages that stand nowhere else go to the bin (`recoverable`) if `keeping` says so.
    """
    rows = await _EXPUNGE.all(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        mailbox_id=mailbox_id,
        uids=uids,
        everything=everything,
        limit=CHUNK_MESSAGES,
        keeps=keeping.keeps,
        is_held=keeping.is_held,
    )
    return [Uid(row.uid) for row in rows], Modseq(rows[0].modseq) if rows else None


def keywords_column(keywords: Collection[str]) -> list[str] | None:
    """As a placement holds them: each once, whatever its case. Raises TooManyKeywords."""
    distinct = {keyword.lower(): keyword for keyword in sorted(keywords, reverse=True)}
    if len(distinct) > KEYWORDS_PER_MESSAGE:
        raise TooManyKeywords(KEYWORDS_PER_MESSAGE)
    return sorted(distinct.values()) or None


def as_flags(bits: int, keywords: Sequence[str] | None) -> Flags:
    return Flags(SystemFlag(bits), frozenset(keywords) if keywords else frozenset())
