"""Which hosts take mail for a domain (RFC 5321 §5.1, RFC 7505), with addresses that may be connected to."""

import asyncio
import hashlib
import ipaddress
import random
import secrets
import socket
from itertools import zip_longest

import idna

from mailserver.outbound.config import AddressFamily, RoutingConfig
from mailserver.outbound.dns_answers import MxRecord, RecordKind, is_host_name
from mailserver.outbound.errors import DnsTemporary, DomainInvalid, DomainUnknown, MailLoops, NoUsableHost, NullMx
from mailserver.outbound.mx import better_than_ours, is_null_mx, shortened, shuffled, site_key, usable
from mailserver.outbound.resolver import LookupFailed, Resolver
from mailserver.outbound.sites import Host, Site, Smarthost
from mailserver.public_addresses import is_public

_KINDS: dict[AddressFamily, tuple[RecordKind, ...]] = {
    AddressFamily.IPV4_FIRST: (RecordKind.A, RecordKind.AAAA),
    AddressFamily.IPV6_FIRST: (RecordKind.AAAA, RecordKind.A),
    AddressFamily.IPV4_ONLY: (RecordKind.A,),
    AddressFamily.IPV6_ONLY: (RecordKind.AAAA,),
}


_NOBODYS_V4, _NOBODYS_V6 = "203.0.113.255", "2001:db8:ffff::ffff"  # for documentation (RFC 5737, RFC 3849)


