"""Where the doors listen: `host:port` as a value, and the sockets bound there."""

import socket
from dataclasses import dataclass
from typing import Self

BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A TCP address to listen at. An IPv6 host is written in brackets."""

    host: str
    port: int

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read `host:port` or `[host]:port`. Raises ValueError that says what is missing."""
        host, colon, port = text.rpartition(":")
        if not colon or not host:
            raise ValueError("is not host:port")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError("is not host:port; an IPv6 host needs brackets, [::1]:143")
        if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
            raise ValueError("has no port between 1 and 65535")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class CannotListen(Exception):
    """The address of a listener cannot be bound."""

    def __init__(self, endpoint: Endpoint, reason: str) -> None:
        super().__init__(f"cannot listen at {endpoint}: {reason}")
        self.endpoint = endpoint
        self.reason = reason


def bind(endpoint: Endpoint) -> list[socket.socket]:
    """Sockets that listen at every address of the host, sharing the port with other workers (SO_REUSEPORT).

    The kernel spreads connections over the processes; a socket that is closed takes its not yet accepted connections
    with it, so a door accepts what is waiting before it closes. Raises CannotListen.
    """
    bound = _bound(endpoint)
    for each in bound:
        each.listen(BACKLOG)
    return bound


def demand_bindable(endpoint: Endpoint) -> None:
    """For servers that make their sockets themselves. Raises CannotListen."""
    for each in _bound(endpoint):
        each.close()


def _bound(endpoint: Endpoint) -> list[socket.socket]:
    try:
        found = socket.getaddrinfo(
            endpoint.host, endpoint.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise CannotListen(endpoint, str(error.strerror or error)) from None
    bound: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            bound.append(_shared(socket.socket(family, kind, protocol)))
            bound[-1].bind(address)
    except OSError as error:
        for each in bound:
            each.close()
        raise CannotListen(endpoint, str(error.strerror or error)) from None
    return bound


def _shared(fresh: socket.socket) -> socket.socket:
    fresh.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    fresh.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if fresh.family == socket.AF_INET6:
        fresh.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    fresh.setblocking(False)
    return fresh
