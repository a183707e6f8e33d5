"""Bearer tokens, grants and clients of OAuth 2 in the directory, by the digests of what is secret about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.person_rows import PERSON_COLUMNS, PersonRow
from storage.query import Connection, Query
from tenants.types import AccountId, Principal, Status, TenantId, TokenBorne

KEPT_OF_GRANT = 50  # access tokens, the latest


@dataclass(frozen=True, slots=True)
class BornToken:
    """Whose token it is, as they stand now. `scopes` are words with spaces between."""

    who: Principal
    token: TokenBorne
    scopes: str
    name: str
    tenant_status: Status
    account_status: Status


@dataclass(frozen=True, slots=True)
class OAuthClient:
    client_id: str
    name: str
    redirect_uris: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """A person's leave for a program; `scopes` are words with spaces between."""

    id: int
    tenant_id: TenantId
    account_id: AccountId
    scopes: str


@dataclass(frozen=True, slots=True)
class ListedToken:
    """One that a person made and named."""

    id: int
    name: str
    scopes: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class ListedGrant:
    """A program that has a person's leave."""

    id: int
    client_name: str
    scopes: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Token(PersonRow):
    token_id: int
    grant_id: int | None
    expires_at: datetime | None
    scopes: str
    name: str
    tenant_status: str
    account_status: str


@dataclass(frozen=True, slots=True)
class _Client:
    client_id: str
    name: str
    redirect_uris: list[str]


@dataclass(frozen=True, slots=True)
class _Grant:
    grant_id: int | None
    tenant_id: int | None
    account_id: int | None
    scopes: str | None


@dataclass(frozen=True, slots=True)
class _Id:
    id: int


@dataclass(frozen=True, slots=True)
class _Count:
    count: int


@dataclass(frozen=True, slots=True)
class _Was:
    was_there: bool | None


_TOKEN: Query[Any] = Query(
    f"""
    SELECT {PERSON_COLUMNS}, token_id, grant_id, expires_at, scopes, name, tenant_status, account_status
      FROM directory_token_v2(%(digest)s, %(network)s)
    """,  # noqa: S608 - our own column list
    row=_Token,
)
_CLIENT: Query[Any] = Query(
    """
    SELECT client_id::text, name::text, redirect_uris::text[] FROM oauth_client WHERE client_id = %(client_id)s
    """,
    row=_Client,
)
_INSERT_GRANT: Query[Any] = Query(
    """
    INSERT INTO oauth_grant (tenant_id, account_id, client_id, scopes, code_digest, code_challenge, code_expires_at,
                             redirect_uri)
    VALUES (waypost_tenant(%(tenant_id)s), %(account_id)s, %(client_id)s, %(scopes)s, %(code)s, %(challenge)s,
            now() + make_interval(secs => %(lasts_s)s), %(redirect_uri)s)
    RETURNING id
    """,
    row=_Id,
)
_FORGET_UNUSED: Query[Any] = Query(
    """
    DELETE FROM oauth_grant
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s
       AND code_spent_at IS NULL AND code_expires_at < now()
    """
)
_COUNT_GRANTS: Query[Any] = Query(
    """
    SELECT count(*)::integer AS count FROM oauth_grant
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s
    """,
    row=_Count,
)
_SPEND: Query[Any] = Query(
    """
    SELECT grant_id, tenant_id, account_id, scopes
      FROM directory_spend_code_v1(%(code)s, %(client_id)s, %(redirect_uri)s, %(challenge)s)
    """,
    row=_Grant,
)
_REFRESH: Query[Any] = Query(
    """
    SELECT grant_id, tenant_id, account_id, scopes
      FROM directory_refresh_v1(%(refresh)s, %(client_id)s, %(new)s, %(grace_s)s)
    """,
    row=_Grant,
)
_SET_REFRESH: Query[Any] = Query(
    """
    UPDATE oauth_grant SET refresh_digest = %(refresh)s, refreshed_at = now()
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND id = %(id)s
    """
)
_REVOKE: Query[Any] = Query("SELECT directory_revoke_token_v1(%(digest)s, %(client_id)s) AS was_there", row=_Was)
_INSERT_TOKEN: Query[Any] = Query(
    """
    INSERT INTO bearer_token (tenant_id, account_id, grant_id, name, scopes, digest, expires_at)
    SELECT waypost_tenant(%(tenant_id)s), %(account_id)s::bigint, %(grant_id)s::bigint, %(name)s::text,
           %(scopes)s::text, %(digest)s::bytea, %(expires_at)s::timestamptz
     WHERE %(grant_id)s::bigint IS NULL
        OR EXISTS (SELECT FROM oauth_grant g
                    WHERE g.tenant_id = waypost_tenant(%(tenant_id)s) AND g.id = %(grant_id)s::bigint FOR KEY SHARE)
        ON CONFLICT DO NOTHING
    """
)
_FORGET_OLD: Query[Any] = Query(
    """
    DELETE FROM bearer_token
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND grant_id IS NOT NULL
       AND (expires_at < now()
            OR id IN (SELECT o.id FROM bearer_token o
                       WHERE o.tenant_id = waypost_tenant(%(tenant_id)s) AND o.grant_id = %(grant_id)s::bigint
                       ORDER BY o.id DESC OFFSET %(kept)s))
    """
)
_TOKENS: Query[Any] = Query(
    """
    SELECT id, name::text, scopes::text, created_at, expires_at, last_used_at FROM bearer_token
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND grant_id IS NULL
     ORDER BY id
    """,
    row=ListedToken,
)
_GRANTS: Query[Any] = Query(
    """
    SELECT g.id, c.name::text AS client_name, g.scopes::text, g.created_at,
           (SELECT max(b.last_used_at) FROM bearer_token b WHERE b.tenant_id = g.tenant_id AND b.grant_id = g.id)
               AS last_used_at
      FROM oauth_grant g JOIN oauth_client c ON c.client_id = g.client_id
     WHERE g.tenant_id = waypost_tenant(%(tenant_id)s) AND g.account_id = %(account_id)s
       AND g.code_spent_at IS NOT NULL
     ORDER BY g.id
    """,
    row=ListedGrant,
)
_DELETE_TOKEN: Query[Any] = Query(
    """
    DELETE FROM bearer_token
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id = %(id)s
       AND grant_id IS NULL
    """
)
_DELETE_GRANT: Query[Any] = Query(
    """
    WITH ended AS (
        DELETE FROM oauth_grant
         WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id = %(id)s
        RETURNING tenant_id, id
    ), tokens AS (
        DELETE FROM bearer_token b USING ended e WHERE b.tenant_id = e.tenant_id AND b.grant_id = e.id
    )
    SELECT id FROM ended
    """,
    row=_Id,
)


