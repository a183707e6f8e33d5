"""How many connections are open, in all and from one network; who comes on top is told so and hung up on."""

import ipaddress
from collections import Counter

from mailserver.smtp import replies
from mailserver.smtp.config import SmtpConfig
from mailserver.smtp.replies import Reply

LOCAL = "local"


class Admission:
    """Counts for one process."""

    def __init__(self, config: SmtpConfig) -> None:
        self._limit = config.connections_limit
        self._network_limit = config.connections_per_network_limit
        self._open = 0
        self._by_network: Counter[str] = Counter()

    def refusal(self, network: str) -> Reply | None:
        """Why another connection from there cannot be taken now, or None."""
        if self._open >= self._limit:
            return replies.TOO_MANY_CONNECTIONS
        if network != LOCAL and self._by_network[network] >= self._network_limit:
            return replies.TOO_MANY_FROM_NETWORK
        return None

    def enter(self, network: str) -> None:
        self._open += 1
        self._by_network[network] += 1

    def leave(self, network: str) -> None:
        self._open -= 1
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]


def network_of(address: str) -> str:
    """The IPv4 /24 or IPv6 /64 of an address, `local` for loopback and unix sockets."""
    if not address or address.startswith("127.") or address == "::1":
        return LOCAL
    if ":" not in address:
        return f"{address.rpartition('.')[0]}.0/24"
    return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False))
