"""Which hosts take mail for a domain (RFC 5321 §5.1, RFC 7505)."""

from mailserver.outbound.sites import Site, Smarthost


class Router:
    async def find_site(self, domain: str) -> Site:
        """Where mail for `domain` (A-label, U-label or address literal) goes.

        Raises NoSite: DomainUnknown, DomainInvalid, NullMx, NoUsableHost, MailLoops for good, DnsTemporary for now.
        """
        raise NotImplementedError

    async def find_smarthost(self, smarthost: Smarthost) -> Site:
        """The site of a host that takes mail for everybody. Raises NoSite; a name without address is DnsTemporary."""
        raise NotImplementedError