async def find_token(connection: Connection, digest: bytes, *, network: str) -> BornToken | None:
    """None for one that nobody has, that has expired, or whose person is deleted. That it was used is noted once a
    minute."""
    row = await _TOKEN.first(connection, digest=digest, network=network[:64])
    if row is None:
        return None
    return BornToken(
        row.principal(),
        TokenBorne(row.token_id, row.grant_id, row.expires_at),
        row.scopes,
        row.name,
        Status(row.tenant_status),
        Status(row.account_status),
    )


async def find_client(connection: Connection, client_id: str) -> OAuthClient | None:
    row = await _CLIENT.first(connection, client_id=client_id)
    return None if row is None else OAuthClient(row.client_id, row.name, tuple(row.redirect_uris))


async def insert_grant(
    connection: Connection,
    who: Principal,
    *,
    client_id: str,
    scopes: str,
    code: bytes,
    challenge: str,
    redirect_uri: str,
    lasts_s: int,
    most: int,
) -> bool:
    """A grant whose code is still to be spent, within `lasts_s`. Those of the person that never were go. False: they
    have `most` already."""
    of_account = {"tenant_id": who.tenant_id, "account_id": who.account_id}
    await _FORGET_UNUSED.execute(connection, **of_account)
    if (await _COUNT_GRANTS.one(connection, **of_account)).count >= most:
        return False
    await _INSERT_GRANT.first(
        connection,
        **of_account,
        client_id=client_id,
        scopes=scopes,
        code=code,
        challenge=challenge,
        redirect_uri=redirect_uri,
        lasts_s=lasts_s,
    )
    return True


async def spend_code(
    connection: Connection, code: bytes, *, client_id: str, redirect_uri: str, challenge: str
) -> Grant | None:
    """None: it is no code, of another client, too old, spent already, or for something else; then its grant is over."""
    return _grant(
        await _SPEND.first(connection, code=code, client_id=client_id, redirect_uri=redirect_uri, challenge=challenge)
    )


async def replace_refresh(
    connection: Connection, refresh: bytes, new: bytes, *, client_id: str, grace_s: int
) -> Grant | None:
    """One refresh token in place of another. None: it is none, or was replaced longer ago than `grace_s`, and then its
    grant is over."""
    return _grant(await _REFRESH.first(connection, refresh=refresh, client_id=client_id, new=new, grace_s=grace_s))


async def set_refresh(connection: Connection, grant: Grant, refresh: bytes) -> None:
    """The first refresh token of a grant."""
    await _SET_REFRESH.execute(connection, tenant_id=grant.tenant_id, id=grant.id, refresh=refresh)


async def revoke(connection: Connection, digest: bytes, *, client_id: str) -> bool:
    """End the grant that this access or refresh token is of."""
    row = await _REVOKE.first(connection, digest=digest, client_id=client_id)
    return row is not None and bool(row.was_there)


async def insert_token(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    *,
    grant_id: int | None,
    name: str,
    scopes: str,
    digest: bytes,
    expires_at: datetime | None,
) -> bool:
    """False for a name that the person has used, and for a grant that has ended. Tokens of grants that have expired
    go, and the oldest of this one."""
    await _FORGET_OLD.execute(
        connection, tenant_id=tenant_id, account_id=account_id, grant_id=grant_id, kept=KEPT_OF_GRANT - 1
    )
    return bool(
        await _INSERT_TOKEN.execute(
            connection,
            tenant_id=tenant_id,
            account_id=account_id,
            grant_id=grant_id,
            name=name,
            scopes=scopes,
            digest=digest,
            expires_at=expires_at,
        )
    )


async def list_tokens(connection: Connection, who: Principal) -> Sequence[ListedToken]:
    return await _TOKENS.all(connection, tenant_id=who.tenant_id, account_id=who.account_id)


async def list_grants(connection: Connection, who: Principal) -> Sequence[ListedGrant]:
    return await _GRANTS.all(connection, tenant_id=who.tenant_id, account_id=who.account_id)


async def delete_token(connection: Connection, who: Principal, token_id: int) -> bool:
    """False when the person has no such token."""
    return bool(
        await _DELETE_TOKEN.execute(connection, tenant_id=who.tenant_id, account_id=who.account_id, id=token_id)
    )


async def delete_grant(connection: Connection, who: Principal, grant_id: int) -> bool:
    """With its tokens. False when the person has given no such leave."""
    row = await _DELETE_GRANT.first(connection, tenant_id=who.tenant_id, account_id=who.account_id, id=grant_id)
    return row is not None


def _grant(row: _Grant | None) -> Grant | None:
    if row is None or row.grant_id is None or row.tenant_id is None or row.account_id is None:
        return None
    return Grant(row.grant_id, TenantId(row.tenant_id), AccountId(row.account_id), row.scopes or "")
