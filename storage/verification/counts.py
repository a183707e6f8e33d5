"""Counts of accounts and mailboxes: compared, and put right under the account's lock.

A correction is a change like any other: it takes a modseq, so whoever watches the account comes and looks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from storage.keys import TenantKeys
from storage.query import Connection, run
from storage.types import Modseq
from storage.verification.account_counts import (
    AccountCounts,
    MailboxCounts,
    account_counts,
    correct_account,
    correct_mailboxes,
    lock_account,
    mailbox_counts,
)
from storage.verification.findings import Finding, Kind
from storage.verification.ground import Ground
from tenants.types import AccountId

_PATIENCE = b"SET LOCAL statement_timeout = '30min'"  # millions of messages are counted in one statement
_REPAIRED = frozenset(
    {
        Kind.ACCOUNT_COUNTS,
        Kind.ACCOUNT_MODSEQ,
        Kind.ACCOUNT_UIDVALIDITY,
        Kind.MAILBOX_COUNTS,
        Kind.MAILBOX_UIDNEXT,
        Kind.MAILBOX_MODSEQ,
    }
)


@dataclass(frozen=True, slots=True)
class _Wrong:
    kind: Kind
    values: dict[str, object]
    mailbox: MailboxCounts | None = None


@dataclass(frozen=True, slots=True)
class _Compared:
    account: AccountCounts
    mailboxes: Sequence[MailboxCounts]

    @property
    def last_modseq(self) -> int:
        """The highest that was given out, whatever the account says."""
        return max(
            self.account.modseq,
            self.account.logged_modseq,
            *(max(each.modseq, each.last_modseq) for each in self.mailboxes),
            0,
        )


async def verify_counts(ground: Ground, keys: TenantKeys, account_id: AccountId) -> None:
    async with ground.database.transaction(keys.tenant_id) as connection:
        await run(connection, b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")  # all of one moment
        await run(connection, _PATIENCE)
        seen = await _compare(connection, keys, account_id)
    ground.report.tally.accounts += 1
    if seen is None or not list(_wrong_in(seen)):
        return
    modseq: int | None = None
    async with ground.database.transaction(keys.tenant_id) as connection:
        await lock_account(connection, keys.tenant_id, account_id)
        await run(connection, _PATIENCE)
        now = await _compare(connection, keys, account_id)
        wrong = list(_wrong_in(now)) if now is not None else []
        can_repair = ground.choice.repairs_counts and any(each.kind in _REPAIRED for each in wrong)
        if now is not None and can_repair:
            modseq = now.last_modseq + 1
            mailboxes = {each.mailbox.id: each.mailbox for each in wrong if each.mailbox and each.kind in _REPAIRED}
            await correct_account(connection, keys.tenant_id, account_id, now.account, modseq)
            await correct_mailboxes(connection, keys.tenant_id, account_id, list(mailboxes.values()), modseq)
    if modseq is not None:
        ground.announce(keys.tenant_id, account_id, Modseq(modseq))
    for each in wrong:
        is_repaired = can_repair and each.kind in _REPAIRED
        ground.report.add(Finding(each.kind, keys.tenant_id, each.values, account_id, is_repaired))


async def _compare(connection: Connection, keys: TenantKeys, account_id: AccountId) -> _Compared | None:
    account = await account_counts(connection, keys.tenant_id, account_id)
    if account is None:
        return None
    return _Compared(account, await mailbox_counts(connection, keys.tenant_id, account_id))


def _wrong_in(compared: _Compared) -> Iterator[_Wrong]:
    account = compared.account
    if not account.is_counted:
        yield _Wrong(
            Kind.ACCOUNT_COUNTS,
            {
                "counted": (
                    account.used_messages, account.used_octets, account.binned_messages, account.binned_octets
                ),
                "found": (
                    account.found_messages, account.found_octets, account.found_binned, account.found_binned_octets
                ),
            },
        )  # fmt: skip
    if compared.last_modseq > account.modseq:
        yield _Wrong(Kind.ACCOUNT_MODSEQ, {"counted": account.modseq, "found": compared.last_modseq})
    if account.last_uidvalidity >= account.next_uidvalidity:
        values: dict[str, object] = {"counted": account.next_uidvalidity, "found": account.last_uidvalidity}
        yield _Wrong(Kind.ACCOUNT_UIDVALIDITY, values)
    for mailbox in compared.mailboxes:
        yield from _wrong_in_mailbox(mailbox)


def _wrong_in_mailbox(mailbox: MailboxCounts) -> Iterator[_Wrong]:
    where: dict[str, object] = {"mailbox": mailbox.id}
    if not mailbox.is_counted:
        yield _Wrong(Kind.MAILBOX_COUNTS, where | {"counted": mailbox.counted, "found": mailbox.found}, mailbox)
    if mailbox.last_uid >= mailbox.uidnext:
        values = where | {"counted": mailbox.uidnext, "found": mailbox.last_uid}
        yield _Wrong(Kind.MAILBOX_UIDNEXT, values, mailbox)
    if mailbox.last_modseq > mailbox.modseq:
        values = where | {"counted": mailbox.modseq, "found": mailbox.last_modseq}
        yield _Wrong(Kind.MAILBOX_MODSEQ, values, mailbox)
    if mailbox.strays:
        yield _Wrong(Kind.PLACEMENT_WITHOUT_MESSAGE, where | {"found": mailbox.strays})
    if mailbox.foreign:
        yield _Wrong(Kind.PLACEMENT_OF_OTHER_ACCOUNT, where | {"found": mailbox.foreign})
