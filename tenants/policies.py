"""How long and how much of a tenant's mail is kept, and where: read by whoever moves, deletes or refuses mail.

The directory only says it. Connections are given: of the system role for what concerns all tenants, or carrying one.
"""

from dataclasses import dataclass
from enum import StrEnum

from psycopg.rows import class_row, scalar_row

from tenants.directory import Connection
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class TenantPolicy:
    """The policies of one tenant; of one that is not in the directory, these defaults.

    A blob goes cold `cold_after_days` after it was delivered and last read (None: never), or when hot ones take more
    than `hot_budget_octets` (None: no budget). A cold one that is read on two days within `promote_within_days` comes
    back (None: never). `quota_octets` is the pool of all its accounts together. What was expunged can be brought back
    for `recoverable_days` (0: it is gone at once), a deleted account for `account_recovery_days`. While `is_held`
    (legal hold) nothing is deleted for good.
    """

    cold_after_days: int | None = 90
    hot_budget_octets: int | None = None
    promote_within_days: int | None = 7
    quota_octets: int | None = None
    recoverable_days: int = 30
    account_recovery_days: int = 30
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class Keeping:
    """What becomes of messages an account expunges. `is_held`: it, or its tenant, is under legal hold."""

    recoverable_days: int = 30
    is_held: bool = False

    @property
    def keeps(self) -> bool:
        return self.is_held or self.recoverable_days > 0


class RetentionAction(StrEnum):
    """What a retention rule does with messages: what EXPUNGE does, or move them to the trash."""

    REMOVE = "remove"
    TRASH = "trash"


@dataclass(frozen=True, slots=True)
class Rule:
    r"""A retention rule. `folder` is a mailbox name, or a special use such as \Trash; `account_id` None: of everybody
    who has none of their own for that folder."""

    account_id: AccountId | None
    folder: str
    days: int
    action: RetentionAction


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """What upkeep knows of a living or deleted account."""

    account_id: AccountId
    quota_octets: int | None
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class _PolicyRow:
    id: int
    cold_after_days: int | None
    hot_budget_octets: int | None
    promote_within_days: int | None
    quota_octets: int | None
    recoverable_days: int
    account_recovery_days: int
    is_held: bool


@dataclass(frozen=True, slots=True)
class _RuleRow:
    tenant_id: int
    account_id: int | None
    folder: str
    days: int
    action: str


@dataclass(frozen=True, slots=True)
class _EndedRow:
    tenant_id: int
    account_id: int


_COLUMNS = """
    SELECT id, cold_after_days, hot_budget_octets, promote_within_days, quota_octets, recoverable_days,
           account_recovery_days, is_held
      FROM tenant
"""
POLICIES = _COLUMNS
POLICY = _COLUMNS + " WHERE id = %(tenant_id)s"
KEEPING = """
    SELECT t.recoverable_days, t.is_held OR coalesce(a.is_held, false) AS is_held
      FROM tenant t LEFT JOIN account a ON a.tenant_id = t.id AND a.id = %(account_id)s
     WHERE t.id = %(tenant_id)s
"""
RULES = "SELECT tenant_id, account_id, folder, days, action FROM retention_rule ORDER BY id"
ACCOUNTS = """
    SELECT id AS account_id, quota_octets, status = 'deleted' AS is_deleted FROM account WHERE tenant_id = %(tenant_id)s
"""
POOLS = "SELECT id, quota_octets FROM tenant WHERE quota_octets IS NOT NULL"
HELD = "SELECT id FROM account WHERE tenant_id = %(tenant_id)s AND is_held"
FROZEN = "SELECT id FROM account WHERE tenant_id = %(tenant_id)s AND (is_held OR status = 'deleted')"
END_ACCOUNTS = "SELECT tenant_id, account_id FROM directory_end_accounts_v1()"
ACCOUNT_IS_GONE = "SELECT directory_account_is_gone_v1(%(account_id)s)"


