"""Which part of a query's results is answered (RFC 8620 §5.5): position, anchor and limit."""

from collections.abc import Callable
from dataclasses import dataclass

from webmail.jmap.errors import MethodError
from webmail.jmap.standard import StandardQuery


@dataclass(frozen=True, slots=True)
class Window:
    """From index `begin` to before `end`. `limit_set` is the limit where it is not the one that was asked for."""

    begin: int
    end: int
    limit_set: int | None


def window(
    asked: StandardQuery, total: Callable[[], int], index_of: Callable[[str], int | None], *, most: int
) -> Window:
    """Raises anchorNotFound. The total is asked for only where it is needed: it may be dear."""
    if asked.anchor is not None:
        index = index_of(asked.anchor)
        if index is None:
            raise MethodError("anchorNotFound")
        begin = max(index + asked.anchor_offset, 0)
    elif asked.position < 0:
        begin = max(total() + asked.position, 0)
    else:
        begin = asked.position
    limit = most if asked.limit is None else min(asked.limit, most)
    return Window(begin, begin + limit, None if limit == asked.limit else limit)
