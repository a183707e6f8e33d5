"""Sets of messages as one integer: bit n stands for position n of a view. Pure.

AND, OR and NOT of a hundred thousand messages are one machine loop each, where sets of Python would take milliseconds.
"""

import re
from array import array
from collections.abc import Iterable, Sequence
from itertools import compress

Mask = int

_DIGITS_TO_BITS = bytes.maketrans(b"01", b"\x00\x01")
_MANY_SPANS = 32
_FEW = 100
_NOT_ZERO = re.compile(rb"[^\0]")
_BITS_OF = [[bit for bit in range(8) if octet >> bit & 1] for octet in range(256)]


def everything(count: int) -> Mask:
    return (1 << count) - 1


def of_positions(positions: Iterable[int], count: int) -> Mask:
    digits = bytearray(b"0") * count
    for position in positions:
        digits[position] = 0x31
    return of_digits(digits)


def of_digits(digits: bytes | bytearray) -> Mask:
    """Of `0` and `1`, position 0 first."""
    return int(digits[::-1], 2) if digits else 0


def of_spans(spans: Sequence[range], count: int) -> Mask:
    if len(spans) <= _MANY_SPANS:
        mask = 0
        for span in spans:
            mask |= ((1 << len(span)) - 1) << span.start
        return mask
    digits = bytearray(b"0") * count
    for span in spans:
        digits[span.start : span.stop] = b"1" * len(span)
    return of_digits(digits)


def of_bit(values: "array[int]", bit: int) -> Mask:
    """Where octets, an array of type B, have this bit."""
    table = bytes(0x31 if value & bit else 0x30 for value in range(256))
    return of_digits(values.tobytes().translate(table))


def positions_of(mask: Mask) -> list[int]:
    """Ascending. Few among many are found by the octets that are not zero, a tenth of the work."""
    if mask.bit_count() * _FEW < mask.bit_length():
        octets = mask.to_bytes((mask.bit_length() + 7) // 8, "little")
        return [8 * found.start() + bit for found in _NOT_ZERO.finditer(octets) for bit in _BITS_OF[found[0][0]]]
    bits = bin(mask)[:1:-1].encode("ascii").translate(_DIGITS_TO_BITS)
    return list(compress(range(len(bits)), bits))


def has_any(mask: Mask, begin: int, end: int) -> bool:
    """Is there one from position `begin` to before `end`?"""
    return bool(mask >> begin & ((1 << (end - begin)) - 1))
