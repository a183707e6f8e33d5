"""What addresses reach, remembered for a moment; pure, and bounded by what is reached, not by how many were asked."""

from collections import OrderedDict
from collections.abc import Callable

from tenants.types import Resolution

LARGEST = 50_000  # people and addresses that all together reach; about 25 MB


class KnownAddresses:
    """A group of thousands counts for as many: it can be asked for under any number of details and spellings."""

    def __init__(self, *, lifetime_s: float, clock: Callable[[], float]) -> None:
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Resolution]] = OrderedDict()
        self.reached = 0

    def find(self, text: str) -> Resolution | None:
        known = self._known.get(text)
        return known[1] if known is not None and known[0] > self._clock() else None

    def keep(self, text: str, found: Resolution) -> None:
        if (earlier := self._known.pop(text, None)) is not None:
            self.reached -= _reach(earlier[1])
        self._known[text] = (self._clock() + self._lifetime_s, found)
        self.reached += _reach(found)
        while self.reached > LARGEST:
            _, (_, oldest) = self._known.popitem(last=False)
            self.reached -= _reach(oldest)


def _reach(found: Resolution) -> int:
    return 1 + len(found.recipients) + len(found.elsewhere)
