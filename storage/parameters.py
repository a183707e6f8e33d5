"""Values as parameters of a prepared statement, in Postgres' binary form.

A statement is prepared with the parameter types that the server infers from it, once for each connection. psycopg would
choose a type by the value (2, 4 or 8 octets by the size of a number) and prepare the statement anew for each mixture.
"""

from array import array
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from struct import Struct
from typing import Any

Dump = Callable[[Any], bytes]

_INT8, _INT4, _INT2, _FLOAT8 = Struct(">q").pack, Struct(">i").pack, Struct(">h").pack, Struct(">d").pack
_LENGTH = _INT4
_NULL = _INT4(-1)
_ARRAY_HEAD = Struct(
    ">iIIii"
).pack  # dimensions, whether any is NULL, type of elements, how many, the first one's index
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(2000, 1, 1).toordinal()
_MICROSECOND = timedelta(microseconds=1)
_FEW = 8

_INT8_OID, _TEXT_OID, _BYTEA_OID = 20, 25, 17


def _text(value: str) -> bytes:
    return value.encode()


def _bytea(value: "bytes | bytearray | memoryview") -> bytes:
    return bytes(value)


def _bool(value: bool) -> bytes:
    return b"\1" if value else b"\0"


def _timestamptz(value: datetime) -> bytes:
    return _INT8((value - _EPOCH) // _MICROSECOND)


def _date(value: date) -> bytes:
    return _INT4(value.toordinal() - _FIRST_DAY)


def _array_of(oid: int, dump: Dump) -> Dump:
    def dump_array(values: Sequence[Any]) -> bytes:
        if not values:
            return _ARRAY_HEAD(0, 0, oid, 0, 1)[:12]
        pieces = [_ARRAY_HEAD(1, None in values, oid, len(values), 1)]
        for value in values:
            if value is None:
                pieces.append(_NULL)
            else:
                octets = dump(value)
                pieces.append(_LENGTH(len(octets)))
                pieces.append(octets)
        return b"".join(pieces)

    return dump_array


_few_int8 = _array_of(_INT8_OID, _INT8)


def _int8_array(values: Sequence[int]) -> bytes:
    """Uids come by the hundred: all of one length, so they are laid out eight strides at a time."""
    count = len(values)
    if count <= _FEW:
        return _few_int8(values)
    try:
        numbers = array("q", values)
    except TypeError:  # there is a None among them
        return _few_int8(values)
    numbers.byteswap()
    octets = numbers.tobytes()
    out = bytearray(12 * count)
    out[3::12] = b"\x08" * count
    for place in range(8):
        out[4 + place :: 12] = octets[place::8]
    return _ARRAY_HEAD(1, 0, _INT8_OID, count, 1) + bytes(out)


DUMPS: dict[int, Dump] = {
    16: _bool,
    _BYTEA_OID: _bytea,
    _INT8_OID: _INT8,
    21: _INT2,
    23: _INT4,
    _TEXT_OID: _text,
    701: _FLOAT8,
    1043: _text,
    1082: _date,
    1184: _timestamptz,
    1182: _array_of(1082, _date),
    1185: _array_of(1184, _timestamptz),
    1000: _array_of(16, _bool),
    1001: _array_of(_BYTEA_OID, _bytea),
    1005: _array_of(21, _INT2),
    1007: _array_of(23, _INT4),
    1009: _array_of(_TEXT_OID, _text),
    1016: _int8_array,
}
"""By the oid of the parameter's type, which is the same in every Postgres."""
