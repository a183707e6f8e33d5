"""The PROXY protocol, versions 1 and 2: a load balancer says in front of everything else who the client really is.

The text is at https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt. Whoever may say it is named in the
configuration, and must say it: guessing whether a connection begins with a header would let clients forge one.
"""

import ipaddress
import struct
from dataclasses import dataclass
from typing import Self

V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V2_FIXED_OCTETS = 16
V2_MOST_OCTETS = 4_096  # of addresses and TLVs; TLVs are skipped
V1_MOST_OCTETS = 107  # with its CRLF (§2.1)
FIRST_OCTETS = 12
"""So many are read first: a version 2 header begins with exactly these, and no version 1 header is shorter than 15."""

_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21


class ProxyHeaderInvalid(Exception):
    """What a trusted proxy sent is no header; the text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """The client that the proxy names."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Network:
    """An address or a network in the notation of RFC 4632, IPv4 or IPv6."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Raises ValueError that says what is wrong."""
        try:
            return cls(ipaddress.ip_network(text))
        except ValueError:
            raise ValueError("is no address or network") from None

    def __str__(self) -> str:
        return str(self.network)

    def holds(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return address in self.network


def parse_v1(line: bytes) -> Source | None:
    """A whole line with its CRLF (§2.1). None: the proxy speaks for itself (UNKNOWN). Raises ProxyHeaderInvalid."""
    words = line.removesuffix(b"\r\n").split(b" ")
    if words[0] != b"PROXY" or len(words) < 2 or not line.endswith(b"\r\n"):
        raise ProxyHeaderInvalid("no PROXY line")
    if words[1] == b"UNKNOWN":
        return None
    kinds: dict[bytes, type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]]
    kinds = {b"TCP4": ipaddress.IPv4Address, b"TCP6": ipaddress.IPv6Address}
    if len(words) != 6 or words[1] not in kinds:
        raise ProxyHeaderInvalid("a PROXY line of another form")
    try:
        source, _ = (kinds[words[1]](word.decode("ascii")) for word in words[2:4])
    except ValueError:  # UnicodeDecodeError is one
        raise ProxyHeaderInvalid("no address in the PROXY line") from None
    if not (words[4].isdigit() and len(words[4]) <= 5 and int(words[4]) <= 65_535):
        raise ProxyHeaderInvalid("no port in the PROXY line")
    return Source(_host(source), int(words[4]))


def v2_rest_octets(fixed: bytes) -> int:
    """How many octets follow the first 16 (§2.2). Raises ProxyHeaderInvalid."""
    if len(fixed) != V2_FIXED_OCTETS or not fixed.startswith(V2_SIGNATURE):
        raise ProxyHeaderInvalid("no signature")
    (octets,) = struct.unpack_from("!H", fixed, 14)
    if octets > V2_MOST_OCTETS:
        raise ProxyHeaderInvalid("a header of too many octets")
    return int(octets)


def parse_v2(fixed: bytes, rest: bytes) -> Source | None:
    """None: the proxy speaks for itself (LOCAL), or for a family that has no address. Raises ProxyHeaderInvalid."""
    command, family = fixed[12], fixed[13]
    if command == _LOCAL:
        return None
    if command != _PROXY:
        raise ProxyHeaderInvalid("an unknown version or command")
    if family == _TCP4:
        return _source(ipaddress.IPv4Address, rest, 4)
    if family == _TCP6:
        return _source(ipaddress.IPv6Address, rest, 16)
    return None


def _source(kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address], rest: bytes, octets: int) -> Source:
    if len(rest) < 2 * octets + 4:
        raise ProxyHeaderInvalid("addresses are cut off")
    (port,) = struct.unpack_from("!H", rest, 2 * octets)
    return Source(_host(kind(rest[:octets])), port)


def _host(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An IPv4 client of a proxy that listens in IPv6 is an IPv4 client: limits of networks and logs speak of it so."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
