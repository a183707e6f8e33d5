"""OAuth 2 for programs of others: the authorisation code with PKCE (RFC 6749 §4.1, RFC 7636), as RFC 9700 wants it.

All clients are public ones: native programs and pages that can keep no secret (RFC 8252 §8.5). What a code and a
refresh token are worth is decided in one statement each, so that neither is good twice; who brings a spent one ends the
grant, for somebody has stolen it.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from mailserver.services.audit import note_act
from mailserver.services.endings import demand_signed_in
from mailserver.services.sign_in_errors import TooMany
from mailserver.services.tokens import Tokens, digest_of, new_secret, written
from storage import tokens as stored
from storage.database import Database
from storage.tokens import Grant, OAuthClient
from tenants.types import Principal, Scope

CODE_S = 60
ACCESS_S = 3_600
GRANTS_LIMIT = 100  # of one person
REFRESH_GRACE_S = 30  # a program whose answer was lost asks again with the old one
OFFLINE_ACCESS = "offline_access"  # which programs ask for by habit; a grant can always be refreshed here
_LOOPBACK = frozenset({"127.0.0.1", "[::1]", "localhost"})
_CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)


class OAuthRefused(Exception):
    """`kind` is the RFC's word (RFC 6749 §4.1.2.1, §5.2)."""

    def __init__(self, kind: str, description: str) -> None:
        super().__init__(f"{kind}: {description}")
        self.kind = kind
        self.description = description


class RedirectRefused(OAuthRefused):
    """The client, or where it wants its answer, is not known: the browser must not be sent there (§4.1.2.1)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a program asks a person for, checked."""

    client: OAuthClient
    redirect_uri: str
    scopes: frozenset[Scope]
    challenge: str


@dataclass(frozen=True, slots=True)
class Issued:
    """What the token endpoint answers (RFC 6749 §5.1)."""

    access_token: str
    refresh_token: str
    lasts_s: int
    scopes: str


