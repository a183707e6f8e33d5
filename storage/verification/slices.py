"""Which share of everything is looked at (pure).

Digests are keyed hashes and names of objects are random, so any run of their numbers is a fair sample, and one that an
index gives without reading what lies beside it. Accounts are numbered in order, so theirs are hashed first.
"""

import hashlib
import struct
from dataclasses import dataclass

from storage.keys import DIGEST_OCTETS

_DIGESTS = 1 << 64  # a run is told by the first 64 bits
_AFTER_ALL_DIGESTS = b"\xff" * (DIGEST_OCTETS + 1)
OBJECT_IDS = 1 << 63


@dataclass(frozen=True, slots=True)
class Slice:
    """From `start` on (0 to 1, of the whole) so much of the whole; what passes the end goes on at the beginning."""

    start: float = 0.0
    share: float = 1.0

    @property
    def is_whole(self) -> bool:
        return self.share >= 1.0

    def digests(self) -> list[tuple[bytes, bytes]]:
        """Runs of digests: from the first to before the second."""
        return [(_digest(first), _digest(last)) for first, last in self._runs(_DIGESTS)]

    def object_ids(self) -> list[tuple[int, int]]:
        """Runs of object ids: from the first to before the second."""
        return self._runs(OBJECT_IDS)

    def holds_account(self, account_id: int) -> bool:
        number = int.from_bytes(hashlib.sha256(struct.pack(">q", account_id)).digest()[:8], "big")
        return any(first <= number < last for first, last in self._runs(_DIGESTS))

    def _runs(self, whole: int) -> list[tuple[int, int]]:
        """In the order of numbers."""
        if self.is_whole:
            return [(0, whole)]
        first = int(self.start % 1.0 * whole)
        last = first + int(self.share * whole)
        return [(first, last)] if last <= whole else [(0, last - whole), (first, whole)]


def slice_of_hour(hour: int, share_per_day: float) -> Slice:
    """What is due in the hour (counted from any fixed one): each the next share, so that all comes round."""
    share = share_per_day / 24
    return Slice(hour * share % 1.0, share)


def _digest(number: int) -> bytes:
    return number.to_bytes(8, "big").ljust(DIGEST_OCTETS, b"\0") if number < _DIGESTS else _AFTER_ALL_DIGESTS
