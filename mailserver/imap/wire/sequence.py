"""Sequence sets and UID sets (RFC 3501 §9 `sequence-set`): their types, wire form, and resolution against a mailbox.

A range is never expanded: `1:4294967295` costs two bisections. `*` stays symbolic until the mailbox is known. Resolved
sets are *positions*: ascending, disjoint, non-empty `range`s of 0-based indexes into the selected mailbox's uid array,
so message sequence number is position + 1.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LARGEST = 0
"""`*`: the largest number in use. 0 is free to mean it, for no message has that number or uid."""

MAX_NUMBER = 0xFFFF_FFFF

Range = tuple[int, int]
"""Both ends as the client wrote them: either order, either end may be LARGEST; a single number stands twice."""

SAVED: Range = (-1, -1)
"""`$`: what the last SEARCH saved (RFC 5182). Only the view knows what that is: the functions here pass it over."""


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Message sequence numbers, as FETCH, STORE, COPY, MOVE and SEARCH name them."""

    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class UidSet:
    """Unique identifiers, as the UID commands and the search key UID name them."""

    ranges: tuple[Range, ...]


class SequenceNumberTooLarge(Exception):
    """A message sequence number beyond the mailbox, or `*` in an empty one: a tagged BAD (RFC 3501 §9 `seq-number`)."""

    def __init__(self, number: int, count: int) -> None:
        named = "*" if number == LARGEST else str(number)
        super().__init__(f"there is no message {named}: the mailbox holds {count}")
        self.number = number
        self.count = count


def parse_ranges(text: bytes) -> tuple[Range, ...]:
    """Read a `sequence-set`; raises ValueError with a reason fit for a client."""
    return tuple([_parse_range(part) for part in text.split(b",")])


def parse_message_ranges(text: bytes) -> tuple[Range, ...]:
    """As `parse_ranges`, and `$` may stand among the members."""
    return tuple([SAVED if part == b"$" else _parse_range(part) for part in text.split(b",")])


def _parse_range(part: bytes) -> Range:
    if part.isdigit():
        number = _parse_number(part)
        return number, number
    first, colon, last = part.partition(b":")
    if colon:
        return _parse_number(first), _parse_number(last)
    number = _parse_number(part)
    return number, number


def _parse_number(text: bytes) -> int:
    if text == b"*":
        return LARGEST
    if not text.isdigit() or text[0] == 0x30:
        raise ValueError("a sequence set is made of numbers from 1, `*`, `:` and `,`")
    if len(text) > 10 or (number := int(text)) > MAX_NUMBER:
        raise ValueError("a message number does not fit into 32 bits")
    return number


def format_set(numbers: SequenceSet | UidSet) -> bytes:
    """The wire form; `parse_ranges` gives back equal ranges."""
    return b",".join(
        [
            _format_number(first) if first == last else b"%b:%b" % (_format_number(first), _format_number(last))
            for first, last in numbers.ranges
        ]
    )


def _format_number(number: int) -> bytes:
    if number < 0:
        return b"$"
    return b"*" if number == LARGEST else b"%d" % number


def require_within(numbers: SequenceSet, count: int) -> None:
    """Raise SequenceNumberTooLarge if the set names a message that a mailbox of `count` messages does not have."""
    for ends in numbers.ranges:
        for number in ends:
            if number > count or (number == LARGEST and count == 0):
                raise SequenceNumberTooLarge(number, count)


def positions_of_numbers(numbers: SequenceSet, count: int) -> list[range]:
    """Positions of the messages named, in a mailbox of `count`; numbers beyond it name nothing."""
    spans: list[Range] = []
    for first, last in numbers.ranges:
        if first < 0:
            continue
        low, high = _ordered(first, last, count)
        spans.append((low - 1 if low else 0, min(high, count)))
    return _merged(spans)


def positions_of_uids(numbers: UidSet, uids: Sequence[int]) -> list[range]:
    """Positions of the uids named; `uids` ascends, an array('I'). Uids that are not there name nothing.

    `559:*` always names the last message, also where its uid is below 559 (RFC 3501 §6.4.8).
    """
    if not uids:
        return []
    largest = uids[-1]
    spans: list[Range] = []
    for first, last in numbers.ranges:
        if first < 0:
            continue
        low, high = _ordered(first, last, largest)
        spans.append((bisect_left(uids, low), bisect_right(uids, high)))
    return _merged(spans)


def _ordered(first: int, last: int, largest: int) -> Range:
    first = first or largest
    last = last or largest
    return (first, last) if first <= last else (last, first)


def joined(positions: Iterable[range], others: Iterable[range]) -> list[range]:
    """What is in either, as positions."""
    return _merged([(span.start, span.stop) for spans in (positions, others) for span in spans])


def _merged(spans: list[Range]) -> list[range]:
    """Half-open spans as ascending, disjoint ranges."""
    spans.sort()
    merged: list[range] = []
    begin = end = 0
    for low, high in spans:
        if low >= high:
            continue
        if low <= end and begin < end:
            end = max(end, high)
            continue
        if begin < end:
            merged.append(range(begin, end))
        begin, end = low, high
    if begin < end:
        merged.append(range(begin, end))
    return merged


def compact(numbers: Iterable[int]) -> bytes:
    """Numbers as a set without `*`, in the order given, each run of consecutive ones as a range.

    The order is kept because COPYUID pairs its two sets member by member (RFC 4315 §3). Empty in, empty out.
    """
    pieces: list[bytes] = []
    begin = end = 0
    for number in numbers:
        if number == end + 1 and begin:
            end = number
            continue
        if begin:
            pieces.append(_format_run(begin, end))
        begin = end = number
    if begin:
        pieces.append(_format_run(begin, end))
    return b",".join(pieces)


def _format_run(begin: int, end: int) -> bytes:
    return b"%d" % begin if begin == end else b"%d:%d" % (begin, end)


def uid_set(uids: Iterable[int]) -> UidSet:
    """Uids as a UidSet, runs joined, in the order given."""
    ranges: list[Range] = []
    begin = end = 0
    for uid in uids:
        if uid == end + 1 and begin:
            end = uid
            continue
        if begin:
            ranges.append((begin, end))
        begin = end = uid
    if begin:
        ranges.append((begin, end))
    return UidSet(tuple(ranges))


def positions_of_saved(saved: "array[int]", uids: "array[int]") -> list[range]:
    """Positions of those of the saved uids that are still there; both ascend."""
    spans: list[Range] = []
    begin = end = -1
    position = 0
    for uid in saved:
        position = bisect_left(uids, uid, position)
        if position == len(uids):
            break
        if uids[position] != uid:
            continue
        if position == end:
            end += 1
            continue
        if end > begin:
            spans.append((begin, end))
        begin, end = position, position + 1
    if end > begin:
        spans.append((begin, end))
    return [range(low, high) for low, high in spans]


def part_of(positions: Iterable[range], wanted: range) -> list[range]:
    """Of all members of the positions, counted in their order, those whose places are wanted."""
    found: list[range] = []
    counted = 0
    for span in positions:
        begin = max(wanted.start - counted, 0)
        end = min(wanted.stop - counted, len(span))
        if begin < end:
            found.append(span[begin:end])
        counted += len(span)
    return found


def uids_at(positions: Iterable[range], uids: "array[int]") -> list[int]:
    """The uids at resolved positions, ascending."""
    found: list[int] = []
    for span in positions:
        found.extend(uids[span.start : span.stop])
    return found
