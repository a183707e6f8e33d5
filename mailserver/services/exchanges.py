"""One SASL exchange, from the name of a mechanism to a person; the doors only carry its octets (RFC 4422 §3)."""

from typing import Protocol

from mailserver.sasl import login, plain
from mailserver.services.login import Logins
from tenants.types import Principal, Scope

PLAIN, LOGIN, SCRAM_SHA_256 = "PLAIN", "LOGIN", "SCRAM-SHA-256"


class Exchange(Protocol):
    """`respond` to each decoded response of the client, first with its initial response or None: octets are the next
    challenge, a Principal is the end.

    Raises SaslMalformed, AuthorizationIdentityRefused, LoginFailed, LoginThrottled, LoginRefused, StoreUnavailable.
    """

    async def respond(self, response: bytes | None) -> bytes | Principal: ...


def mechanisms(logins: Logins) -> tuple[str, ...]:
    """Those that are worth offering, the best first. LOGIN is for SMTP only, where Outlook knows no other."""
    return (SCRAM_SHA_256, PLAIN) if logins.offers_scram else (PLAIN,)


def begin_exchange(logins: Logins, mechanism: str, *, network: str, scope: Scope) -> Exchange | None:
    """None: there is no such mechanism here."""
    match mechanism:
        case "PLAIN":
            return _Plain(logins, network, scope)
        case "LOGIN" if scope is Scope.SMTP:
            return _Login(logins, network, scope)
        case "SCRAM-SHA-256" if logins.offers_scram:
            return _Scram(logins, network, scope)
        case _:
            return None


class _Plain:
    def __init__(self, logins: Logins, network: str, scope: Scope) -> None:
        self._logins, self._network, self._scope = logins, network, scope

    async def respond(self, response: bytes | None) -> bytes | Principal:
        if response is None:
            return b""
        claimed = plain(response)
        return await self._logins.sign_in(claimed.username, claimed.password, network=self._network, scope=self._scope)


class _Login:
    def __init__(self, logins: Logins, network: str, scope: Scope) -> None:
        self._logins, self._network, self._scope = logins, network, scope
        self._username: bytes | None = None

    async def respond(self, response: bytes | None) -> bytes | Principal:
        if response is None:
            return b"Username:"
        if self._username is None:
            self._username = response
            return b"Password:"
        claimed = login(self._username, response)
        return await self._logins.sign_in(claimed.username, claimed.password, network=self._network, scope=self._scope)


class _Scram:
    def __init__(self, logins: Logins, network: str, scope: Scope) -> None:
        self._steps = logins.scram(network=network, scope=scope)

    async def respond(self, response: bytes | None) -> bytes | Principal:
        return b"" if response is None else await self._steps.respond(response)
