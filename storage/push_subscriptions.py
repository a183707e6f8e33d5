"""Where people's devices want to hear of changes (RFC 8620 §7.2): rows of an account, tied to how one signed in.

A subscription is seen and changed only by the credentials that made it, and told of changes only while these are good:
`standing` says so. Its URL and keys are sealed under the tenant's naming key, so that they are gone with it.

`claim` decides who tells: whoever moves `told` from what it was sends, and puts it back if that failed. What is lost
with a process between the two is told with the next change; a client asks for changes anyway when it wakes.
"""

import hmac
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.database import Database
from storage.errors import ContentDamaged
from storage.keys import NONCE_OCTETS, TenantKeys
from storage.query import Connection, Query
from storage.types import Modseq, PushSubscriptionId
from tenants.types import AccountId, Principal, TenantId

EXPIRED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Target:
    """Where messages go. Without keys they go as they are."""

    url: str = field(repr=False)
    p256dh: str | None = None
    auth: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NewSubscription:
    device_client_id: str
    target: Target
    types: tuple[str, ...] | None
    verification_code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Subscription:
    """As its maker sees it."""

    id: int
    device_client_id: str
    verification_code: str
    is_verified: bool
    expires_at: datetime
    types: list[str] | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A subscription whose maker is told now, by who holds this, of what came after `told_epoch` and `told_modseq`."""

    id: int
    sign_in_epoch: int
    app_password_id: int | None
    token_id: int | None
    grant_id: int | None
    sealed: bytes
    types: list[str] | None
    told_epoch: int
    told_modseq: int
    failures: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Of an account that may sign in: its epoch, and what is good today: app passwords, tokens of the person's own,
    leaves of programs."""

    sign_in_epoch: int
    app_passwords: list[int] | None
    tokens: list[int] | None
    grants: list[int] | None

    def allows(self, made: Claimed) -> bool:
        """Whether what it was made with is still good."""
        return made.sign_in_epoch == self.sign_in_epoch and all(
            used is None or used in (good or ())
            for used, good in (
                (made.app_password_id, self.app_passwords),
                (made.token_id, self.tokens),
                (made.grant_id, self.grants),
            )
        )


@dataclass(frozen=True, slots=True)
class _Id:
    id: int


@dataclass(frozen=True, slots=True)
class _Count:
    count: int


@dataclass(frozen=True, slots=True)
class _Wait:
    wait_s: float | None


@dataclass(frozen=True, slots=True)
class _Account:
    tenant_id: int
    account_id: int


_INSERT = Query(
    """
    INSERT INTO push_subscription (
           tenant_id, account_id, sign_in_epoch, app_password_id, token_id, grant_id, device_client_id, sealed, types,
           verification_code, expires_at)
    SELECT waypost_tenant(%(tenant_id)s), %(account_id)s::bigint, %(sign_in_epoch)s::integer,
           %(app_password_id)s::bigint, %(token_id)s::bigint, %(grant_id)s::bigint, %(device_client_id)s::text,
           %(sealed)s::bytea, %(types)s::text[], %(verification_code)s::text, %(expires_at)s::timestamptz
     WHERE (SELECT count(*) FROM push_subscription s
             WHERE s.tenant_id = waypost_tenant(%(tenant_id)s) AND s.account_id = %(account_id)s) < %(most)s
    RETURNING id
    """,
    row=_Id,
)
_MINE = """tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s
       AND sign_in_epoch = %(sign_in_epoch)s AND app_password_id IS NOT DISTINCT FROM %(app_password_id)s
       AND token_id IS NOT DISTINCT FROM %(token_id)s AND grant_id IS NOT DISTINCT FROM %(grant_id)s
       AND expires_at > now()"""
