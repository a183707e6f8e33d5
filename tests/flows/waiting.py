"""The one way to wait in these tests: for a condition, until a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

LOOK_EVERY_S = 0.02


def wait_until(look: Callable[[], Seen], *, within_s: float, what: str) -> Seen:
    """Look again and again until what is seen is true, and return it. Fails naming `what` after `within_s`."""
    end = time.monotonic() + within_s
    while not (seen := look()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {within_s:.0f} s: {what}; seen last: {seen!r}")
        time.sleep(LOOK_EVERY_S)
    return seen
