"""Ranges of objects: neighbours are read together, and who reads one blob after the other finds the next one here.

What is kept is sealed, as it rests in the object. A client that downloads a mailbox message by message reads its packs
from the beginning to the end; after the second neighbour a whole stretch comes at once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from storage.errors import StorageError

GAP_OCTETS = 64 * 1024  # what lies between two ranges and is read along, rather than asked for apart
RUN_OCTETS = 4 * 1024 * 1024  # the longest range that is asked for at once
STRETCH_OCTETS = 1024 * 1024  # what is read ahead
KEPT_OCTETS = 32 * 1024 * 1024  # of all stretches together, in a process
_NEIGHBOUR_OCTETS = 256 * 1024  # how far a reader may leap and still be reading in order
_READERS = 256  # whose last places are remembered


class ReadsObjects(Protocol):
    async def get(self, name: str, offset: int, length: int) -> bytes:
        """Exactly these octets. Raises ColdTierUnavailable, ObjectMissing, ContentDamaged."""


@dataclass(frozen=True, slots=True)
class Range:
    """Octets of an object that is `object_octets` long: nothing is read ahead beyond that."""

    name: str
    offset: int
    length: int
    object_octets: int

    @property
    def end(self) -> int:
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class _Stretch:
    offset: int
    octets: bytes


class RangeReader:
    """One per process."""

    def __init__(self, objects: ReadsObjects, *, kept_octets: int = KEPT_OCTETS) -> None:
        self._objects = objects
        self._limit = kept_octets
        self._stretches: OrderedDict[str, _Stretch] = OrderedDict()  # the last one of each object
        self._kept = 0
        self._ends: OrderedDict[str, int] = OrderedDict()  # where the last read of an object ended

    async def read(self, wanted: Range) -> bytes:
        """One range. Raises ColdTierUnavailable, ObjectMissing, ContentDamaged."""
        if (kept := self._from_stretch(wanted)) is not None:
            self._note_end(wanted)
            return kept
        is_next = 0 <= wanted.offset - self._ends.get(wanted.name, wanted.offset + 1) <= _NEIGHBOUR_OCTETS
        self._note_end(wanted)
        end = min(wanted.offset + STRETCH_OCTETS, wanted.object_octets)
        if not is_next or end <= wanted.end:
            return await self._objects.get(wanted.name, wanted.offset, wanted.length)
        octets = await self._objects.get(wanted.name, wanted.offset, end - wanted.offset)
        self._keep(wanted.name, _Stretch(wanted.offset, octets))
        return octets[: wanted.length]

    def forget(self, name: str) -> None:
        """What is kept of an object: it may have changed on its way here."""
        if (stretch := self._stretches.pop(name, None)) is not None:
            self._kept -= len(stretch.octets)

    async def read_many(self, wanted: Sequence[Range]) -> list[bytes | StorageError]:
        """Each range, or why it cannot be read, in the order asked."""
        if len(wanted) == 1:
            return [await self._read_or_refusal(wanted[0])]
        runs = join_neighbours(wanted)
        found = await asyncio.gather(*(self._read_run(run) for run in runs))
        results: dict[Range, bytes | StorageError] = {}
        for run, octets in zip(runs, found, strict=True):
            for each in run:
                start = each.offset - run[0].offset
                results[each] = octets[start : start + each.length] if isinstance(octets, bytes) else octets
        return [results[each] for each in wanted]

    async def _read_or_refusal(self, wanted: Range) -> bytes | StorageError:
        try:
            return await self.read(wanted)
        except StorageError as refusal:
            return refusal

    async def _read_run(self, run: Sequence[Range]) -> bytes | StorageError:
        """From the beginning of its first range to the end of the last."""
        end = max(each.end for each in run)
        try:
            return await self._objects.get(run[0].name, run[0].offset, end - run[0].offset)
        except StorageError as refusal:
            return refusal

    def _from_stretch(self, wanted: Range) -> bytes | None:
        stretch = self._stretches.get(wanted.name)
        if stretch is None:
            return None
        start = wanted.offset - stretch.offset
        if start < 0 or start + wanted.length > len(stretch.octets):
            return None
        self._stretches.move_to_end(wanted.name)
        return stretch.octets[start : start + wanted.length]

    def _note_end(self, wanted: Range) -> None:
        self._ends[wanted.name] = wanted.end
        self._ends.move_to_end(wanted.name)
        if len(self._ends) > _READERS:
            self._ends.popitem(last=False)

    def _keep(self, name: str, stretch: _Stretch) -> None:
        replaced = self._stretches.pop(name, None)
        self._kept += len(stretch.octets) - (len(replaced.octets) if replaced else 0)
        self._stretches[name] = stretch
        while self._kept > self._limit:
            _, dropped = self._stretches.popitem(last=False)
            self._kept -= len(dropped.octets)


def join_neighbours(wanted: Sequence[Range]) -> list[list[Range]]:
    """Ranges of the same object with little between them, together; each by ascending offset."""
    runs: list[list[Range]] = []
    end = 0
    for each in sorted(set(wanted), key=lambda range_: (range_.name, range_.offset, range_.length)):
        run = runs[-1] if runs else None
        if (
            run is not None
            and run[0].name == each.name
            and each.offset - end <= GAP_OCTETS
            and each.end - run[0].offset <= RUN_OCTETS
        ):
            run.append(each)
            end = max(end, each.end)
        else:
            runs.append([each])
            end = each.end
    return runs
