"""Moments as people read them, in their time zone (pure)."""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_ENGLISH_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def told(moment: datetime, *, time_zone: str, tag: str) -> str:
    """`22 Nov 2026, 17:05`, `2026年11月22日 17:05`."""
    local = _local(moment, time_zone)
    return f"{_day(local, tag)}{' ' if tag.startswith('zh') else ', '}{local:%H:%M}"


def told_day(moment: datetime, *, time_zone: str, tag: str) -> str:
    return _day(_local(moment, time_zone), tag)


def _day(local: datetime, tag: str) -> str:
    if tag.startswith("zh"):
        return f"{local.year}年{local.month}月{local.day}日"
    return f"{local.day} {_ENGLISH_MONTHS[local.month - 1]} {local.year}"


def _local(moment: datetime, time_zone: str) -> datetime:
    try:
        return moment.astimezone(ZoneInfo(time_zone))
    except (ZoneInfoNotFoundError, ValueError):
        return moment
