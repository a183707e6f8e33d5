"""Bearer tokens (RFC 6750): whoever bears one is the person, within its scopes.

A token is 256 random bits, of which only SHA-256 is kept: it cannot be guessed, so a wrong one costs no delay and
counts for nobody. Each use asks the directory, so that a revoked token is worth nothing at once.
"""

import hashlib
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from mailserver.services.audit import note_act
from mailserver.services.endings import demand_signed_in
from mailserver.services.errors import LoginFailed, LoginRefused, RefusalReason
from mailserver.services.sign_in_errors import TooMany
from storage import tokens as stored
from storage.database import Database
from storage.sign_in_ends import end_sign_ins, hold_sign_ins
from storage.tokens import BornToken, Grant, ListedGrant, ListedToken
from tenants.types import Credential, Principal, Scope, Status

PREFIX = "waypost_"  # so that one which was left in a repository or a log is found there
TOKENS_LIMIT = 100  # of those that one person made
_SECRET_OCTETS = 32
_LONGEST = 200


class Tokens:
    """One per process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def principal(self, token: str, *, network: str, scope: Scope) -> Principal:
        """Raises LoginFailed for no token that is good, LoginRefused for one that is good for something else or whose
        person may not sign in now, StoreUnavailable."""
        if not token.startswith(PREFIX) or len(token) > _LONGEST or not token.isascii():
            raise LoginFailed
        async with self._database.directory() as connection:
            found = await stored.find_token(connection, digest_of(token), network=network)
        if found is None:
            raise LoginFailed
        return _admitted(found, scope)

    async def make(
        self,
        who: Principal,
        name: str,
        scopes: Collection[Scope],
        *,
        lasts: timedelta | None,
        now: datetime,
        network: str,
    ) -> str | None:
        """A token for a program of the person's, shown once; None when they have one of this name. Raises TooMany,
        SessionEnded."""
        token = new_secret()
        async with self._database.transaction(who.tenant_id) as connection:
            await demand_signed_in(connection, who)
            if len(await stored.list_tokens(connection, who)) >= TOKENS_LIMIT:
                raise TooMany(TOKENS_LIMIT)
            is_new = await stored.insert_token(
                connection,
                who.tenant_id,
                who.account_id,
                grant_id=None,
                name=name,
                scopes=written(scopes),
                digest=digest_of(token),
                expires_at=None if lasts is None else now + lasts,
            )
        if not is_new:
            return None
        note_act(who, "made a token", network=network, scopes=written(scopes))
        return token

    async def list(self, who: Principal) -> tuple[Sequence[ListedToken], Sequence[ListedGrant]]:
        """The person's own tokens, and the programs that have their leave."""
        async with self._database.read(who.tenant_id) as connection:
            return await stored.list_tokens(connection, who), await stored.list_grants(connection, who)

    async def revoke(self, who: Principal, token_id: int, *, network: str) -> None:
        async with self._database.transaction(who.tenant_id) as connection:
            await hold_sign_ins(connection, who.tenant_id, who.account_id)
            was_there = await stored.delete_token(connection, who, token_id)
            if was_there:  # what it has open ends too; the next look finds it (`endings`)
                await end_sign_ins(connection, who.tenant_id, who.account_id)
        note_act(who, "revoked a token", network=network, token=token_id, was_there=was_there)

    async def end_grant(self, who: Principal, grant_id: int, *, network: str) -> None:
        async with self._database.transaction(who.tenant_id) as connection:
            await hold_sign_ins(connection, who.tenant_id, who.account_id)
            was_there = await stored.delete_grant(connection, who, grant_id)
            if was_there:
                await end_sign_ins(connection, who.tenant_id, who.account_id)
        note_act(who, "took leave back from a program", network=network, grant=grant_id, was_there=was_there)

    async def issue(self, grant: Grant, *, expires_at: datetime) -> str | None:
        """An access token of a grant; None when it has ended, at this moment."""
        token = new_secret()
        async with self._database.transaction(grant.tenant_id) as connection:
            await hold_sign_ins(connection, grant.tenant_id, grant.account_id)
            is_new = await stored.insert_token(
                connection,
                grant.tenant_id,
                grant.account_id,
                grant_id=grant.id,
                name="",
                scopes=grant.scopes,
                digest=digest_of(token),
                expires_at=expires_at,
            )
        return token if is_new else None


def new_secret() -> str:
    return PREFIX + secrets.token_urlsafe(_SECRET_OCTETS)


def digest_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def written(scopes: Iterable[Scope]) -> str:
    """In one order, whatever the order of those asked for."""
    wanted = frozenset(scopes)
    return " ".join(scope for scope in Scope if scope in wanted)


def _admitted(found: BornToken, scope: Scope) -> Principal:
    if found.tenant_status is not Status.ACTIVE:
        raise LoginRefused(RefusalReason.TENANT_SUSPENDED)
    if found.account_status is not Status.ACTIVE:
        raise LoginRefused(RefusalReason.ACCOUNT_SUSPENDED)
    scopes = frozenset(Scope(word) for word in found.scopes.split())
    if scope not in scopes:
        raise LoginRefused(RefusalReason.OTHER_SCOPE)
    return replace(found.who, credential=Credential(name=found.name, scopes=scopes, token=found.token))
