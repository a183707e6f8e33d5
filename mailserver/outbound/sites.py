"""Where mail for a domain is brought: hosts with their addresses, in the order to try them. Plain values."""

from dataclasses import dataclass
from enum import StrEnum


class Security(StrEnum):
    """What is asked of the connection to a host."""

    OPPORTUNISTIC = "opportunistic"  # TLS where it is offered, whatever the certificate; else in clear (RFC 7435)
    REQUIRED = "required"  # STARTTLS and a certificate for the host's name
    IMPLICIT = "implicit"  # the same from the first octet (RFC 8314 §3.3)
    NONE = "none"  # in clear


@dataclass(frozen=True, slots=True)
class Credentials:
    """AUTH at a smarthost. Never shown."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.user!r})"


@dataclass(frozen=True, slots=True)
class Host:
    """`name` as MX names it: lower case, no final dot; an address literal for `[192.0.2.1]`. Addresses in order."""

    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """Hosts that take mail for a domain, best first.

    `key` is equal for domains with the same MX (names and order of preference), so that they share connections and
    limits; it is at most 255 characters and readable: `mx1.example.net,mx2.example.net;backup.example.net`.
    """

    key: str
    hosts: tuple[Host, ...]
    port: int = 25
    security: Security = Security.OPPORTUNISTIC
    credentials: Credentials | None = None
    is_smarthost: bool = False  # named by a setting, not by DNS: that it greets with our own name means nothing


@dataclass(frozen=True, slots=True)
class Smarthost:
    """A host that takes all mail of a tenant or of the installation.

    `may_be_private`: whoever runs the installation named it, so it may stand in a private network; a tenant must not
    aim us at our neighbours.
    """

    host: str  # a name, or an IP address
    port: int = 587
    security: Security = Security.REQUIRED
    credentials: Credentials | None = None
    may_be_private: bool = False
