"""UTCDates, read (RFC 8620 §1.4)."""

import re
from datetime import UTC, datetime

_UTC_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)


def read_utc_date(value: object) -> datetime | None:
    """None for what is none. Beyond microseconds nothing is told apart."""
    if not isinstance(value, str) or _UTC_DATE.fullmatch(value) is None:
        return None
    whole, _, fraction = value[:-1].partition(".")
    try:
        return datetime.fromisoformat(whole).replace(microsecond=int(fraction[:6].ljust(6, "0")), tzinfo=UTC)
    except ValueError:
        return None
