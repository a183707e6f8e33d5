"""Numbers as Postgres packs them for us: one after another, the octets of each in network order."""

import sys
from array import array


def unpacked(typecode: str, octets: bytes | None) -> "array[int]":
    """`typecode` says how long each is, as those of `array` do; nothing (NULL) is no numbers."""
    values = array(typecode, octets or b"")
    if sys.byteorder == "little":
        values.byteswap()
    return values
