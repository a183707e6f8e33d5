"""What is said over a connection, as the door sees it: octets in, octets out, and the limits of it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from structlog.typing import FilteringBoundLogger


class Talk(Protocol):
    """What is said over one connection: octets in, octets out, and what the connection must do beside that."""

    @property
    def over(self) -> bool: ...
    @property
    def wants_tls(self) -> bool: ...
    @property
    def is_signed_in(self) -> bool: ...
    @property
    def is_only_reading(self) -> bool:
        """May what it is doing be given up when the client is gone?"""
        ...

    @property
    def is_interrupted(self) -> bool:
        """Did an answer break off in the middle? Then nothing that follows could be understood."""
        ...

    @property
    def has_to_push(self) -> bool:
        """Is there something new for a client that waits?"""
        ...

    @property
    def buffered_octets(self) -> int:
        """What was received and not yet taken up: the connection is not read while this is much."""
        ...

    @property
    def log(self) -> FilteringBoundLogger: ...
    def greeting(self) -> bytes: ...
    def receive(self, data: bytes) -> None: ...
    def turn(self) -> AsyncIterator[bytes]:
        """Everything that can be answered now, and what is to be pushed."""
        ...

    def begin_tls(self) -> int:
        """TLS stands. Returns how many octets were sent ahead in clear, and are dropped."""
        ...

    def rest(self) -> None:
        """The client has been silent for a while: let go of what can be made anew."""
        ...

    def end(self, reason: str) -> None:
        """Say goodbye at the next turn."""
        ...

    def close(self) -> None:
        """The connection is gone: let go of everything."""
        ...


@dataclass(frozen=True, slots=True)
class Client:
    """A connection as its talk sees it. `wake` has `turn` called, `sign_out` ends it with these last words."""

    peer: str
    is_encrypted: bool
    can_encrypt: bool
    wake: Callable[[], None]
    sign_out: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, counts and octets; the configurations of the doors say what they mean."""

    autologout_s: float
    sign_in_within_s: float
    write_timeout_s: float
    connections: int
    connections_per_network: int
    buffered_octets: int
    strangers: int = 2_000
    """connections of a process that have not signed in"""
