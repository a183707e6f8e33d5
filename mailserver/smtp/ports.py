"""What the SMTP doors ask of the services; `runtime` binds these to the real ones."""

import mmap
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tenants.types import Principal, Recipient, Resolution


class Resolve(Protocol):
    """What mail to the address reaches; `sender` is who signed in. Raises the refusals of `tenants.errors`, OverQuota,
    StoreUnavailable."""

    async def __call__(self, address: str, /, *, sender: Principal | None) -> Resolution: ...


class Deliver(Protocol):
    """Place the message for every recipient; durable when it returns. One outcome for each, in their order.

    An outcome that is an exception is that recipient's refusal; anything else is success.
    """

    async def __call__(
        self, octets: bytes | mmap.mmap, recipients: Sequence[Recipient], /, *, reverse_path: str, received_at: datetime
    ) -> Sequence[object]: ...


class Submit(Protocol):
    """Send the message for someone who signed in; as Deliver otherwise."""

    async def __call__(
        self,
        principal: Principal,
        octets: bytes | mmap.mmap,
        recipients: Sequence[Recipient],
        /,
        *,
        reverse_path: str,
        received_at: datetime,
    ) -> Sequence[object]: ...


class SignIn(Protocol):
    """`network` is the client's IP address. Raises LoginFailed, LoginThrottled, LoginRefused, StoreUnavailable."""

    async def __call__(self, address: str, password: str, /, *, network: str) -> Principal: ...


class SenderAddresses(Protocol):
    """The canonical addresses that an account may send as. Raises StoreUnavailable."""

    async def __call__(self, principal: Principal, /) -> Collection[str]: ...


@dataclass(frozen=True, slots=True)
class Services:
    resolve: Resolve
    deliver: Deliver
    submit: Submit
    sign_in: SignIn
    sender_addresses: SenderAddresses
