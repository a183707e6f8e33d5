"""Says how often a repeated event is worth a log line, so that a database away for an hour fills no disk."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass


@dataclass(slots=True)
class _Repeat:
    said_at: float
    left_out: int


class Repeats:
    """Lets an event through once per `every_s`, and then says how many were left out since.

    The number of different events is bounded: over `limit` the one that was said longest ago is forgotten.
    """

    def __init__(self, clock: Callable[[], float], *, every_s: float = 30.0, limit: int = 256) -> None:
        self._clock = clock
        self._every_s = every_s
        self._limit = limit
        self._repeats: dict[Hashable, _Repeat] = {}

    def worth_saying(self, event: Hashable) -> int | None:
        """None: leave it out. A number: say it, and that many like it were left out since the last one."""
        now = self._clock()
        repeat = self._repeats.get(event)
        if repeat is not None and now - repeat.said_at < self._every_s:
            repeat.left_out += 1
            return None
        left_out = repeat.left_out if repeat is not None else 0
        self._repeats.pop(event, None)
        if len(self._repeats) >= self._limit:
            del self._repeats[next(iter(self._repeats))]
        self._repeats[event] = _Repeat(now, 0)
        return left_out

    def forget(self, event: Hashable) -> None:
        """The trouble is over; the next one is news."""
        self._repeats.pop(event, None)
