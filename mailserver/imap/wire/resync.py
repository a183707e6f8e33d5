"""What a client says that it knows of a mailbox it comes back to: the QRESYNC parameter (RFC 7162 §3.2.5)."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailserver.imap.wire.sequence import Range, UidSet
from storage.types import Modseq, UidValidity


@dataclass(frozen=True, slots=True)
class Resync:
    """`known_uids` None: all there may be. Ranges are in ascending order and without `*`.

    `matches` pairs message numbers with uids: two ranges of equal length (§3.2.5.2).
    """

    uidvalidity: UidValidity
    modseq: Modseq
    known_uids: UidSet | None = None
    matches: tuple[tuple[Range, Range], ...] = ()


def paired(numbers: Iterable[Range], uids: Iterable[Range]) -> Iterator[tuple[Range, Range]]:
    """Two sets member by member, in runs that are ranges in both. Raises ValueError where one is longer."""
    here: Range | None = None
    there: Range | None = None
    first, second = iter(numbers), iter(uids)
    while True:
        here = here or next(first, None)
        there = there or next(second, None)
        if here is None or there is None:
            if here is not there:
                raise ValueError("there are not as many message numbers as uids")
            return
        length = min(here[1] - here[0], there[1] - there[0]) + 1
        yield (here[0], here[0] + length - 1), (there[0], there[0] + length - 1)
        here = (here[0] + length, here[1]) if here[0] + length <= here[1] else None
        there = (there[0] + length, there[1]) if there[0] + length <= there[1] else None


def known_up_to(matches: Iterable[tuple[Range, Range]], uids: Sequence[int]) -> int:
    """The largest uid of which the client knows the right number, 0 if there is none.

    Whoever counts as many messages up to a uid as there are knows of every expunge up to it. `uids` ascends.
    """
    known = 0
    for (first, last), (first_uid, _) in matches:
        last = min(last, len(uids))
        # uids grow at least as fast as numbers, so along a run they are first equal to those named, then beyond them
        behind = bisect_right(range(first, last + 1), first_uid - first, key=lambda number: uids[number - 1] - number)
        if behind and uids[first + behind - 2] == first_uid + behind - 1:
            known = max(known, first_uid + behind - 1)
    return known


def without(ranges: Iterable[Range], uids: Sequence[int], *, above: int, below: int) -> Iterator[Range]:
    """Ascending ranges of what the ranges name between `above` and `below`, both excluded, and `uids` does not hold."""
    next_uid = above + 1
    for first, last in _ascending(ranges):
        begin, last = max(first, next_uid), min(last, below - 1)
        for position in range(bisect_left(uids, begin), bisect_right(uids, last)):
            uid = uids[position]
            if begin < uid:
                yield begin, uid - 1
            begin = uid + 1
        if begin <= last:
            yield begin, last
        next_uid = max(next_uid, last + 1)


def among(ranges: Iterable[Range], uids: Iterable[int]) -> Iterator[int]:
    """Those of the ascending `uids` that the ranges name."""
    ordered = list(_ascending(ranges))
    ends = [last for _, last in ordered]
    for uid in uids:
        place = bisect_left(ends, uid)
        if place < len(ordered) and ordered[place][0] <= uid:
            yield uid


def _ascending(ranges: Iterable[Range]) -> Iterator[Range]:
    """Disjoint and in order."""
    begin = end = 0
    for first, last in sorted(ranges):
        if begin and first <= end + 1:
            end = max(end, last)
            continue
        if begin:
            yield begin, end
        begin, end = first, last
    if begin:
        yield begin, end
