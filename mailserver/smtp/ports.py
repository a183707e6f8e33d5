"""What the SMTP doors ask of the services; `runtime` binds these to the real ones."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from mailserver.services.exchanges import Exchange
from mailserver.services.incoming import IncomingMail
from tenants.types import Principal, Resolution


class Resolve(Protocol):
    """What mail to the address reaches; None, if somebody who signed in asks for an address of another system.

    Raises the refusals of `tenants.errors`, OnlyReturns, OverQuota, StoreUnavailable.
    """

    async def __call__(
        self, address: str, /, *, reverse_path: str, sender: Principal | None = None
    ) -> Resolution | None: ...


class Take(Protocol):
    """Place the message for everybody here and queue it for elsewhere; durable when it returns.

    One outcome for each addressee, in their order. One that is an exception is a refusal; anything else is success.
    """

    async def __call__(self, mail: IncomingMail, /) -> Sequence[object]: ...


class Holding(Protocol):
    """Where mail waits that is not to be sent yet, at most so long."""

    @property
    def longest_hold(self) -> timedelta: ...

    async def check_room(self, who: Principal, /) -> None:
        """Whether one more of theirs may wait. Raises TooManyWait, StoreUnavailable."""

    async def hold(self, mail: IncomingMail, release_at: datetime, /) -> object:
        """Keep the message until its time has come; durable when it returns. Raises TooManyWait, StoreUnavailable."""


class SignIn(Protocol):
    """How people sign in here: the names of SASL mechanisms, the best first, and an exchange of one of them.

    `network` is the client's IP address. `begin` gives None where there is no such mechanism.
    """

    @property
    def mechanisms(self) -> tuple[str, ...]: ...

    def begin(self, mechanism: str, /, *, network: str) -> Exchange | None: ...

    def enter(self, principal: Principal, /, *, network: str, end: Callable[[], None]) -> Callable[[], None]:
        """Count the connection of who signed in; what is returned takes it back. `end` is called when they are signed
        out. Raises TooManyConnections."""


class SenderAddresses(Protocol):
    """The canonical addresses that an account may send as. Raises StoreUnavailable."""

    async def __call__(self, principal: Principal, /) -> Collection[str]: ...


@dataclass(frozen=True, slots=True)
class Services:
    """`take` answers for all addressees at once, `take_each` for each of them (LMTP). `holding` None: nothing waits."""

    resolve: Resolve
    take: Take
    take_each: Take
    sign_in: SignIn
    sender_addresses: SenderAddresses
    holding: Holding | None = None
