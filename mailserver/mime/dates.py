"""Dates as messages carry them (RFC 5322 §3.3)."""

from datetime import UTC, datetime

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def format_date(at: datetime) -> str:
    """An aware time with its own offset; no locale has a say."""
    offset = "+0000" if at.tzinfo is UTC else at.strftime("%z")[:5]  # asking costs more than all the rest
    return (
        f"{_DAYS[at.weekday()]}, {at.day} {_MONTHS[at.month - 1]} {at.year:04d} "
        f"{at.hour:02d}:{at.minute:02d}:{at.second:02d} {offset}"
    )
