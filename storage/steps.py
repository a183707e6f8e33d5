"""Steps of work that must survive an end at any of them. Tests listen here, and end the process or raise.

Work says `reached("tiering: uploaded")` after what the name tells of; nobody listens outside tests.
"""

from collections.abc import Callable

listener: Callable[[str], None] | None = None


def reached(step: str) -> None:
    if listener is not None:
        listener(step)
