"""Ending everything that a person has open, and who was ended lately (`account.sign_in_epoch`)."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.query import Connection, Query
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class _Epoch:
    epoch: int | None


@dataclass(frozen=True, slots=True)
class _End:
    account_id: int
    sign_in_epoch: int


_END = Query("SELECT directory_end_sign_ins_v1(waypost_tenant(%(tenant_id)s), %(account_id)s) AS epoch", row=_Epoch)
_ENDS = Query("SELECT account_id, sign_in_epoch FROM directory_sign_in_ends_v1(%(within_s)s)", row=_End)


async def end_sign_ins(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> int:
    """Begin a new epoch of the account; what was admitted before is over once this is committed."""
    return (await _END.one(connection, tenant_id=tenant_id, account_id=account_id)).epoch or 0


async def sign_in_ends(connection: Connection, *, within_s: float) -> Sequence[tuple[AccountId, int]]:
    """Accounts whose epoch moved within the last seconds, and the one they are in."""
    return [(AccountId(row.account_id), row.sign_in_epoch) for row in await _ENDS.all(connection, within_s=within_s)]