_LIST = Query(
    f"""
    SELECT id, device_client_id, verification_code, is_verified, expires_at, types
      FROM push_subscription
     WHERE {_MINE}
     ORDER BY id
    """,  # noqa: S608 - our own pieces
    row=Subscription,
)
_UPDATE = Query[None](
    f"""
    UPDATE push_subscription
       SET is_verified = is_verified OR %(is_verified)s, types = %(types)s, expires_at = %(new_expires_at)s,
           told_epoch = CASE WHEN is_verified THEN told_epoch ELSE %(epoch)s END,
           told_modseq = CASE WHEN is_verified THEN told_modseq ELSE %(modseq)s END
     WHERE {_MINE} AND id = %(id)s
    """  # noqa: S608 - our own pieces
)
_DESTROY = Query[None](
    f"""
    DELETE FROM push_subscription WHERE {_MINE} AND id = %(id)s
    """  # noqa: S608 - our own pieces
)
_FORGET = Query[None](
    """
    DELETE FROM push_subscription
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id = %(id)s
    """
)
_CLAIM = Query(
    """
    UPDATE push_subscription s
       SET told_epoch = %(epoch)s, told_modseq = %(modseq)s,
           not_before = now() + make_interval(secs => %(pause_s)s)
      FROM (SELECT o.id, o.told_epoch, o.told_modseq FROM push_subscription o
             WHERE o.tenant_id = waypost_tenant(%(tenant_id)s) AND o.account_id = %(account_id)s
               AND o.is_verified AND o.expires_at > now() AND o.not_before <= now()
               AND (o.told_epoch <> %(epoch)s OR o.told_modseq < %(modseq)s)
             ORDER BY o.id FOR UPDATE) old
     WHERE s.tenant_id = waypost_tenant(%(tenant_id)s) AND s.id = old.id
    RETURNING s.id, s.sign_in_epoch, s.app_password_id, s.token_id, s.grant_id, s.sealed, s.types, old.told_epoch,
              old.told_modseq, s.failures
    """,
    row=Claimed,
)
_PUT_BACK = Query[None](
    """
    UPDATE push_subscription
       SET told_epoch = %(told_epoch)s, told_modseq = %(told_modseq)s, failures = failures + 1,
           not_before = now() + make_interval(secs => %(wait_s)s)
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id = %(id)s
       AND told_epoch = %(epoch)s AND told_modseq = %(modseq)s
    """
)
_SETTLE = Query[None](
    """
    UPDATE push_subscription SET failures = 0
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id = %(id)s AND failures > 0
    """
)
_WAIT = Query(
    """
    SELECT extract(epoch FROM min(not_before) - now())::double precision AS wait_s FROM push_subscription
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND account_id = %(account_id)s
       AND is_verified AND expires_at > now() AND (told_epoch <> %(epoch)s OR told_modseq < %(modseq)s)
    """,
    row=_Wait,
)
_STANDING = Query(
    """
    SELECT a.sign_in_epoch,
           (SELECT array_agg(p.id) FROM app_password p
             WHERE p.tenant_id = a.tenant_id AND p.account_id = a.id
               AND (p.expires_at IS NULL OR p.expires_at > now())) AS app_passwords,
           (SELECT array_agg(b.id) FROM bearer_token b
             WHERE b.tenant_id = a.tenant_id AND b.account_id = a.id AND b.grant_id IS NULL
               AND (b.expires_at IS NULL OR b.expires_at > now())) AS tokens,
           (SELECT array_agg(g.id) FROM oauth_grant g
             WHERE g.tenant_id = a.tenant_id AND g.account_id = a.id AND g.code_spent_at IS NOT NULL) AS grants
      FROM account a
     WHERE a.tenant_id = waypost_tenant(%(tenant_id)s) AND a.id = %(account_id)s AND a.status = 'active'
    """,
    row=Standing,
)
_ACCOUNTS = Query(
    """
    SELECT DISTINCT tenant_id, account_id FROM push_subscription WHERE is_verified AND expires_at > now()
    """,
    row=_Account,
    role="waypost_system",
    scans=["push_subscription"],  # all of them
)
_EXPIRE = Query(
    """
    WITH gone AS (
        DELETE FROM push_subscription s
         USING (SELECT tenant_id, id FROM push_subscription
                 WHERE expires_at <= now() OR NOT is_verified AND not_before < now() - interval '1 day'
                 LIMIT %(limit)s) e
         WHERE s.tenant_id = e.tenant_id AND s.id = e.id
        RETURNING 1
    )
    SELECT count(*)::integer AS count FROM gone
    """,
    row=_Count,
    role="waypost_system",
    scans=["push_subscription"],  # a few rows of each person at most
)


async def insert(
    connection: Connection, keys: TenantKeys, who: Principal, new: NewSubscription, *, most: int
) -> PushSubscriptionId | None:
    """None: the account has `most` already."""
    row = await _INSERT.first(
        connection,
        tenant_id=who.tenant_id,
        account_id=who.account_id,
        **_made_with(who),
        device_client_id=new.device_client_id,
        sealed=_seal(keys, who.account_id, new.target),
        types=None if new.types is None else list(new.types),
        verification_code=new.verification_code,
        expires_at=new.expires_at,
        most=most,
    )
    return None if row is None else PushSubscriptionId(row.id)


async def list_mine(connection: Connection, who: Principal) -> Sequence[Subscription]:
    """Those that were made by the same credentials and have not expired."""
    return await _LIST.all(connection, **_whose(who))


async def update(
    connection: Connection,
    who: Principal,
    subscription: Subscription,
    *,
    epoch: int,
    modseq: Modseq,
) -> bool:
    """As `subscription` says; False: it is there no more. One that is verified hears of what comes after `modseq`."""
    return bool(
        await _UPDATE.execute(
            connection,
            **_whose(who),
            id=subscription.id,
            is_verified=subscription.is_verified,
            types=subscription.types,
            new_expires_at=subscription.expires_at,
            epoch=epoch,
            modseq=modseq,
        )
    )


