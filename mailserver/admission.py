"""How many connections are open, in all and from one network; pure counts of one process."""

import ipaddress
from collections import Counter
from enum import StrEnum
from functools import lru_cache


class Limit(StrEnum):
    """Which limit a connection met."""

    PROCESS = "connections"
    NETWORK = "connections per network"


class Admission:
    def __init__(self, *, connections: int, per_network: int) -> None:
        self._limit = connections
        self._network_limit = per_network
        self._open = 0
        self._by_network: Counter[str] = Counter()

    def enter(self, peer: str) -> Limit | None:
        """Count a connection, whether or not it can be served; `leave` must follow. The limit it met, or None."""
        network = network_of(peer)
        self._open += 1
        self._by_network[network] += 1
        if self._open > self._limit:
            return Limit.PROCESS
        if network != LOOPBACK and self._by_network[network] > self._network_limit:
            return Limit.NETWORK
        return None

    def leave(self, peer: str) -> None:
        network = network_of(peer)
        self._open -= 1
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]


LOOPBACK = "loopback"
"""What connects from there is a proxy or a program of ours, for many people."""


@lru_cache(1_024)  # asked when a connection comes and when it goes
def network_of(peer: str) -> str:
    """An IPv4 address or an IPv6 /64."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return LOOPBACK
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
