"""Ending everything that a person has open, who was ended lately (`account.sign_in_epoch`), and waiting for that.

An end and whatever makes a way in (a session, a password, a token, a leave) take the person's row first, before any of
their other rows: so the later of two sees what the earlier did, and they never wait for each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.query import Connection, Query
from tenants.types import AccountId, Principal, TenantId


@dataclass(frozen=True, slots=True)
class _Epoch:
    epoch: int | None


@dataclass(frozen=True, slots=True)
class _End:
    account_id: int
    sign_in_epoch: int


@dataclass(frozen=True, slots=True)
class _Token:
    token_id: int


_END = Query("SELECT directory_end_sign_ins_v1(waypost_tenant(%(tenant_id)s), %(account_id)s) AS epoch", row=_Epoch)
_HOLD = Query("SELECT directory_hold_sign_ins_v1(waypost_tenant(%(tenant_id)s), %(account_id)s) AS epoch", row=_Epoch)
_ENDS = Query("SELECT account_id, sign_in_epoch FROM directory_sign_in_ends_v1(%(within_s)s)", row=_End)
_GONE = Query("SELECT token_id FROM directory_tokens_gone_v1(%(ids)s)", row=_Token)


async def end_sign_ins(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> int:
    """Begin a new epoch of the account; what was admitted before is over once this is committed."""
    return (await _END.one(connection, tenant_id=tenant_id, account_id=account_id)).epoch or 0


async def hold_sign_ins(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> int | None:
    """The epoch of the account, which nobody moves until this transaction ends; None: nobody signs in to it."""
    return (await _HOLD.one(connection, tenant_id=tenant_id, account_id=account_id)).epoch


async def is_still_signed_in(connection: Connection, who: Principal) -> bool:
    """Whether nothing was ended since `who` was admitted, nor will be until this transaction ends."""
    return await hold_sign_ins(connection, who.tenant_id, who.account_id) == who.sign_in_epoch


async def sign_in_ends(connection: Connection, *, within_s: float) -> Sequence[tuple[AccountId, int]]:
    """Accounts of which something ended within the last seconds, and the epoch they are in."""
    return [(AccountId(row.account_id), row.sign_in_epoch) for row in await _ENDS.all(connection, within_s=within_s)]


async def tokens_gone(connection: Connection, token_ids: Sequence[int]) -> Sequence[int]:
    """Those that open nothing any more."""
    return [row.token_id for row in await _GONE.all(connection, ids=list(token_ids))]
