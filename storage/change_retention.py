"""How long the log of changes is kept: weeks older than that are dropped whole.

The horizon of every account is moved first, in transactions of its own, so an interruption anywhere leaves nobody with
a wrong answer: who asks from before the horizon is answered from the messages that are there (RFC 7162 §3.2.6).
"""

from dataclasses import dataclass
from datetime import date

from storage.database import Database
from storage.query import Query
from tenants.types import AccountId, TenantId

ACCOUNTS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class _Cut:
    before: date
    is_needed: bool


@dataclass(frozen=True, slots=True)
class _Account:
    tenant_id: int
    account_id: int


@dataclass(frozen=True, slots=True)
class _Dropped:
    name: str | None


_CUT = Query(
    """
    SELECT c.before, has_changes_before_v1(c.before) AS is_needed
      FROM (SELECT date_trunc('week', CURRENT_DATE - %(keep_days)s::integer)::date AS before) c
    """,
    row=_Cut,
    role="waypost_system",
)
_MOVE_HORIZON = Query(
    """
    SELECT tenant_id, account_id
      FROM move_change_horizon_v1(%(before)s, %(tenant_id)s, %(account_id)s, %(limit)s::integer)
    """,
    row=_Account,
    role="waypost_system",
)
_DROP = Query("SELECT drop_change_partition_v1(%(before)s) AS name", row=_Dropped, role="waypost_system")


async def cut_changes(database: Database, *, keep_days: int) -> int:
    """Drop the weeks that ended more than `keep_days` ago; returns how many. Raises StoreUnavailable, also when the
    log was too busy to be cut now."""
    before = await date_of_cut(database, keep_days=keep_days)
    if before is None:
        return 0
    await move_horizons(database, before)
    dropped = 0
    while True:
        async with database.system() as connection:
            if (await _DROP.one(connection, before=before)).name is None:
                return dropped
        dropped += 1


async def date_of_cut(database: Database, *, keep_days: int) -> date | None:
    """The Monday before which nothing is kept; None: nothing older is there."""
    async with database.system() as connection:
        cut = await _CUT.one(connection, keep_days=keep_days)
    return cut.before if cut.is_needed else None


async def move_horizons(database: Database, before: date) -> None:
    """Let every account know that its log will begin after what was logged before that day."""
    last = _Account(0, 0)
    while True:
        async with database.system() as connection:
            found = await _MOVE_HORIZON.first(
                connection,
                before=before,
                tenant_id=TenantId(last.tenant_id),
                account_id=AccountId(last.account_id),
                limit=ACCOUNTS_AT_ONCE,
            )
        if found is None:
            return
        last = found
