"""What people hold open over HTTP: each stands in the count of their connections, and is told when it must end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum

from mailserver.observability.metrics import gauge
from mailserver.services.connections import AccountConnections
from tenants.types import Principal

OPEN = gauge("http_streams_open", "Event sources and WebSockets that people hold open.", "kind", across="livesum")


class Ending(Enum):
    SIGNED_OUT = "signed out"
    DRAINING = "draining"


class Draining(Exception):
    """The process ends; whoever comes now should come back, to another."""


class OpenStreams:
    """One per process."""

    def __init__(self, connections: AccountConnections) -> None:
        self._connections = connections
        self._ends: dict[object, Callable[[Ending], None]] = {}
        self._is_draining = False

    @contextmanager
    def one(self, who: Principal, peer: str, kind: str, end: Callable[[Ending], None]) -> Iterator[None]:
        """`end` is called on the loop, at most once for each reason. Raises TooManyConnections, Draining."""
        if self._is_draining:
            raise Draining
        seat = self._connections.enter(
            who.account_id,
            peer,
            epoch=who.sign_in_epoch,
            token=who.credential.token,
            end=lambda: end(Ending.SIGNED_OUT),
        )
        self._ends[seat] = end
        OPEN.labels(kind).inc()
        try:
            yield
        finally:
            OPEN.labels(kind).dec()
            del self._ends[seat]
            self._connections.leave(seat)

    def drain(self) -> None:
        """Tell all to end, and take no more. Saying it twice is harmless."""
        if self._is_draining:
            return
        self._is_draining = True
        for end in list(self._ends.values()):
            end(Ending.DRAINING)
