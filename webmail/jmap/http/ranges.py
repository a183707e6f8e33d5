"""Which octets of a representation are asked for (RFC 9110 §14): one range, or all."""

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes\s*=\s*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))", re.IGNORECASE)


class RangeNotSatisfiable(Exception):
    """No octet of it is there."""


@dataclass(frozen=True, slots=True)
class OctetRange:
    start: int
    length: int

    def content_range(self, octets: int) -> str:
        return f"bytes {self.start}-{self.start + self.length - 1}/{octets}"


def parse_range(header: str | None, octets: int) -> OctetRange | None:
    """None: the whole; so for several ranges, and what we do not understand (§14.2). Raises RangeNotSatisfiable."""
    found = _ONE_RANGE.fullmatch(header.strip()) if header else None
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        length = min(int(suffix), octets)
        if not length:
            raise RangeNotSatisfiable
        return OctetRange(octets - length, length)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= octets:
        raise RangeNotSatisfiable
    end = min(int(last), octets - 1) if last else octets - 1
    return OctetRange(start, end - start + 1)
