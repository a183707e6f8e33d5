"""Refusals of the services themselves, named for the fact; what storage and tenants refuse passes through as it is."""

from enum import StrEnum


class ServiceError(Exception):
    """Anything a service refuses; each subclass is one fact."""


class LoginFailed(ServiceError):
    """Unknown person or wrong password; which of them is not told, nor shown by the time it takes."""

    def __init__(self) -> None:
        super().__init__("the name or the password is wrong")


class LoginThrottled(ServiceError):
    """Sign-in failed too often for this account or network, or too many wait; the password was not looked at."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"too many failed sign-ins; try again in {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


class RefusalReason(StrEnum):
    ACCOUNT_SUSPENDED = "account suspended"
    TENANT_SUSPENDED = "tenant suspended"
    APP_PASSWORD_NEEDED = "app password needed"  # noqa: S105 (a reason)
    OTHER_SCOPE = "app password for something else"


class TooManyConnections(ServiceError):
    """The person has as many connections open as one may have; the password was right."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} connections are open already")
        self.limit = limit


class LoginRefused(ServiceError):
    """The password was right, and the person may not sign in now."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class ForwardingLoop(ServiceError):
    """The message was passed on from here before, and came back."""

    def __init__(self) -> None:
        super().__init__("the message was passed on from here before")


class OnlyReturns(ServiceError):
    """The address stands for the author of mail that was passed on, and takes returned mail only."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address} takes returned mail only")
        self.address = address


class SearchTooLong(ServiceError):
    """A search took longer than one may; a narrower one may end in time."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"a search may take {limit_s:.0f} s")
        self.limit_s = limit_s


class SenderNotOwned(ServiceError):
    """`where` (MAIL FROM, From, Sender) names an address that is not the signed-in account's."""

    def __init__(self, where: str, address: str) -> None:
        super().__init__(f"{where}: {address} does not belong to this account")
        self.where = where
        self.address = address


class OriginatorInvalid(ServiceError):
    """From or Sender is missing, repeated or cannot be read without doubt (RFC 5322 §3.6.2)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
