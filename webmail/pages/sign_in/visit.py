"""A visit: what a request tells of who asks and from where, and the session its cookie stands for.

It is read once for a request and stays in the request's scope.
"""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from mailserver.assembly import Parts
from mailserver.services.own_credentials import OwnCredentials
from mailserver.services.passkeys import Passkeys, Place
from mailserver.services.second_factors import SecondFactors
from mailserver.services.web_sign_in import Visitor, WebSignIn
from storage.web_sessions import FoundSession
from tenants.types import Principal
from webmail.jmap.http.exchange import HttpRequest as PlainRequest
from webmail.jmap.http.exchange import Message
from webmail.jmap.http.reading_scope import read_scope
from webmail.session_cookie import cookie_name, host_without_port, is_plain, session_token

PARTS = "waypost.parts"  # where `webmail.asgi.build` puts them
_VISIT = "waypost.visit"


@dataclass(frozen=True, slots=True)
class Visit:
    """`session` may still lack its second factor. `is_plain`: this machine, without TLS."""

    parts: Parts
    visitor: Visitor
    place: Place
    session: FoundSession | None
    cookie: str
    is_plain: bool

    @property
    def network(self) -> str:
        return self.visitor.network

    @property
    def signed_in(self) -> FoundSession:
        """The open session; the gates see to it that views which ask have one."""
        assert self.session is not None
        assert self.session.is_open
        return self.session

    @property
    def who(self) -> Principal:
        return self.signed_in.who

    @property
    def factors(self) -> SecondFactors:
        return SecondFactors(self.parts.store, self.parts.logins.attempts, self.parts.endings)

    @property
    def passkeys(self) -> Passkeys:
        return Passkeys(self.parts.store, self.parts.endings)

    @property
    def sign_in(self) -> WebSignIn:
        return WebSignIn(self.parts.logins, self.parts.web_sessions, self.factors, self.passkeys)

    @property
    def credentials(self) -> OwnCredentials:
        return OwnCredentials(
            self.parts.store.database,
            self.parts.logins,
            self.parts.endings,
            scram_iterations=self.parts.config.login.scram_iterations,
        )


async def visit_of(request: HttpRequest) -> Visit:
    """Raises StoreUnavailable, and DisallowedHost for a name that is not ours: `place` is what the request says."""
    known = known_visit(request)
    if known is not None:
        return known
    request.get_host()
    scope = scope_of(request)
    parts: Parts = scope[PARTS]
    plain = _plain(request)
    visit = Visit(
        parts=parts,
        visitor=Visitor(plain.peer, plain.headers.get("user-agent", "")),
        place=_place(plain),
        session=await find_session(request),
        cookie=cookie_name(plain),
        is_plain=is_plain(plain),
    )
    scope[_VISIT] = visit
    return visit


async def find_session(request: HttpRequest) -> FoundSession | None:
    """The session that its cookie stands for at this moment. Raises StoreUnavailable."""
    plain = _plain(request)
    token = session_token(plain)
    parts: Parts = scope_of(request)[PARTS]
    return await parts.web_sessions.find(token, network=plain.peer) if token else None


def known_visit(request: HttpRequest) -> Visit | None:
    """The visit, where a view has asked for it."""
    found: Visit | None = scope_of(request).get(_VISIT)
    return found


def scope_of(request: HttpRequest) -> dict[str, Any]:
    found: dict[str, Any] = getattr(request, "scope", {})
    return found


def _plain(request: HttpRequest) -> PlainRequest:
    scope = scope_of(request)
    config = scope[PARTS].config
    return read_scope(scope, _no_body, hostname=config.hostname, proxies=config.proxies)


def _place(plain: PlainRequest) -> Place:
    return Place(host_without_port(plain.host), plain.origin)


async def _no_body() -> Message:
    raise AssertionError("Django has read the body")
