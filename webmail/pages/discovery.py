"""Where mail programs find their settings: autoconfiguration and Autodiscover, told to whoever asks."""

import os

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from webmail.pages.autoconfig import (
    ASKED_LIMIT_OCTETS,
    asked_address,
    autoconfig,
    autodiscover,
    autodiscover_refusal,
    good_address,
)
from webmail.pages.doors import doors


@require_safe
async def autoconfiguration(request: HttpRequest) -> HttpResponse:
    """`/.well-known/autoconfig/mail/config-v1.1.xml`, `/mail/config-v1.1.xml`, with `?emailaddress=` or without."""
    address = good_address(request.GET.get("emailaddress", ""))
    domain = address.rpartition("@")[2] if address else ""
    return _xml(autoconfig(doors(os.environ), domain, os.environ.get("WAYPOST_HOSTNAME", "Waypost")))


@csrf_exempt  # programs post here, without a session and without effect
@require_http_methods(["GET", "HEAD", "POST"])
async def autodiscovery(request: HttpRequest) -> HttpResponse:
    """`/autodiscover/autodiscover.xml`: POX. Whatever is wrong with a request is said as its protocol says it."""
    if request.method != "POST":
        return _xml(autodiscover_refusal("Ask by POST."))
    address = asked_address(request.read(ASKED_LIMIT_OCTETS + 1))
    if address is None:
        return _xml(autodiscover_refusal("There is no mail address in the request."))
    return _xml(autodiscover(doors(os.environ), address))


def _xml(octets: bytes) -> HttpResponse:
    return HttpResponse(octets, content_type="text/xml; charset=utf-8", headers={"Cache-Control": "no-store"})
