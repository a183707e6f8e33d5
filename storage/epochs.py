"""A new epoch of accounts: after a restore, or a failover that lost transactions, no client's cache goes wrong.

Clients may have seen a time that is lost. What they know of it must not mean something else later, so numbers leap:

* modseq by 2^40: at 10,000 changes a second that is three years; 2^53, what JSON numbers hold, is 8,000 epochs away,
  and the largest mod-sequence (2^63 - 1, RFC 7162 §7) a thousand times as far;
* uidnext of each mailbox, and the account's next uidvalidity, by 2^20: a million messages for one mailbox in the lost
  time, and 4,000 epochs before 2^32. A mailbox that comes near the end gets a new uidvalidity instead;
* ids of messages and mailboxes by 2^32 of 2^48, of tenants and people by 2^20.

What the lost time *removed* is there again, and clients count on a uid never coming back. `LostTime` reads from the
database that went on (still there, or recovered to the end of the WAL) what that was, and those messages get new uids.
Where nobody can know it, a new uidvalidity is the only right answer, and every client reads its mailboxes anew.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import AsyncConnection

from storage.database import Database
from storage.query import Connection, Query
from storage.types import MailboxId, Modseq, Uid
from tenants.types import AccountId, TenantId

MODSEQ_LEAP = 2**40
UID_LEAP = 2**20
MAIL_ID_LEAP = 2**32
OTHER_ID_LEAP = 2**20
ACCOUNTS_AT_ONCE = 500  # in one question
AT_ONCE = 4  # transactions


class NotTheSameMail(Exception):
    """The database that should have gone on from this one did not: it stands before it, or in another epoch."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What the lost time removed from an account and is there again. `is_known` False: nobody can say."""

    removed: Sequence[tuple[MailboxId, Uid]] = ()
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Epoch:
    epoch: int
    modseq: Modseq
    mailboxes: int
    renumbered: int


@dataclass(slots=True)
class EpochsStarted:
    """`renewed`: accounts whose mailboxes got a new uidvalidity."""

    accounts: int = 0
    mailboxes: int = 0
    renumbered: int = 0
    renewed: int = 0


@dataclass(frozen=True, slots=True)
class AccountAt:
    tenant_id: int
    account_id: int
    epoch: int
    modseq: int


@dataclass(frozen=True, slots=True)
class _Count:
    accounts: int


@dataclass(frozen=True, slots=True)
class _Started:
    epoch: int
    modseq: int
    mailboxes: int
    renumbered: int


_START = Query(
    """
    SELECT epoch, modseq, mailboxes, renumbered
      FROM start_epoch_v1(%(tenant_id)s, %(account_id)s, %(mailbox_ids)s::bigint[], %(uids)s::bigint[], %(is_new)s,
                          %(modseq_leap)s, %(uid_leap)s)
    """,
    row=_Started,
)
_ACCOUNTS = Query(
    """
    SELECT tenant_id, account_id, epoch, modseq FROM account_state
     WHERE (tenant_id, account_id) > (%(tenant_id)s, %(account_id)s)
     ORDER BY tenant_id, account_id LIMIT %(limit)s
    """,
    row=AccountAt,
    role="waypost_system",
)
_COUNT = Query(
    "SELECT count(*)::bigint AS accounts FROM account_state",
    row=_Count,
    role="waypost_system",
    scans=["account_state"],
)
# Asked of the database that went on, as its owner. A uid given out there beyond our leap would be given out again. An
# account that is in a later epoch here than there has had its turn before, and nothing is to be renumbered any more.
_LOST = """
    SELECT r.tenant_id, r.account_id,
           a.epoch < r.epoch OR (a.epoch = r.epoch AND a.modseq >= r.modseq) AS is_later,
           a.oldest_modseq <= r.modseq + 1 AND NOT EXISTS (
               SELECT FROM change g
                WHERE g.tenant_id = r.tenant_id AND g.account_id = r.account_id AND g.modseq > r.modseq AND g.kind = 1
                GROUP BY g.mailbox_id HAVING max(g.uid) - min(g.uid) >= %(uid_leap)s) AS is_known,
           c.mailbox_id, c.uid
      FROM unnest(%(tenant_ids)s::bigint[], %(account_ids)s::bigint[], %(epochs)s::integer[], %(modseqs)s::bigint[])
           AS r (tenant_id, account_id, epoch, modseq)
      JOIN account_state a ON a.tenant_id = r.tenant_id AND a.account_id = r.account_id
      LEFT JOIN change c
        ON c.tenant_id = r.tenant_id AND c.account_id = r.account_id AND c.modseq > r.modseq AND c.kind = 3
"""


