"""The cookie of a web session: what it is called, and when one that came along may be believed.

It is `__Host-waypost`: only over TLS, only from this host, seen by no script (RFC 6265bis §4.1.3.2). On a developer's
own machine, where there is no TLS, it is `waypost`.
"""

from webmail.jmap.http.exchange import HttpRequest

SECURE_NAME = "__Host-waypost"
PLAIN_NAME = "waypost"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_SAFE = frozenset({"GET", "HEAD"})
_NOT_ELSEWHERE = frozenset({"", "same-origin", "none"})


def is_plain(request: HttpRequest) -> bool:
    """Whether it came to this very machine without TLS."""
    return request.scheme == "http" and host_without_port(request.host) in LOOPBACK


def cookie_name(request: HttpRequest) -> str:
    return PLAIN_NAME if is_plain(request) else SECURE_NAME


def host_without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def session_token(request: HttpRequest) -> str | None:
    """The token that came along."""
    wanted = cookie_name(request)
    for pair in request.headers.get("cookie", "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == wanted:
            return value
    return None


def is_from_here(request: HttpRequest) -> bool:
    """Whether a page of ours asks, or the person by themselves. What changes something, and what stays open (a
    WebSocket), must name our origin; what is only read may come without a word about where from."""
    origin = request.headers.get("origin", "")
    if origin:
        return origin in (request.origin, f"https://{request.host}")
    is_websocket = request.headers.get("upgrade", "").lower() == "websocket"
    is_read = request.method in _SAFE and not is_websocket
    return is_read and request.headers.get("sec-fetch-site", "") in _NOT_ELSEWHERE
