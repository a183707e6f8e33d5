"""The endpoints that programs themselves ask: tokens (RFC 6749 §3.2), revocation (RFC 7009), metadata (RFC 8414).

They are for programs from anywhere, pages of other origins among them, and know no cookies.
"""

from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from mailserver.assembly import Parts
from mailserver.services.oauth import Issued, OAuthRefused
from storage.errors import StoreUnavailable
from tenants.types import Scope
from webmail.pages.sign_in.visit import PARTS, scope_of

_HEADERS = {"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}
_GRANTS = ("authorization_code", "refresh_token")


@csrf_exempt
@require_http_methods(["POST", "OPTIONS"])
async def token(request: HttpRequest) -> HttpResponse:
    if request.method == "OPTIONS":
        return _preflight()
    try:
        issued = await _issued(_parts(request), request.POST)
    except OAuthRefused as refused:
        return _told({"error": refused.kind, "error_description": refused.description}, status=400)
    except StoreUnavailable:
        return _told({"error": "temporarily_unavailable"}, status=503)
    return _told(
        {
            "access_token": issued.access_token,
            "token_type": "Bearer",
            "expires_in": issued.lasts_s,
            "refresh_token": issued.refresh_token,
            "scope": issued.scopes,
        }
    )


@csrf_exempt
@require_http_methods(["POST", "OPTIONS"])
async def revoke(request: HttpRequest) -> HttpResponse:
    """200 also for what is no token: it is worth nothing, as was wished (RFC 7009 §2.2)."""
    if request.method == "OPTIONS":
        return _preflight()
    if not request.POST.get("token") or not request.POST.get("client_id"):
        return _told({"error": "invalid_request", "error_description": "token and client_id are needed"}, status=400)
    try:
        await _parts(request).oauth.revoke(request.POST["client_id"], request.POST["token"])
    except OAuthRefused as refused:
        return _told({"error": refused.kind, "error_description": refused.description}, status=400)
    except StoreUnavailable:
        return _told({"error": "temporarily_unavailable"}, status=503)
    return HttpResponse(status=200, headers=_HEADERS)


@require_safe
async def metadata(request: HttpRequest) -> HttpResponse:
    """`/.well-known/oauth-authorization-server`."""
    issuer = f"{request.scheme}://{request.get_host()}"
    return _told(
        {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/oauth/authorize",
            "token_endpoint": f"{issuer}/oauth/token",
            "revocation_endpoint": f"{issuer}/oauth/revoke",
            "scopes_supported": list(Scope),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": list(_GRANTS),
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
    )


async def _issued(parts: Parts, asked: Mapping[str, str]) -> Issued:
    client_id = asked.get("client_id", "")
    match asked.get("grant_type", ""):
        case "authorization_code":
            return await parts.oauth.redeem(
                client_id, asked.get("code", ""), asked.get("redirect_uri", ""), asked.get("code_verifier", "")
            )
        case "refresh_token":
            return await parts.oauth.refresh(client_id, asked.get("refresh_token", ""), asked.get("scope", ""))
    raise OAuthRefused("unsupported_grant_type", f"grant_type must be one of {', '.join(_GRANTS)}")


def _parts(request: HttpRequest) -> Parts:
    found: Parts = scope_of(request)[PARTS]
    return found


def _told(body: Mapping[str, object], *, status: int = 200) -> HttpResponse:
    return JsonResponse(dict(body), status=status, headers=_HEADERS)


def _preflight() -> HttpResponse:
    allowed = {"Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "Content-Type"}
    return HttpResponse(status=204, headers={**_HEADERS, **allowed})
