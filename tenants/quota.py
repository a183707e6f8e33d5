"""Quotas and times as people write them: `5GiB`, `500MB`, `1.5 TiB`, `none`; `30`, `never`."""

import re
from decimal import Decimal

from tenants.errors import DaysInvalid, QuotaInvalid

UNLIMITED_WORDS = frozenset({"none", "unlimited", "无", "不限"})
QUOTA_LIMIT_OCTETS = 2**60
NEVER_WORDS = frozenset({"never", "从不", "永不"})
DAYS_LIMIT = 36_500

_FACTORS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_FACTORS |= {f"{unit}IB": _FACTORS[unit] for unit in "KMGTP"}
_FACTORS |= {f"{unit}B": 1000**power for power, unit in enumerate("KMGTP", start=1)}
_QUOTA = re.compile(r"(\d{1,19}(?:\.\d{1,6})?)\s*([A-Za-z]{0,3})", re.ASCII)


def parse_quota(text: str) -> int | None:
    """Octets, or None for no limit. GiB and a bare G count in 1024s, GB in 1000s. Raises QuotaInvalid."""
    plain = text.strip()
    if plain.lower() in UNLIMITED_WORDS:
        return None
    match = _QUOTA.fullmatch(plain)
    if match is None or match[2].upper() not in _FACTORS:
        raise QuotaInvalid(text)
    octets = int(Decimal(match[1]) * _FACTORS[match[2].upper()])
    if not 0 < octets <= QUOTA_LIMIT_OCTETS:
        raise QuotaInvalid(text)
    return octets


def parse_days(text: str) -> int:
    """Raises DaysInvalid."""
    plain = text.strip()
    if not plain.isascii() or not plain.isdigit() or len(plain) > 5 or int(plain) > DAYS_LIMIT:
        raise DaysInvalid(text)
    return int(plain)


def parse_days_or_never(text: str) -> int | None:
    """None for never. Raises DaysInvalid."""
    return None if text.strip().lower() in NEVER_WORDS else parse_days(text)


def format_octets(octets: int) -> str:
    """The shortest exact form in 1024s, else one decimal: 5 GiB, 1.5 GiB, 300 B."""
    for unit in ("PiB", "TiB", "GiB", "MiB", "KiB"):
        factor = _FACTORS[unit.upper()]
        if octets >= factor:
            return f"{octets // factor} {unit}" if octets % factor == 0 else f"{octets / factor:.1f} {unit}"
    return f"{octets} B"
