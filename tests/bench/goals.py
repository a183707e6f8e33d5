"""What is asked of Waypost beside its peer, and by which figure each workload is judged."""

from dataclasses import dataclass
from typing import Literal

Figure = Literal["per_s", "wall_s", "p99_ms", "pss_kb_each", "growth_mb"]
"""A rate is better when larger; a time or a size when smaller."""


@dataclass(frozen=True, slots=True)
class Goal:
    """`ratio`: so many times better than the peer. `at_most`: not more than that, whatever the peer does."""

    figure: Figure
    ratio: float | None = None
    at_most: float | None = None


_RATE = Goal("per_s")
_TIME = Goal("wall_s")
_MEMORY = Goal("pss_kb_each", at_most=60.0)

_GOALS = {
    "smtp_deliver": Goal("per_s", ratio=4.0),
    "lmtp_deliver": Goal("per_s", ratio=2.0),
    "append_mdbox": Goal("per_s", ratio=1.0),  # against Dovecot's faster mailboxes; against Maildir nothing is asked
    "store_flags": Goal("per_s", ratio=1.0),
    "login_select": Goal("per_s", ratio=1.0),
    "login_select_tls": Goal("per_s", ratio=1.0),
    "fetch_flags_huge": Goal("wall_s", ratio=1.0),
    "fetch_page": Goal("per_s", ratio=1.0),
    "fetch_body": Goal("per_s", ratio=0.33),
    "body_ranges": Goal("per_s", ratio=1.0),
    "search_subject": Goal("wall_s", ratio=3.0),
    "search_from": Goal("wall_s", ratio=3.0),
    "sending": Goal("per_s", ratio=1.0),
    "queued": Goal("growth_mb", at_most=10.0),
    "idle_push": Goal("p99_ms", at_most=30.0),
    "idle_push_lmtp": Goal("p99_ms", at_most=30.0),
    "fetch_envelope_first": Goal("wall_s", ratio=1.0),
    "fetch_envelope_again": Goal("wall_s", ratio=1.0),
}


def goal_of(workload: str) -> Goal:
    if workload in _GOALS:
        return _GOALS[workload]
    if workload.startswith("idle_memory"):
        return _MEMORY
    is_single = workload.startswith(("fetch_headers", "fetch_flags", "search"))
    return _TIME if is_single else _RATE