class OAuth:
    """One per process."""

    def __init__(
        self, database: Database, tokens: Tokens, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._clock = clock

    async def client(self, client_id: str, redirect_uri: str) -> tuple[OAuthClient, str]:
        """A known client, and where its answer goes. Raises RedirectRefused, StoreUnavailable."""
        client = None
        if _CLIENT_ID.fullmatch(client_id):
            async with self._database.directory() as connection:
                client = await stored.find_client(connection, client_id)
        if client is None:
            raise RedirectRefused("invalid_client", "this program is not known here")
        if not redirect_uri and len(client.redirect_uris) == 1:
            return client, client.redirect_uris[0]
        if not any(_is_same(redirect_uri, known) for known in client.redirect_uris):
            raise RedirectRefused("invalid_request", "this program did not say that its answers go there")
        return client, redirect_uri

    async def allow(self, who: Principal, asked: Asked, *, network: str) -> str:
        """The person gives leave: a code for the program. Raises TooMany, SessionEnded, StoreUnavailable."""
        code = new_secret()
        async with self._database.transaction(who.tenant_id) as connection:
            await demand_signed_in(connection, who)
            is_new = await stored.insert_grant(
                connection,
                who,
                client_id=asked.client.client_id,
                scopes=written(asked.scopes),
                code=digest_of(code),
                challenge=asked.challenge,
                redirect_uri=asked.redirect_uri,
                lasts_s=CODE_S,
                most=GRANTS_LIMIT,
            )
        if not is_new:
            raise TooMany(GRANTS_LIMIT)
        note_act(who, "gave leave to a program", network=network, program=asked.client.client_id)
        return code

    async def redeem(self, client_id: str, code: str, redirect_uri: str, verifier: str) -> Issued:
        """Raises OAuthRefused, StoreUnavailable."""
        if not _VERIFIER.fullmatch(verifier):
            raise OAuthRefused("invalid_request", "code_verifier must have 43 to 128 unreserved characters")
        _demand_client_id(client_id)
        if "\0" in redirect_uri:
            raise OAuthRefused("invalid_grant", "this code is for another redirect_uri")
        if not redirect_uri:  # who has one only may leave it out, here as there (RFC 6749 §4.1.3)
            _, redirect_uri = await self.client(client_id, "")
        async with self._database.directory() as connection:
            grant = await stored.spend_code(
                connection,
                digest_of(code),
                client_id=client_id,
                redirect_uri=redirect_uri,
                challenge=challenge_of(verifier),
            )
        if grant is None:
            raise OAuthRefused("invalid_grant", "this code is not good, or not any more")
        refresh = _refresh_token(code)
        async with self._database.transaction(grant.tenant_id) as connection:
            await stored.set_refresh(connection, grant, digest_of(refresh))
        return await self._issued(grant, refresh)

    async def refresh(self, client_id: str, refresh_token: str, scope: str) -> Issued:
        """Raises OAuthRefused, StoreUnavailable.

        A refresh token begins with the code that its grant was given by, so that every one that was replaced is known
        again: a thief who refreshed twice is found as well.
        """
        _demand_client_id(client_id)
        code, dot, _ = refresh_token.partition(".")
        new = _refresh_token(code)
        async with self._database.directory() as connection:
            grant = await stored.replace_refresh(
                connection, digest_of(refresh_token), digest_of(new), client_id=client_id, grace_s=REFRESH_GRACE_S
            )
            if grant is None and dot:  # a code that comes again ends its grant
                await stored.spend_code(connection, digest_of(code), client_id=client_id, redirect_uri="", challenge="")
        if grant is None:
            raise OAuthRefused("invalid_grant", "this refresh token is not good, or not any more")
        if scope:
            narrowed = scopes_of(scope) & scopes_of(grant.scopes)
            if narrowed != scopes_of(scope):
                raise OAuthRefused("invalid_scope", "more is asked for than was given")
            grant = Grant(grant.id, grant.tenant_id, grant.account_id, written(narrowed))
        return await self._issued(grant, new)

    async def revoke(self, client_id: str, token: str) -> None:
        """RFC 7009: of a token that is none, nothing is said. Raises OAuthRefused, StoreUnavailable."""
        _demand_client_id(client_id)
        async with self._database.directory() as connection:
            await stored.revoke(connection, digest_of(token), client_id=client_id)

    async def _issued(self, grant: Grant, refresh_token: str) -> Issued:
        expires_at = self._clock() + timedelta(seconds=ACCESS_S)
        access_token = await self._tokens.issue(grant, expires_at=expires_at)
        if access_token is None:
            raise OAuthRefused("invalid_grant", "the person took their leave back")
        return Issued(access_token, refresh_token, ACCESS_S, grant.scopes)


def asked_of(
    client: OAuthClient, redirect_uri: str, *, response_type: str, scope: str, challenge: str, method: str
) -> Asked:
    """Raises OAuthRefused, which the program hears of."""
    if response_type != "code":
        raise OAuthRefused("unsupported_response_type", "response_type must be code")
    if method != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise OAuthRefused("invalid_request", "PKCE is needed: code_challenge, with code_challenge_method=S256")
    return Asked(client, redirect_uri, scopes_of(scope), challenge)


def scopes_of(text: str) -> frozenset[Scope]:
    """Raises OAuthRefused for what is no scope of ours, and for none."""
    try:
        scopes = frozenset(Scope(word) for word in text.split() if word != OFFLINE_ACCESS)
    except ValueError:
        raise OAuthRefused("invalid_scope", f"scopes are {', '.join(Scope)}") from None
    if not scopes:
        raise OAuthRefused("invalid_scope", f"ask for one or more of {', '.join(Scope)}")
    return scopes


def _refresh_token(code: str) -> str:
    return f"{code}.{secrets.token_urlsafe(32)}"


def _demand_client_id(text: str) -> None:
    if not _CLIENT_ID.fullmatch(text):
        raise OAuthRefused("invalid_client", "this program is not known here")


def challenge_of(verifier: str) -> str:
    """RFC 7636 §4.2, S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _is_same(asked: str, known: str) -> bool:
    """Character by character, but for the port of a loopback address, which native programs choose (RFC 8252 §7.3)."""
    if asked == known:
        return True
    try:
        wanted, registered = urlsplit(asked), urlsplit(known)
        _ = wanted.port
    except ValueError:
        return False
    host = _host(registered.netloc)
    return (
        registered.scheme == "http"
        and host in _LOOPBACK
        and "@" not in wanted.netloc
        and wanted._replace(netloc=_host(wanted.netloc)) == registered._replace(netloc=host)
    )


def _host(netloc: str) -> str:
    """Without the port."""
    head, colon, port = netloc.rpartition(":")
    return head if colon and port.isdigit() else netloc