class Router:
    """`hostname` is the name of this installation."""

    def __init__(self, hostname: str, config: RoutingConfig, resolver: Resolver) -> None:
        self._config = config
        self._resolver = resolver
        self._own_names = frozenset(name.lower().rstrip(".") for name in (hostname, *config.own_names))
        self._secret = secrets.token_bytes(16)
        self._own_addresses = frozenset(str(ipaddress.ip_address(address)) for address in config.own_addresses)

    async def find_site(self, domain: str) -> Site:
        """Where mail for `domain` (A-label, U-label or address literal) goes.

        Raises NoSite: DomainUnknown, DomainInvalid, NullMx, NoUsableHost, MailLoops for good, DnsTemporary for now.
        """
        if domain.startswith("["):
            return self._literal_site(domain)
        name = _canonical(domain)
        records = await self._mx(name)
        addresses = await self._addresses_of([record.host for record in records], domain)
        ours = {host for host, found in addresses.items() if host in self._own_names or self._is_ours(found)}
        others = better_than_ours(records, ours)
        if not others:
            raise MailLoops(domain, f"{records[0].host} is this server")
        hosts = [Host(record.host, self._permitted(addresses[record.host])) for record in others]
        hosts = [host for host in hosts if host.addresses]
        if not hosts:
            raise NoUsableHost(domain, _why_none(others, addresses))
        return Site(site_key(others), tuple(hosts), self._config.port)

    async def find_smarthost(self, smarthost: Smarthost) -> Site:
        """The site of a host that takes mail for everybody. Raises NoSite, for now at most: a setting can be mended."""
        name = smarthost.host.strip("[]").lower().rstrip(".")
        try:
            addresses: tuple[str, ...] = (str(ipaddress.ip_address(name)),)
        except ValueError:
            try:
                addresses = await self._addresses(name)
            except LookupFailed as failed:
                raise DnsTemporary(name, failed.reason) from None
        if not smarthost.may_be_private:
            addresses = self._permitted(addresses)
        if not addresses:
            raise DnsTemporary(name, "the smarthost has no address that may be used")
        key = shortened(f"smarthost:{self._mark_of(smarthost)}:{name}:{smarthost.port}")
        return Site(key, (Host(name, addresses),), smarthost.port, smarthost.security, smarthost.credentials, True)

    def _mark_of(self, smarthost: Smarthost) -> str:
        """Differs with all that is set, so that no mail goes by another tenant's credentials; tells nothing of them."""
        credentials = smarthost.credentials
        facts = (smarthost.security, credentials and (credentials.user, credentials.password))
        return hashlib.blake2b(repr(facts).encode(), key=self._secret, digest_size=6).hexdigest()

    async def _mx(self, name: str) -> list[MxRecord]:
        """The hosts, in order. Without MX the domain itself is the host."""
        try:
            answer = await self._resolver.lookup(name, RecordKind.MX)
        except LookupFailed as failed:
            raise DnsTemporary(name, failed.reason) from None
        if not answer.exists:
            raise DomainUnknown(name)
        found = [record for record in answer.records if isinstance(record, MxRecord)]
        if not found:
            return [MxRecord(0, name)]
        if is_null_mx(found):
            raise NullMx(name)
        records = usable(found, self._config.hosts_limit)
        if not records:
            raise NoUsableHost(name, "its MX name no host")
        return shuffled(records, random.shuffle)

    async def _addresses_of(self, hosts: list[str], domain: str) -> dict[str, tuple[str, ...]]:
        """What could be found. If others have an address, a host that cannot be looked up now counts as one without."""
        results = await asyncio.gather(*map(self._addresses, hosts), return_exceptions=True)
        found: dict[str, tuple[str, ...]] = {}
        failed: LookupFailed | None = None
        for host, result in zip(hosts, results, strict=True):
            if isinstance(result, LookupFailed):
                failed = result
            elif isinstance(result, BaseException):
                raise result
            found[host] = () if isinstance(result, BaseException) else result
        if failed is not None and not any(map(self._permitted, found.values())):
            raise DnsTemporary(domain, str(failed))
        return found

    async def _addresses(self, host: str) -> tuple[str, ...]:
        """Both families in turn, the one to try first in front. Raises LookupFailed if neither is known."""
        kinds = _KINDS[self._config.family]
        results = await asyncio.gather(*(self._resolver.lookup(host, kind) for kind in kinds), return_exceptions=True)
        by_family: list[list[str]] = []
        failed: LookupFailed | None = None
        for result in results:
            if isinstance(result, LookupFailed):
                failed = result
            elif isinstance(result, BaseException):
                raise result
            else:
                addresses = [record for record in result.records if isinstance(record, str)]
                random.shuffle(addresses)
                by_family.append(addresses[: self._config.addresses_limit])
        if failed is not None and not any(by_family):
            raise failed
        turns = (address for turn in zip_longest(*by_family) for address in turn if address is not None)
        return tuple(turns)[: self._config.addresses_limit]

    def _literal_site(self, literal: str) -> Site:
        """`[192.0.2.1]` and `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3)."""
        inside = literal[1:-1] if literal.endswith("]") else ""
        try:
            if inside[:5].lower() == "ipv6:":
                address = str(ipaddress.IPv6Address(inside[5:]))
            else:
                address = str(ipaddress.IPv4Address(inside))
        except ValueError:
            raise DomainInvalid(literal) from None
        if self._is_ours((address,)):
            raise MailLoops(literal)
        if not self._permitted((address,)):
            raise NoUsableHost(literal, "no address of the Internet")
        name = f"[{address}]"
        return Site(name, (Host(name, (address,)),), self._config.port)

    def _permitted(self, addresses: tuple[str, ...]) -> tuple[str, ...]:
        if self._config.private_networks:
            return addresses
        return tuple(address for address in addresses if is_public(address))

    def _is_ours(self, addresses: tuple[str, ...]) -> bool:
        return any(
            address in self._own_addresses or (is_public(address) and _is_of_this_machine(address))
            for address in addresses
        )


def _canonical(domain: str) -> str:
    """The lower-case A-label. Raises DomainInvalid."""
    name = domain.rstrip(".").lower() if domain.isascii() else _encoded(domain)
    if not is_host_name(name) or name.rpartition(".")[2].isdigit():
        raise DomainInvalid(domain)
    return name


def _encoded(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise DomainInvalid(domain) from None


def _is_of_this_machine(address: str) -> bool:
    """Whether an interface here has the address: only then can a socket be bound to it.

    Unless the machine binds to any address (ip_nonlocal_bind, for addresses that wander): then this tells nothing.
    """
    return _can_bind(address) and not _can_bind(_NOBODYS_V6 if ":" in address else _NOBODYS_V4)


def _can_bind(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _why_none(records: list[MxRecord], addresses: dict[str, tuple[str, ...]]) -> str:
    with_address = [record.host for record in records if addresses[record.host]]
    if with_address:
        return f"{with_address[0]} has no address of the Internet"
    return f"{records[0].host} has no address"
