"""Second factors in the directory: the sealed secret of an authenticator app, and recovery codes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.query import Connection, Query
from tenants.types import Principal


@dataclass(frozen=True, slots=True)
class Factors:
    """What a person has beside their password. `totp_since` None: no authenticator app."""

    totp_since: datetime | None
    passkeys: int
    codes_left: int

    @property
    def are_any(self) -> bool:
        return self.totp_since is not None or self.passkeys > 0


@dataclass(frozen=True, slots=True)
class KeptTotp:
    sealed: bytes
    confirmed_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Factors:
    totp_since: datetime | None
    passkeys: int | None
    codes_left: int | None


_FACTORS = Query(
    """
    SELECT (SELECT t.confirmed_at FROM totp t
             WHERE t.tenant_id = waypost_tenant(%(tenant_id)s) AND t.account_id = %(account_id)s) AS totp_since,
           (SELECT count(*) FROM passkey k
             WHERE k.tenant_id = waypost_tenant(%(tenant_id)s) AND k.account_id = %(account_id)s) AS passkeys,
           (SELECT count(*) FROM recovery_code r
             WHERE r.tenant_id = waypost_tenant(%(tenant_id)s) AND r.account_id = %(account_id)s
               AND r.used_at IS NULL) AS codes_left
    """,
    row=_Factors,
)
_TOTP = Query(
    """
    SELECT sealed, confirmed_at FROM totp
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s
    """,
    row=KeptTotp,
)
_KEEP_TOTP: Query[Any] = Query(
    """
    INSERT INTO totp (tenant_id, account_id, sealed)
    VALUES (waypost_tenant(%(tenant_id)s), %(account_id)s, %(sealed)s)
    ON CONFLICT (account_id) DO UPDATE SET sealed = excluded.sealed, created_at = now()
     WHERE totp.tenant_id = waypost_tenant(%(tenant_id)s) AND totp.confirmed_at IS NULL
       AND totp.created_at < now() - interval '1 hour'
    """
)
_CONFIRM: Query[Any] = Query(
    """
    UPDATE totp SET confirmed_at = now(), last_step = %(step)s
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND confirmed_at IS NULL
       AND sealed = %(sealed)s
    """
)
_USE_STEP: Query[Any] = Query(
    """
    UPDATE totp SET last_step = %(step)s
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND confirmed_at IS NOT NULL
       AND last_step < %(step)s
    """
)
_DELETE_TOTP: Query[Any] = Query(
    "DELETE FROM totp WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s"
)
_DELETE_CODES: Query[Any] = Query(
    "DELETE FROM recovery_code WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s"
)
_INSERT_CODES: Query[Any] = Query(
    """
    INSERT INTO recovery_code (tenant_id, account_id, digest)
    SELECT waypost_tenant(%(tenant_id)s), %(account_id)s, d FROM unnest(%(digests)s::bytea[]) AS d
    """
)
_USE_CODE: Query[Any] = Query(
    """
    UPDATE recovery_code SET used_at = now()
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND digest = %(digest)s
       AND used_at IS NULL
    """
)


def _of(who: Principal) -> dict[str, int]:
    return {"tenant_id": who.tenant_id, "account_id": who.account_id}


async def factors_of(connection: Connection, who: Principal) -> Factors:
    row = await _FACTORS.one(connection, **_of(who))
    return Factors(row.totp_since, row.passkeys or 0, row.codes_left or 0)


async def find_totp(connection: Connection, who: Principal) -> KeptTotp | None:
    return await _TOTP.first(connection, **_of(who))


async def keep_totp(connection: Connection, who: Principal, sealed: bytes) -> None:
    """Unless there is one, or one that has waited for its confirmation for less than an hour."""
    await _KEEP_TOTP.execute(connection, **_of(who), sealed=sealed)


async def confirm_totp(connection: Connection, who: Principal, sealed: bytes, step: int) -> bool:
    """False: it was confirmed, or another took its place, meanwhile."""
    return bool(await _CONFIRM.execute(connection, **_of(who), sealed=sealed, step=step))


async def use_totp_step(connection: Connection, who: Principal, step: int) -> bool:
    """False: a code of this step or a later one was used already."""
    return bool(await _USE_STEP.execute(connection, **_of(who), step=step))


async def delete_totp(connection: Connection, who: Principal) -> bool:
    return bool(await _DELETE_TOTP.execute(connection, **_of(who)))


async def replace_codes(connection: Connection, who: Principal, digests: Sequence[bytes]) -> None:
    await _DELETE_CODES.execute(connection, **_of(who))
    if digests:
        await _INSERT_CODES.execute(connection, **_of(who), digests=list(digests))


async def use_code(connection: Connection, who: Principal, digest: bytes) -> bool:
    """False: there is no such code, or it was used."""
    return bool(await _USE_CODE.execute(connection, **_of(who), digest=digest))
