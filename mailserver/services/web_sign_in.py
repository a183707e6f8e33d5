"""Signing in with a browser, step by step: a password and then a second factor where there is one, or a passkey alone.

    password ──▶ no second factor: a session            passkey that asked who is there ──▶ a session
             └─▶ a session that lacks the code ──▶ code, recovery code or passkey ──▶ a session

Also the way to show again who one is, before what is worth more than reading mail.
"""

from dataclasses import dataclass

from mailserver.services.errors import LoginFailed
from mailserver.services.login import Logins
from mailserver.services.passkeys import Passkeys, Place
from mailserver.services.second_factors import SecondFactors
from mailserver.services.web_sessions import WebSessions
from storage.web_sessions import FoundSession


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks, as far as anybody can tell before they sign in. `client` is what the browser calls itself."""

    network: str
    client: str


@dataclass(frozen=True, slots=True)
class Began:
    """A session's token. `needs_code`: it opens nothing before the second factor has come."""

    token: str
    needs_code: bool


class WebSignIn:
    """Every method raises StoreUnavailable, KeyUnusable."""

    def __init__(self, logins: Logins, sessions: WebSessions, factors: SecondFactors, passkeys: Passkeys) -> None:
        self._logins = logins
        self._sessions = sessions
        self._factors = factors
        self._passkeys = passkeys

    async def by_password(self, address: str, password: str, visitor: Visitor) -> Began:
        """Raises LoginFailed, LoginThrottled, LoginRefused, SessionEnded."""
        who = await self._logins.sign_in(address, password, network=visitor.network)
        needs_code = (await self._factors.of(who)).are_any
        token = await self._sessions.begin(who, is_open=not needs_code, network=visitor.network, client=visitor.client)
        return Began(token, needs_code)

    async def by_passkey(self, answer: str, place: Place, visitor: Visitor) -> str:
        """Raises PasskeyRefused, SessionEnded."""
        who = await self._passkeys.sign_in(place, answer, network=visitor.network)
        return await self._sessions.begin(who, is_open=True, network=visitor.network, client=visitor.client)

    async def with_code(self, session: FoundSession, code: str, visitor: Visitor) -> str:
        """Raises CodeWrong, LoginThrottled, SessionEnded."""
        await self._factors.demand_code(session.who, code, network=visitor.network)
        return await self._sessions.complete(session, network=visitor.network, client=visitor.client)

    async def with_passkey(self, session: FoundSession, answer: str, place: Place, visitor: Visitor) -> str:
        """Raises PasskeyRefused, SessionEnded."""
        await self._passkeys.demand_beside(session.who, place, answer, network=visitor.network)
        return await self._sessions.complete(session, network=visitor.network, client=visitor.client)

    async def again_by_password(self, session: FoundSession, password: str, visitor: Visitor) -> str:
        """Raises LoginFailed, LoginThrottled, LoginRefused, SessionEnded."""
        who = await self._logins.sign_in(str(session.who.address), password, network=visitor.network)
        if who.account_id != session.who.account_id:
            raise LoginFailed
        return await self._sessions.verified(session, network=visitor.network)

    async def again_by_passkey(self, session: FoundSession, answer: str, place: Place, visitor: Visitor) -> str:
        """Raises PasskeyRefused, SessionEnded."""
        await self._passkeys.demand_beside(session.who, place, answer, network=visitor.network)
        return await self._sessions.verified(session, network=visitor.network)
