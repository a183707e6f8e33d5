"""Requests to S3 from threads: tried again with growing pauses, counted, and not sent while the breaker is open."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from traceback import clear_frames
from typing import TypeVar

from storage.blobs.breaker import Breaker, BreakerState
from storage.blobs.object_faults import TROUBLE, Fault, Outcome, fault_of
from storage.blobs.objects_config import ObjectsConfig

Result = TypeVar("Result")

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True)
class Observed:
    """One request that was sent (or not sent, because the breaker is open), for whoever counts and logs."""

    operation: str
    outcome: Outcome
    seconds: float
    reason: str  # empty when all is well
    breaker: BreakerState


Observer = Callable[[Observed], None]


class RequestFailed(Exception):
    """The last of all attempts; `__cause__` is what was raised."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


class Requests:
    """What all threads share. `given_up` of a call is set when nobody waits for it any more."""

    def __init__(self, config: ObjectsConfig, observe: Observer) -> None:
        self._attempts = config.attempts
        self._patience_s = 2 * config.read_timeout_s
        self._observe = observe
        self._breaker = Breaker(config.breaker_failures, config.breaker_rest_s)
        self._lock = threading.Lock()

    def state(self) -> BreakerState:
        with self._lock:
            return self._breaker.state(time.monotonic())

    def refuses(self) -> bool:
        with self._lock:
            return self._breaker.refuses(time.monotonic())

    def not_tried(self, operation: str) -> RequestFailed:
        """The failure of a request that is not sent because the breaker is open."""
        fault = Fault(Outcome.NOT_TRIED, "S3 failed several times in a row and is left alone for a moment")
        self._tell(operation, fault.outcome, 0.0, fault.reason)
        return RequestFailed(fault)

    def send(self, operation: str, request: Callable[[], Result], given_up: threading.Event) -> Result:
        """What `request` returns; it is called again after trouble that may pass, so it must bear being repeated.

        Raises RequestFailed. No attempt begins when the call has lasted longer than two answers may take.
        """
        began = time.monotonic()
        attempt = 1
        while True:
            try:
                return self._try(operation, request)
            except RequestFailed as failure:
                is_last = attempt >= self._attempts or time.monotonic() - began > self._patience_s
                if is_last or not failure.fault.is_retried or self.refuses() or given_up.wait(_pause_s(attempt)):
                    raise
            attempt += 1

    def _try(self, operation: str, request: Callable[[], Result]) -> Result:
        began = time.monotonic()
        with self._lock:
            is_admitted = self._breaker.admit(began)
        if not is_admitted:
            raise self.not_tried(operation)
        try:
            result = request()
        except TROUBLE as trouble:
            _let_go(trouble)
            fault = fault_of(trouble)
            self._note(is_away=fault.is_away)
            self._tell(operation, fault.outcome, time.monotonic() - began, fault.reason)
            raise RequestFailed(fault) from trouble
        self._note(is_away=False)
        self._tell(operation, Outcome.OK, time.monotonic() - began, "")
        return result

    def _note(self, *, is_away: bool) -> None:
        with self._lock:
            if is_away:
                self._breaker.failed(time.monotonic())
            else:
                self._breaker.succeeded()

    def _tell(self, operation: str, outcome: Outcome, seconds: float, reason: str) -> None:
        self._observe(Observed(operation, outcome, seconds, reason, self.state()))


def _let_go(trouble: BaseException | None) -> None:
    """Of what was sent: urllib3's frames and exceptions hold each other, and with them the octets of the request."""
    while trouble is not None:
        clear_frames(trouble.__traceback__)
        trouble = trouble.__context__


def _pause_s(attempt: int) -> float:
    """Twice as long each time, and never the same for all who wait."""
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt)
    return random.uniform(longest / 2, longest)  # noqa: S311
