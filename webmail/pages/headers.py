"""Headers that every page carries. The pages need no frame, nothing from elsewhere, and but for passkeys no script."""

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

POLICY = "; ".join(
    [
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}

Handler = Callable[[HttpRequest], HttpResponse] | Callable[[HttpRequest], Awaitable[HttpResponse]]


LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


def _add(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if not request.is_secure() and _host_of(request) in LOOPBACK:
        for cookie in response.cookies.values():  # on this machine without TLS not every browser keeps `Secure` ones
            cookie["secure"] = ""
    return response


def _host_of(request: HttpRequest) -> str:
    host = request.headers.get("Host", "")
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0].lower()


@sync_and_async_middleware
def security_headers(handler: Handler) -> Handler:
    """A view may set its own header first; this one fills in what is missing."""
    if iscoroutinefunction(handler):

        async def answer_async(request: HttpRequest) -> HttpResponse:
            return _add(request, await handler(request))

        return answer_async

    def answer(request: HttpRequest) -> HttpResponse:
        return _add(request, handler(request))  # type: ignore[arg-type]

    return answer
