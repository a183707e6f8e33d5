"""Who asks: by address and password (RFC 7617), by a token (RFC 6750), or by the cookie of a web session."""

import base64
import binascii

from mailserver.assembly import Parts
from mailserver.services.errors import LoginFailed, LoginRefused, LoginThrottled
from tenants.types import Principal, Scope
from webmail.jmap.http.exchange import HttpRequest, Refused
from webmail.session_cookie import is_from_here, session_token

REALM = "Waypost"
_LONGEST_CREDENTIALS = 4_096


async def signed_in(parts: Parts, request: HttpRequest) -> Principal:
    """Raises Refused: 401 for who is not known here, 403 for who may not, 429 for who tried too often.

    StoreUnavailable when nobody can be known now.
    """
    kind, _, credentials = request.headers.get("authorization", "").partition(" ")
    match kind.lower():
        case "basic":
            return await _by_password(parts, request, credentials.strip())
        case "bearer":
            return await _by_token(parts, request, credentials.strip())
        case "":
            return await _by_cookie(parts, request)
    raise unknown(request)


def unknown(request: HttpRequest) -> Refused:
    """401. A page of ours that lost its session signs in by itself; its browser must not ask for a password."""
    is_our_page = request.headers.get("sec-fetch-site") == "same-origin"
    challenges = [("www-authenticate", f'Bearer realm="{REALM}"')]
    if not is_our_page:
        challenges.append(("www-authenticate", f'Basic realm="{REALM}", charset="UTF-8"'))
    return Refused(401, "sign in", tuple(challenges))


async def _by_cookie(parts: Parts, request: HttpRequest) -> Principal:
    """A page of ours, with the cookie of a web session; pages of other origins have no use of it."""
    token = session_token(request)
    if token is None or not is_from_here(request):
        raise unknown(request)
    who = await parts.web_sessions.principal(token, network=request.peer)
    if who is None:
        raise unknown(request)
    return who


async def _by_token(parts: Parts, request: HttpRequest, token: str) -> Principal:
    try:
        return await parts.logins.tokens.principal(token, network=request.peer, scope=Scope.JMAP)
    except LoginFailed:
        challenge = f'Bearer realm="{REALM}", error="invalid_token"'
        raise Refused(401, "this token is not good", (("www-authenticate", challenge),)) from None
    except LoginRefused as refusal:
        raise Refused(403, str(refusal.reason)) from None


async def _by_password(parts: Parts, request: HttpRequest, credentials: str) -> Principal:
    address, password = _read_basic(request, credentials)
    try:
        return await parts.logins.sign_in(address, password, network=request.peer, scope=Scope.JMAP)
    except LoginFailed:
        raise unknown(request) from None
    except LoginRefused as refusal:
        raise Refused(403, str(refusal.reason)) from None
    except LoginThrottled as throttled:
        wait = ("retry-after", str(max(1, round(throttled.retry_after_s))))
        raise Refused(429, "too many failed sign-ins", (wait,)) from None


def _read_basic(request: HttpRequest, credentials: str) -> tuple[str, str]:
    """Address and password (RFC 7617 §2); UTF-8, as our challenge says."""
    if len(credentials) > _LONGEST_CREDENTIALS:
        raise unknown(request)
    try:
        text = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, ValueError):
        raise unknown(request) from None
    address, colon, password = text.partition(":")
    if not colon:
        raise unknown(request)
    return address, password
