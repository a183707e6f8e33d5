"""How many requests of one person are answered at once in this process (RFC 8620 §2: maxConcurrentRequests …)."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tenants.types import AccountId
from webmail.jmap.errors import RequestError


class Turns:
    """`name` is the limit's in the session."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._taken: Counter[AccountId] = Counter()

    @contextmanager
    def one(self, account_id: AccountId) -> Iterator[None]:
        """Raises RequestError."""
        if self._taken[account_id] >= self._limit:
            raise RequestError("limit", f"at most {self._limit} at once", status=429, limit=self._name)
        self._taken[account_id] += 1
        try:
            yield
        finally:
            self._taken[account_id] -= 1
            if not self._taken[account_id]:
                del self._taken[account_id]
