"""How `manage.py verify` is told what to look at."""

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

from django.core.management.base import CommandParser

from storage.verification.ground import Choice, Part
from storage.verification.slices import Slice
from tenants.errors import QuotaInvalid
from tenants.quota import parse_quota


def add_choice(parser: CommandParser) -> None:
    parser.add_argument("--share", default="1", metavar="SHARE", help="of all: 1 (default), or 0.01 for a hundredth")
    parser.add_argument("--tenant", metavar="TENANT", help="of a company: its slug or one of its domains")
    parser.add_argument("--from-tenant", type=int, metavar="ID", help="tenants from this one on, by number")
    parser.add_argument("--since", metavar="DAY", help="content written on that day or later, like 2026-11-01")
    parser.add_argument("--only", action="append", choices=[part.value for part in Part], help="may be repeated")
    parser.add_argument("--rebuild", action="store_true", help="also put every message together")
    parser.add_argument(
        "--repair", action="store_true", help="replace damaged content by another copy, if there is one"
    )
    parser.add_argument("--look-only", action="store_true", help="do not even put wrong counts right")
    parser.add_argument("--rate", metavar="RATE", help="read so much at most, like 50MiB/s")
    parser.add_argument("--state", metavar="FILE", help="go on where the last one with this file stopped")
    parser.add_argument("--json", action="store_true", help="a JSON object for each finding, and one with the counts")


def choice_of(options: Mapping[str, Any], chosen: Slice) -> Choice:
    """Raises ValueError for a day that is none."""
    return Choice(
        slice=chosen,
        since=date.fromisoformat(options["since"]) if options["since"] else None,
        parts=frozenset(Part(name) for name in options["only"]) if options["only"] else frozenset(Part),
        repairs_counts=not options["look_only"],
        uses_copies=options["repair"] and not options["look_only"],
        rebuilds=options["rebuild"],
    )


def parse_share(text: str) -> float:
    """Raises ValueError."""
    share = float(text)
    if not math.isfinite(share) or not 0 < share <= 1:
        raise ValueError(text)
    return share


def parse_rate(text: str) -> int:
    """Octets a second. Raises ValueError."""
    try:
        rate = parse_quota(text.strip().removesuffix("/s"))
    except QuotaInvalid:
        rate = None
    if rate is None:
        raise ValueError(text)
    return rate