class LostTime:
    """The database that went on after the moment to which ours was set back."""

    def __init__(self, later: "AsyncConnection[tuple[Any, ...]]") -> None:
        self._later = later

    async def of(self, accounts: Sequence[AccountAt]) -> Mapping[tuple[int, int], Lost]:
        """Of accounts as they stand here; one that is not there any more is absent. Raises NotTheSameMail."""
        rows = await self._later.execute(
            _LOST,
            {
                "tenant_ids": [each.tenant_id for each in accounts],
                "account_ids": [each.account_id for each in accounts],
                "epochs": [each.epoch for each in accounts],
                "modseqs": [each.modseq for each in accounts],
                "uid_leap": UID_LEAP,
            },
        )
        removed: dict[tuple[int, int], list[tuple[MailboxId, Uid]]] = {}
        unknown: set[tuple[int, int]] = set()
        async for tenant_id, account_id, is_later, is_known, mailbox_id, uid in rows:
            if not is_later:
                raise NotTheSameMail(f"account {account_id} of tenant {tenant_id}")
            found = removed.setdefault((tenant_id, account_id), [])
            if not is_known:
                unknown.add((tenant_id, account_id))
            if mailbox_id is not None:
                found.append((MailboxId(mailbox_id), Uid(uid)))
        return {key: Lost(uids, is_known=key not in unknown) for key, uids in removed.items()}


@dataclass(frozen=True, slots=True)
class NothingRemoved:
    """Taken for granted: no client saw a message go in the lost time."""

    async def of(self, accounts: Sequence[AccountAt]) -> Mapping[tuple[int, int], Lost]:
        return {(each.tenant_id, each.account_id): Lost() for each in accounts}


@dataclass(frozen=True, slots=True)
class NothingKnown:
    """Nobody can say what the lost time removed: every mailbox gets a new uidvalidity."""

    nobody: Mapping[tuple[int, int], Lost] = field(default_factory=dict)

    async def of(self, accounts: Sequence[AccountAt]) -> Mapping[tuple[int, int], Lost]:
        return self.nobody


async def start_epoch(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, lost: Lost | None = None
) -> Epoch | None:
    """In the transaction of the connection; None when the account was never provisioned. Sessions must not be open on
    it, or learn of messages in the middle that they do not expect."""
    lost = lost or Lost()
    started = await _START.first(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        mailbox_ids=[mailbox_id for mailbox_id, _ in lost.removed],
        uids=[uid for _, uid in lost.removed],
        is_new=not lost.is_known,
        modseq_leap=MODSEQ_LEAP,
        uid_leap=UID_LEAP,
    )
    if started is None:
        return None
    return Epoch(started.epoch, Modseq(started.modseq), started.mailboxes, started.renumbered)


async def start_epochs(
    database: Database,
    lost_time: LostTime | NothingRemoved | NothingKnown,
    *,
    on_progress: Callable[[int], None] = lambda _accounts: None,
) -> EpochsStarted:
    """Of every account, each in a transaction of its own, while nobody serves mail from this database.

    Done twice, everything leaps twice and nothing is wrong. Raises StoreUnavailable, NotTheSameMail.
    """
    told = EpochsStarted()
    async for accounts in _accounts(database):
        known = await lost_time.of(accounts)
        remaining = iter(accounts)

        async def take(remaining: Iterator[AccountAt], known: Mapping[tuple[int, int], Lost]) -> None:
            for each in remaining:
                tenant_id, account_id = TenantId(each.tenant_id), AccountId(each.account_id)
                lost = known.get((tenant_id, account_id), Lost(is_known=False))
                async with database.read(tenant_id) as connection:
                    started = await start_epoch(connection, tenant_id, account_id, lost)
                if started is None:
                    continue
                told.accounts += 1
                told.mailboxes += started.mailboxes
                told.renumbered += started.renumbered
                told.renewed += not lost.is_known

        await asyncio.gather(*(take(remaining, known) for _ in range(AT_ONCE)))
        on_progress(told.accounts)
    return told


async def count_accounts(database: Database) -> int:
    async with database.system() as connection:
        return (await _COUNT.one(connection)).accounts


async def _accounts(database: Database) -> AsyncIterator[list[AccountAt]]:
    last = AccountAt(0, 0, 0, 0)
    while True:
        async with database.system() as connection:
            accounts = await _ACCOUNTS.all(
                connection, tenant_id=last.tenant_id, account_id=last.account_id, limit=ACCOUNTS_AT_ONCE
            )
        if not accounts:
            return
        yield accounts
        last = accounts[-1]


async def leap_ids(owner: "AsyncConnection[tuple[Any, ...]]") -> None:
    """No id of the lost time is given out again; on a connection of the owner."""
    await owner.execute("SELECT leap_ids_v1(%s::bigint, %s::bigint)", (MAIL_ID_LEAP, OTHER_ID_LEAP))
