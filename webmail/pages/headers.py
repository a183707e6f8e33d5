"""Headers that every page carries. The pages need no script, no frame and nothing from elsewhere."""

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


def _add(response: HttpResponse) -> HttpResponse:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@sync_and_async_middleware
def security_headers(handler: Handler) -> Handler:
    """A view may set its own header first; this one fills in what is missing."""
    if iscoroutinefunction(handler):

        async def answer_async(request: HttpRequest) -> HttpResponse:
            return _add(await handler(request))

        return answer_async

    def answer(request: HttpRequest) -> HttpResponse:
        return _add(handler(request))  # type: ignore[arg-type]

    return answer
