"""Why a message that somebody wants to send is not taken (RFC 8621 §7.5), named for the fact."""

from collections.abc import Mapping, Sequence

from mailserver.services.errors import ServiceError


class NobodyToSendTo(ServiceError):
    """The envelope names nobody."""


class RecipientsRefused(ServiceError):
    """Addresses that are none, or that nobody here has; `reasons` by the address as it was given."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{address}: {reason}" for address, reason in reasons.items())[:1000])
        self.reasons = reasons


class TooManyRecipients(ServiceError):
    def __init__(self, limit: int) -> None:
        super().__init__(f"at most {limit} recipients")
        self.limit = limit


class MessageTooBig(ServiceError):
    def __init__(self, limit_octets: int) -> None:
        super().__init__(f"at most {limit_octets} octets")
        self.limit_octets = limit_octets


class MessageUnfit(ServiceError):
    """It cannot travel as it is. `properties` are those of the Email that are wrong."""

    def __init__(self, reason: str, properties: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.properties = tuple(properties)


class NotOfIdentity(ServiceError):
    """From is the person's own, but another identity's than what they send as (RFC 8621 §9.6)."""

    def __init__(self, email: str) -> None:
        super().__init__(f"From is none of the identity {email}")


class MayNotSend(ServiceError):
    """None of the person's addresses is good for sending now."""


class TooManyWait(ServiceError):
    """Of one person, for their time."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} messages wait to be sent already")
        self.limit = limit
