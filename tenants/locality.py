"""The languages this server speaks and the time zones people live in."""

from zoneinfo import ZoneInfo

from tenants.errors import LanguageUnknown, TimeZoneUnknown

LANGUAGES = ("en", "zh-hans")


def known_language(text: str) -> str:
    """The tag of LANGUAGES that serves someone who asks for `text`: zh, zh-CN and zh_CN.UTF-8 all mean zh-hans.

    Raises LanguageUnknown.
    """
    tag = text.strip().partition(".")[0].replace("_", "-").lower()
    if tag in LANGUAGES:
        return tag
    first = tag.partition("-")[0]
    if first == "zh":
        return "zh-hans"
    if first in LANGUAGES:
        return first
    raise LanguageUnknown(text, LANGUAGES)


def known_time_zone(text: str) -> str:
    """An IANA name, as it is spelt. Raises TimeZoneUnknown."""
    name = text.strip()
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # unknown; the name of a directory; one that leaves the directory
        raise TimeZoneUnknown(text) from None
    return name