async def destroy(connection: Connection, who: Principal, subscription_id: PushSubscriptionId) -> bool:
    """Whether it was there."""
    return bool(await _DESTROY.execute(connection, **_whose(who), id=subscription_id))


async def forget(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, subscription_id: PushSubscriptionId
) -> None:
    """Whoever made it: its push service says it is gone, or its credentials are."""
    await _FORGET.execute(connection, tenant_id=tenant_id, account_id=account_id, id=subscription_id)


async def claim(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, *, epoch: int, modseq: Modseq, pause_s: float
) -> Sequence[Claimed]:
    """Those that have not been told so far, and may be now. Nobody else gets the same; none again within `pause_s`."""
    return await _CLAIM.all(
        connection, tenant_id=tenant_id, account_id=account_id, epoch=epoch, modseq=modseq, pause_s=pause_s
    )


async def put_back(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    claimed: Claimed,
    *,
    epoch: int,
    modseq: Modseq,
    wait_s: float,
) -> None:
    """It could not be told: somebody may claim it again after `wait_s`."""
    await _PUT_BACK.execute(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        id=claimed.id,
        told_epoch=claimed.told_epoch,
        told_modseq=claimed.told_modseq,
        epoch=epoch,
        modseq=modseq,
        wait_s=wait_s,
    )


async def settle(connection: Connection, tenant_id: TenantId, account_id: AccountId, claimed: Claimed) -> None:
    """It was told: failures before count no more."""
    await _SETTLE.execute(connection, tenant_id=tenant_id, account_id=account_id, id=claimed.id)


async def wait_s(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, *, epoch: int, modseq: Modseq
) -> float | None:
    """In how many seconds one that has not been told so far may be; None: there is none."""
    found = await _WAIT.one(connection, tenant_id=tenant_id, account_id=account_id, epoch=epoch, modseq=modseq)
    return None if found.wait_s is None else max(0.0, found.wait_s)


async def standing(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> Standing | None:
    """None: nobody may sign in to the account. On a connection to the directory."""
    return await _STANDING.first(connection, tenant_id=tenant_id, account_id=account_id)


async def subscribed_accounts(database: Database) -> set[tuple[TenantId, AccountId]]:
    """All accounts of the cell that have somebody to tell."""
    async with database.system_single() as connection:
        rows = await _ACCOUNTS.all(connection)
    return {(TenantId(row.tenant_id), AccountId(row.account_id)) for row in rows}


async def expire_push_subscriptions(database: Database) -> int:
    """Those of all tenants that are over, or that nobody verified within a day. Returns how many went."""
    total = 0
    while True:
        async with database.system_single() as connection:
            gone = (await _EXPIRE.one(connection, limit=EXPIRED_AT_ONCE)).count
        total += gone
        if gone < EXPIRED_AT_ONCE:
            return total


def open_target(keys: TenantKeys, account_id: AccountId, sealed: bytes) -> Target:
    """Raises ContentDamaged."""
    try:
        opened = _cipher(keys).decrypt(sealed[:NONCE_OCTETS], sealed[NONCE_OCTETS:], _name(keys, account_id))
    except (InvalidTag, ValueError):
        raise ContentDamaged(f"push subscription of account {account_id}") from None
    url, p256dh, auth = orjson.loads(opened)
    return Target(url, p256dh, auth)


def _seal(keys: TenantKeys, account_id: AccountId, target: Target) -> bytes:
    nonce = os.urandom(NONCE_OCTETS)
    told = orjson.dumps([target.url, target.p256dh, target.auth])
    return nonce + _cipher(keys).encrypt(nonce, told, _name(keys, account_id))


def _cipher(keys: TenantKeys) -> AESGCM:
    return AESGCM(hmac.digest(keys.naming_key, b"waypost push subscription", "sha256"))


def _name(keys: TenantKeys, account_id: AccountId) -> bytes:
    return struct.pack(">QQ", keys.tenant_id, account_id)


def _whose(who: Principal) -> dict[str, int | None]:
    return {
        "tenant_id": who.tenant_id,
        "account_id": who.account_id,
        **_made_with(who),
    }


def _made_with(who: Principal) -> dict[str, int | None]:
    """Neither app password nor token: the person's own password, or a web session. A program goes on with other tokens
    of the leave it has, so that counts there."""
    token = who.credential.token
    return {
        "sign_in_epoch": who.sign_in_epoch,
        "app_password_id": who.credential.app_password_id,
        "token_id": token.id if token is not None and token.grant_id is None else None,
        "grant_id": token.grant_id if token is not None else None,
    }