async def policies(connection: Connection) -> dict[TenantId, TenantPolicy]:
    """Of all tenants, deleted ones too, on a system connection."""
    async with connection.cursor(row_factory=class_row(_PolicyRow)) as cursor:
        await cursor.execute(POLICIES)
        return {TenantId(row.id): _policy(row) for row in await cursor.fetchall()}


async def policy_of(connection: Connection, tenant_id: TenantId) -> TenantPolicy:
    """Of one tenant, on a connection that carries it. One that only the mail store knows has the defaults."""
    async with connection.cursor(row_factory=class_row(_PolicyRow)) as cursor:
        await cursor.execute(POLICY, {"tenant_id": tenant_id}, prepare=True)
        row = await cursor.fetchone()
    return TenantPolicy() if row is None else _policy(row)


async def keeping_of(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> Keeping:
    """Of one account, on a connection that carries its tenant."""
    async with connection.cursor(row_factory=class_row(Keeping)) as cursor:
        await cursor.execute(KEEPING, {"tenant_id": tenant_id, "account_id": account_id}, prepare=True)
        return await cursor.fetchone() or Keeping()


async def pool_limits(connection: Connection) -> dict[TenantId, int]:
    """Of the tenants that have one, on a system connection."""
    async with connection.cursor() as cursor:
        await cursor.execute(POOLS)
        return {TenantId(tenant_id): limit_octets for tenant_id, limit_octets in await cursor.fetchall()}


async def held_accounts(connection: Connection, tenant_id: TenantId) -> frozenset[AccountId]:
    """Accounts with a legal hold of their own, on a connection that carries their tenant."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(HELD, {"tenant_id": tenant_id}, prepare=True)
        return frozenset(AccountId(account_id) for account_id in await cursor.fetchall())


async def frozen_accounts(connection: Connection, tenant_id: TenantId) -> frozenset[AccountId]:
    """Accounts in which time deletes nothing: those with a legal hold of their own, and deleted ones, which come back
    as they were. On a connection that carries their tenant."""
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(FROZEN, {"tenant_id": tenant_id}, prepare=True)
        return frozenset(AccountId(account_id) for account_id in await cursor.fetchall())


async def account_limits(connection: Connection, tenant_id: TenantId) -> dict[AccountId, AccountLimits]:
    """Of all accounts of a tenant, on a system connection or one that carries it."""
    async with connection.cursor(row_factory=class_row(AccountLimits)) as cursor:
        await cursor.execute(ACCOUNTS, {"tenant_id": tenant_id}, prepare=True)
        return {row.account_id: row for row in await cursor.fetchall()}


async def retention_rules(connection: Connection) -> dict[TenantId, list[Rule]]:
    """Of all tenants that have any, on a system connection."""
    found: dict[TenantId, list[Rule]] = {}
    async with connection.cursor(row_factory=class_row(_RuleRow)) as cursor:
        await cursor.execute(RULES)
        for row in await cursor.fetchall():
            account_id = None if row.account_id is None else AccountId(row.account_id)
            rule = Rule(account_id, row.folder, row.days, RetentionAction(row.action))
            found.setdefault(TenantId(row.tenant_id), []).append(rule)
    return found


async def end_accounts(connection: Connection) -> list[tuple[TenantId, AccountId]]:
    """Accounts whose recovery window is over: from now on they cannot be restored, and their mail is to be deleted.

    On a system connection. Those that ended before are among them until `account_is_gone`; none under legal hold is.
    """
    async with connection.cursor(row_factory=class_row(_EndedRow)) as cursor:
        await cursor.execute(END_ACCOUNTS)
        return [(TenantId(row.tenant_id), AccountId(row.account_id)) for row in await cursor.fetchall()]


async def account_is_gone(connection: Connection, account_id: AccountId) -> None:
    """Its mail is deleted: `end_accounts` tells of it no more. On a system connection."""
    await connection.execute(ACCOUNT_IS_GONE, {"account_id": account_id})


def _policy(row: _PolicyRow) -> TenantPolicy:
    return TenantPolicy(
        row.cold_after_days,
        row.hot_budget_octets,
        row.promote_within_days,
        row.quota_octets,
        row.recoverable_days,
        row.account_recovery_days,
        row.is_held,
    )
