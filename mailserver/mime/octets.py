"""One way to search octets, in memory or in a mapped file."""

from mmap import mmap
from typing import Protocol

_FIRST_STEP_OCTETS = 1 << 12
_STEP_OCTETS = 1 << 20


class Octets(Protocol):
    """The three things a scan does with octets. Ranges are clamped as bytes does."""

    def __getitem__(self, key: slice, /) -> bytes: ...
    def find(self, sub: bytes, start: int, end: int, /) -> int: ...
    def count(self, sub: bytes, start: int, end: int, /) -> int: ...


def searchable(octets: bytes | mmap) -> Octets:
    return octets if isinstance(octets, bytes) else _Mapped(octets)


class _Mapped:
    """A mapped file searched in steps: bytes.find is many times faster than mmap.find, and mmap cannot count."""

    def __init__(self, mapped: mmap) -> None:
        self._mapped = mapped

    def __getitem__(self, key: slice, /) -> bytes:
        return self._mapped[key]

    def find(self, sub: bytes, start: int, end: int, /) -> int:
        end = min(end, len(self._mapped))
        overlap = len(sub) - 1
        size = _FIRST_STEP_OCTETS  # what is looked for is mostly near
        while start < end:
            found = self._mapped[start : min(start + size + overlap, end)].find(sub)
            if found >= 0:
                return start + found
            start += size
            size = min(size * 4, _STEP_OCTETS)
        return -1

    def count(self, sub: bytes, start: int, end: int, /) -> int:
        """How often one octet occurs."""
        end = min(end, len(self._mapped))
        return sum(
            self._mapped[step : min(step + _STEP_OCTETS, end)].count(sub) for step in range(start, end, _STEP_OCTETS)
        )
