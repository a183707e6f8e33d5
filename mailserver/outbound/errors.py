"""Why no site was found for a domain. Each carries the outcome for all recipients there."""

from mailserver.outbound.outcomes import Deferred, Failed, Reason, of_fact


class NoSite(Exception):
    """`outcome` says what this means for the mail."""

    reason: Reason

    def __init__(self, domain: str, detail: str = "") -> None:
        super().__init__(f"{self.reason}: {domain}")
        self.domain = domain
        self.outcome: Deferred | Failed = of_fact(self.reason, f"{domain} ({detail})" if detail else domain)


class DomainUnknown(NoSite):
    reason = Reason.DOMAIN_UNKNOWN


class DomainInvalid(NoSite):
    """Not a name that DNS could hold, or an address literal that cannot be read."""

    reason = Reason.DOMAIN_INVALID


class NullMx(NoSite):
    """The domain publishes that it takes no mail (RFC 7505)."""

    reason = Reason.NULL_MX


class NoUsableHost(NoSite):
    """MX without address, or with addresses of no public host."""

    reason = Reason.NO_USABLE_HOST


class MailLoops(NoSite):
    """We are the best host of the domain, and it is not ours (RFC 5321 §5.1)."""

    reason = Reason.MAIL_LOOPS


class DnsTemporary(NoSite):
    """DNS did not answer, or with SERVFAIL and the like: later it may."""

    reason = Reason.DNS_TEMPORARY
