"""Refusals of the directory and of administration, named for the fact. They know no status codes."""


class TenantsError(Exception):
    """Anything `tenants` refuses; each subclass is one fact."""


class AddressInvalid(TenantsError):
    """The text is no mail address (RFC 5321 §4.1.2)."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"{text!r} is not a mail address: {reason}")
        self.text = text
        self.reason = reason


class RecipientUnknown(TenantsError):
    """The domain is ours, and nobody has this local part."""

    def __init__(self, address: str) -> None:
        super().__init__(f"nobody here is called {address}")
        self.address = address


class DomainNotLocal(TenantsError):
    """The address belongs to a domain that this installation does not serve."""

    def __init__(self, domain: str) -> None:
        super().__init__(f"{domain} is not served here")
        self.domain = domain


class AccountSuspended(TenantsError):
    """The account exists and is suspended for now."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address} is suspended")
        self.address = address


class TenantSuspended(TenantsError):
    """The company exists and is suspended for now."""

    def __init__(self, address: str) -> None:
        super().__init__(f"the company of {address} is suspended")
        self.address = address
