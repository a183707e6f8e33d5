"""Which entries of a page's arrays are as asked. Pure. Moments are microseconds since 2000, as pages keep them."""

from array import array
from datetime import UTC, date, datetime, timedelta

from mailserver.services.search_keys import DateComparison
from storage.search_pages import NEVER

MICROSECONDS = 1_000_000
_DAY = 86_400 * MICROSECONDS
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def above(values: "array[int]", limit: int) -> list[int]:
    return [entry for entry, value in enumerate(values) if value > limit]


def below(values: "array[int]", limit: int) -> list[int]:
    return [entry for entry, value in enumerate(values) if value < limit]


def equal(values: "array[int]", wanted: int) -> list[int]:
    return [entry for entry, value in enumerate(values) if value == wanted] if wanted in values else []


def on(moments: "array[int]", comparison: DateComparison, day: date) -> list[int]:
    """By the day in UTC."""
    begin, end = bounds(day, day)
    match comparison:
        case DateComparison.BEFORE:
            return [entry for entry, moment in enumerate(moments) if NEVER < moment < begin]
        case DateComparison.ON:
            return [entry for entry, moment in enumerate(moments) if begin <= moment < end]
        case DateComparison.SINCE:
            return [entry for entry, moment in enumerate(moments) if moment >= begin]


def bounds(first: date, last: date) -> tuple[int, int]:
    """From the beginning of the first day to the end of the last, as moments of pages."""
    epoch = _EPOCH.date()
    return (first - epoch).days * _DAY, ((last - epoch).days + 1) * _DAY


def around(day: date) -> tuple[int, int]:
    """As `bounds`, of a day and its neighbours, which the first and the last that there are do not have as dates."""
    begin, end = bounds(day, day)
    return begin - _DAY, end + _DAY


def seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1)


def compare(comparison: DateComparison, found: date, day: date) -> bool:
    match comparison:
        case DateComparison.BEFORE:
            return found < day
        case DateComparison.ON:
            return found == day
        case DateComparison.SINCE:
            return found >= day
