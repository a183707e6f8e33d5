"""What an ASGI scope says of a request: headers, how the client reached us, and who it is behind a load balancer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mailserver.proxy_protocol import Network
from mailserver.web import TURN
from webmail.jmap.http.exchange import HttpRequest, Receive

_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


def read_scope(scope: Mapping[str, Any], receive: Receive, *, hostname: str, proxies: Sequence[Network]) -> HttpRequest:
    """`hostname` is ours, for clients that name none; `proxies` are believed when they say who the client is."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    host = headers.get("host", "")
    return HttpRequest(
        method=scope.get("method", "GET"),  # a WebSocket's opening handshake names none
        path=scope["path"],
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
        scheme=_scheme(scope, headers),
        host=host if _HOST.fullmatch(host) else hostname,
        peer=_peer(scope, headers, proxies),
        receive=receive,
        **({"hold": turn.end} if (turn := scope.get(TURN)) is not None else {}),
    )


def _scheme(scope: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """TLS ends in front of us. Whoever says so falsely only gets addresses that do not answer."""
    is_tls = scope.get("scheme") in ("https", "wss") or headers.get("x-forwarded-proto", "").strip().lower() == "https"
    return "https" if is_tls else "http"


def _peer(scope: Mapping[str, Any], headers: Mapping[str, str], proxies: Sequence[Network]) -> str:
    """The last address of the way here that is not of a proxy of ours."""
    client = scope.get("client")
    peer = str(client[0]) if client else ""
    named = [each.strip() for each in headers.get("x-forwarded-for", "").split(",") if each.strip()]
    while named and any(proxy.holds(peer) for proxy in proxies):
        peer = _without_port(named.pop())
    return peer


def _without_port(address: str) -> str:
    """Some proxies name the port too: 192.0.2.7:5000, [2001:db8::7]:5000."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address
