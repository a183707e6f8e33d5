"""Answers remembered for a moment, the oldest forgotten first; pure."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """At most `limit` answers, each for `lifetime_s`."""

    def __init__(self, *, lifetime_s: float, limit: int, clock: Callable[[], float]) -> None:
        self._lifetime_s = lifetime_s
        self._limit = limit
        self._clock = clock
        self._known: OrderedDict[Key, tuple[float, Value]] = OrderedDict()

    def find(self, key: Key) -> Value | None:
        known = self._known.get(key)
        return known[1] if known is not None and known[0] > self._clock() else None

    def keep(self, key: Key, value: Value) -> None:
        self._known[key] = (self._clock() + self._lifetime_s, value)
        self._known.move_to_end(key)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)
