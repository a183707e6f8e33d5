"""What is asked of Waypost beside its peer, and by which figure each workload is judged."""

from dataclasses import dataclass
from typing import Literal

Figure = Literal["per_s", "wall_s", "p99_ms", "pss_kb_each"]
"""A rate is better when larger; a time or a size when smaller."""


@dataclass(frozen=True, slots=True)
class Goal:
    """`ratio`: so many times better than the peer. `at_most`: not more than that, whatever the peer does."""

    figure: Figure
    ratio: float | None = None
    at_most: float | None = None
    aim: float | None = None


_RATE = Goal("per_s")
_TIME = Goal("wall_s")
_MEMORY = Goal("pss_kb_each", at_most=60.0)

_GOALS = {
    "smtp_deliver": Goal("per_s", ratio=3.0, aim=5.0),
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
