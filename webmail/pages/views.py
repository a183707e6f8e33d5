"""The public pages: how to connect, and the certificate authority. They work without script and ask no database."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from webmail.pages.certificate import read_authority
from webmail.pages.doors import doors
from webmail.pages.words import Words, words_for

STYLESHEET = (Path(__file__).parent / "assets" / "waypost.css").read_bytes()
STYLESHEET_VERSION = hashlib.sha256(STYLESHEET).hexdigest()[:12]
YEAR_S = 31_536_000


@require_safe
async def start(request: HttpRequest) -> HttpResponse:
    open_doors = doors(os.environ)
    facts = {
        "recommended": [door for door in open_doors if door.is_recommended],
        "alternatives": [door for door in open_doors if not door.is_recommended],
        "authority": read_authority(os.environ.get("WAYPOST_CA_FILE", "")),
    }
    return _page(request, "pages/start.html", facts)


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
    cached = f"public, max-age={YEAR_S}, immutable"  # its address carries its version
    return HttpResponse(STYLESHEET, content_type="text/css; charset=utf-8", headers={"Cache-Control": cached})


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _page(request, "pages/not_found.html", {}, status=404)


def _page(request: HttpRequest, template: str, facts: Mapping[str, object], status: int = 200) -> HttpResponse:
    words = _words(request)
    context = {"words": words, "stylesheet_version": STYLESHEET_VERSION, **facts}
    response = render(request, template, context, status=status)
    response.headers["Content-Language"] = words["tag"]
    response.headers["Cache-Control"] = "no-cache"
    patch_vary_headers(response, ["Accept-Language"])
    return response


def _words(request: HttpRequest) -> Words:
    return words_for(request.GET.get("language", ""), request.headers.get("Accept-Language", ""))
