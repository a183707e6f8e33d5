"""One SASL exchange, from the name of a mechanism to a person; the doors only carry its octets (RFC 4422 §3)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from mailserver.sasl import Bearer, login, oauth_bearer, plain, prepare, xoauth2
from mailserver.services.errors import LoginFailed, LoginRefused
from mailserver.services.login import Logins
from mailserver.services.scram_login import ScramSignIn
from tenants.types import Principal, Scope

PLAIN, LOGIN, SCRAM_SHA_256 = "PLAIN", "LOGIN", "SCRAM-SHA-256"
OAUTHBEARER, XOAUTH2 = "OAUTHBEARER", "XOAUTH2"

SignIn = Callable[[str, str], Awaitable[Principal]]
ByToken = Callable[[str], Awaitable[Principal]]
_READ_BEARER: Mapping[str, Callable[[bytes], Bearer]] = {OAUTHBEARER: oauth_bearer, XOAUTH2: xoauth2}
_INVALID_TOKEN = b'{"status":"invalid_token","schemes":"bearer"}'


class Exchange(Protocol):
    """`respond` to each decoded response of the client, first with its initial response or None: octets are the next
    challenge, a Principal is the end.

    Raises SaslMalformed, AuthorizationIdentityRefused, LoginFailed, LoginThrottled, LoginRefused, StoreUnavailable.
    """

    async def respond(self, response: bytes | None) -> bytes | Principal: ...


def mechanisms(logins: Logins, scope: Scope) -> tuple[str, ...]:
    """Those that are worth offering, the best first. LOGIN is for SMTP only, where Outlook knows no other. Tokens come
    last: some programs take the first one they know, and only who has a token wants those."""
    old = (PLAIN, LOGIN) if scope is Scope.SMTP else (PLAIN,)
    with_password = (SCRAM_SHA_256, *old) if logins.offers_scram else old
    return (*with_password, OAUTHBEARER, XOAUTH2)


def begin_exchange(logins: Logins, mechanism: str, *, network: str, scope: Scope) -> Exchange | None:
    """None: there is no such mechanism here. One that is not offered yet may be used by whoever knows that it works."""
    if mechanism == SCRAM_SHA_256:
        return ScramExchange(logins.scram(network=network, scope=scope)) if logins.knows_scram else None

    if mechanism in _READ_BEARER:

        async def by_token(token: str) -> Principal:
            return await logins.tokens.principal(token, network=network, scope=scope)

        return BearerExchange(by_token, _READ_BEARER[mechanism])

    async def sign_in(username: str, password: str) -> Principal:
        return await logins.sign_in(username, password, network=network, scope=scope)

    if mechanism == PLAIN:
        return PlainExchange(sign_in)
    return LoginExchange(sign_in) if mechanism == LOGIN and scope is Scope.SMTP else None


class PlainExchange:
    """RFC 4616."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in

    async def respond(self, response: bytes | None) -> bytes | Principal:
        if response is None:
            return b""
        claimed = plain(response)
        return await self._sign_in(claimed.username, claimed.password)


class LoginExchange:
    """draft-murchison-sasl-login; some clients look for exactly these prompts."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in
        self._username: bytes | None = None

    async def respond(self, response: bytes | None) -> bytes | Principal:
        if response is None:
            return b"Username:"
        if self._username is None:
            self._username = response
            return b"Password:"
        claimed = login(self._username, response)
        return await self._sign_in(claimed.username, claimed.password)


class BearerExchange:
    """OAUTHBEARER and XOAUTH2. A token that is not good is answered by a challenge that says so; the client answers
    that with a word of no meaning, and the exchange fails (RFC 7628 §3.2.3)."""

    def __init__(self, sign_in: ByToken, read: Callable[[bytes], Bearer]) -> None:
        self._sign_in = sign_in
        self._read = read
        self._refusal: LoginFailed | LoginRefused | None = None

    async def respond(self, response: bytes | None) -> bytes | Principal:
        if self._refusal is not None:
            raise self._refusal
        if response is None:
            return b""
        claimed = self._read(response)
        try:
            who = await self._sign_in(claimed.token)
            if claimed.username and claimed.username.lower() != prepare(str(who.address)).lower():
                raise LoginFailed
        except (LoginFailed, LoginRefused) as refusal:
            self._refusal = refusal
            return _INVALID_TOKEN
        return who


class ScramExchange:
    """RFC 5802, RFC 7677."""

    def __init__(self, steps: ScramSignIn) -> None:
        self._steps = steps

    async def respond(self, response: bytes | None) -> bytes | Principal:
        return b"" if response is None else await self._steps.respond(response)


class SubmissionSignIn:
    """How people sign in to send mail, as the SMTP doors ask for it."""

    def __init__(self, logins: Logins) -> None:
        self._logins = logins

    @property
    def mechanisms(self) -> tuple[str, ...]:
        return mechanisms(self._logins, Scope.SMTP)

    def begin(self, mechanism: str, /, *, network: str) -> Exchange | None:
        return begin_exchange(self._logins, mechanism, network=network, scope=Scope.SMTP)

    def enter(self, principal: Principal, /, *, network: str, end: Callable[[], None]) -> Callable[[], None]:
        connections = self._logins.connections
        seat = connections.enter(
            principal.account_id,
            network,
            epoch=principal.sign_in_epoch,
            token=principal.credential.token,
            end=end,
        )
        return lambda: connections.leave(seat)
