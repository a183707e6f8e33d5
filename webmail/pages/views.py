"""The public pages: how to connect, and the certificate authority. They work without script and ask no database."""

import os

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from webmail.pages.certificate import read_authority
from webmail.pages.doors import doors
from webmail.pages.rendering import PASSKEY_SCRIPT, STYLESHEET, YEAR_S, page


@require_safe
async def start(request: HttpRequest) -> HttpResponse:
    open_doors = doors(os.environ)
    facts = {
        "recommended": [door for door in open_doors if door.is_recommended],
        "alternatives": [door for door in open_doors if not door.is_recommended],
        "authority": read_authority(os.environ.get("WAYPOST_CA_FILE", "")),
    }
    return page(request, "pages/start.html", facts)


@require_safe
async def certificate_authority(request: HttpRequest) -> HttpResponse:
    authority = read_authority(os.environ.get("WAYPOST_CA_FILE", ""))
    if authority is None:
        return not_found(request)
    return HttpResponse(
        authority.pem,
        content_type="application/x-x509-ca-cert",  # which phones offer to install
        headers={"Content-Disposition": 'inline; filename="waypost-ca.pem"', "Cache-Control": "no-cache"},
    )


@require_safe
async def stylesheet(_request: HttpRequest) -> HttpResponse:
    return _asset(STYLESHEET, "text/css; charset=utf-8")


@require_safe
async def passkey_script(_request: HttpRequest) -> HttpResponse:
    return _asset(PASSKEY_SCRIPT, "text/javascript; charset=utf-8")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return page(request, "pages/not_found.html", {}, status=404)


def _asset(octets: bytes, content_type: str) -> HttpResponse:
    cached = f"public, max-age={YEAR_S}, immutable"  # its address carries its version
    return HttpResponse(octets, content_type=content_type, headers={"Cache-Control": cached})
