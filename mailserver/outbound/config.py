"""Every limit and wait of bringing mail to other hosts, as named settings."""

import ipaddress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from mailserver.listeners import Endpoint


class AddressFamily(StrEnum):
    """Which addresses of a host are tried, and which first."""

    IPV4_FIRST = "ipv4-first"
    IPV6_FIRST = "ipv6-first"
    IPV4_ONLY = "ipv4-only"
    IPV6_ONLY = "ipv6-only"


@dataclass(frozen=True, slots=True)
class ResolverConfig:
    """How DNS is asked."""

    server: Endpoint | None = field(default=None, metadata={"variable": "WAYPOST_DNS", "example": "127.0.0.1:53"})
    """the DNS resolver; empty: those of /etc/resolv.conf"""
    try_timeout_s: float = field(default=3.0, metadata={"least": 0.05})  # one question to one resolver
    timeout_s: float = field(default=10.0, metadata={"least": 0.1})  # a question with all its repetitions
    cache_entries: int = 20_000  # answers remembered
    longest_ttl_s: float = 3_600.0  # an answer is asked for again after this at the latest
    longest_negative_ttl_s: float = 300.0  # that a name or its records are missing is remembered this long at most
    least_ttl_s: float = 5.0  # answers that may not be remembered at all are for this long
    questions_limit: int = 200  # asked at the same time
    aliases_limit: int = 8  # CNAME after CNAME followed to the end

    def __post_init__(self) -> None:
        if self.server is not None:
            _demand_addresses("the DNS resolver", self.server.host)


@dataclass(frozen=True, slots=True)
class RoutingConfig:
    """Which hosts of a domain are used."""

    port: int = field(default=25, metadata={"least": 1, "most": 65_535})  # where hosts named by MX listen
    family: AddressFamily = AddressFamily.IPV4_FIRST
    """which addresses of a host are tried, and which first; receivers tend to doubt mail from IPv6 more"""
    hosts_limit: int = field(default=10, metadata={"least": 1})  # hosts of a domain that are looked at, the best
    addresses_limit: int = field(default=6, metadata={"least": 1})  # addresses of a host that are tried
    own_names: tuple[str, ...] = field(default=(), metadata={"example": "mx1.example.com,mx2.example.com"})
    """names under which MX records mean this installation, besides its host name"""
    own_addresses: tuple[str, ...] = field(default=(), metadata={"example": "192.0.2.25"})
    """addresses under which others reach this installation, besides those of this machine"""
    private_networks: bool = False  # mail may be brought to hosts with loopback and private addresses

    def __post_init__(self) -> None:
        _demand_addresses("own_addresses", *self.own_addresses)


@dataclass(frozen=True, slots=True)
class ExchangeConfig:
    """Waits and limits of one conversation; RFC 5321 §4.5.3.2 has longer waits, which keep a queue from moving."""

    connect_timeout_s: float = 20.0  # until a host takes the connection; then its next address
    greeting_timeout_s: float = 60.0  # for the 220
    hello_timeout_s: float = 60.0  # for each reply before MAIL: EHLO, STARTTLS, AUTH
    tls_handshake_timeout_s: float = 30.0  # then the host counts as one without TLS
    opening_timeout_s: float = 180.0  # from the connection to where mail may be sent, all of it
    command_timeout_s: float = 180.0  # for each reply to MAIL, RCPT and RSET
    data_timeout_s: float = 120.0  # for the 354
    block_timeout_s: float = 180.0  # for the host to take a piece of the message
    end_timeout_s: float = 600.0  # for the reply after the message; giving up early means sending it twice
    quit_timeout_s: float = 2.0  # for the 221, which nobody needs
    message_timeout_s: float = 3_600.0  # one message at one site with all its replies, however slowly they trickle
    reply_line_limit_octets: int = field(default=4_096, metadata={"least": 512})  # RFC 5321 has 512
    reply_limit_octets: int = field(default=65_536, metadata={"least": 4_096})  # one reply with all its lines
    recipients_limit: int = field(default=100, metadata={"least": 1})  # for one transaction (RFC 5321 §4.5.3.1.8)
    messages_per_connection: int = field(default=100, metadata={"least": 1})  # then QUIT
    idle_s: float = 5.0  # how long a connection is kept open for the next message
    connection_life_s: float = 300.0  # how old a connection may get that still gets messages
    idle_connections_limit: int = 200  # kept open for the next message, all hosts together
    addresses_limit: int = field(default=5, metadata={"least": 1})  # addresses of a site tried for one message
    head_start_s: float = 2.0  # how long one address family of a host is tried alone
    shun_s: float = 60.0  # how long an address that could not be reached is tried last
    clear_text_s: float = 600.0  # how long a host whose TLS failed is not asked for it again, where TLS is no must
    ca_file: Path | None = None  # certificates that smarthosts are checked against; empty: the system's


def _demand_addresses(what: str, *texts: str) -> None:
    for text in texts:
        try:
            ipaddress.ip_address(text)
        except ValueError:
            raise ValueError(f"{what}: {text!r} is no IP address") from None
