"""A circuit breaker: after several failures in a row nobody is sent into the wall any more (pure).

closed: everybody may try. open: nobody, until the rest is over. half open: one may try; if that goes well all may, if
not the rest begins anew. The caller tells the time and keeps threads apart.
"""

from enum import StrEnum


class BreakerState(StrEnum):
    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class Breaker:
    """`failures` in a row open it for `rest_s`; a trial that has said nothing for as long is given up for lost."""

    def __init__(self, failures: int, rest_s: float) -> None:
        self._limit = failures
        self._rest_s = rest_s
        self._failures = 0
        self._is_closed = True
        self._since = float("-inf")  # when it opened, or when its last trial began

    def refuses(self, now: float) -> bool:
        """Whether a request need not even be queued."""
        return not self._is_closed and now - self._since < self._rest_s

    def admit(self, now: float) -> bool:
        """Whether this request may be tried; every admitted one says how it went, by one of the two below."""
        if self.refuses(now):
            return False
        if not self._is_closed:
            self._since = now
        return True

    def succeeded(self) -> None:
        self._failures = 0
        self._is_closed = True

    def failed(self, now: float) -> None:
        self._failures += 1
        if not self._is_closed or self._failures >= self._limit:
            self._is_closed = False
            self._since = now

    def state(self, now: float) -> BreakerState:
        if self._is_closed:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.refuses(now) else BreakerState.HALF_OPEN
