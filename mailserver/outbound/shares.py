"""How much of what there is only so much of one tenant may take: all but a reserve, and of that an equal share.

So a tenant whose mail goes to hosts that hang does not hold every conversation there may be.
"""

from collections import Counter

from tenants.types import TenantId

RESERVE = 4  # a quarter is kept for tenants that have less than their share


class Shares:
    """`limit` is what all tenants have together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: Counter[TenantId] = Counter()
        self.total = 0

    def may_take(self, tenant_id: TenantId) -> bool:
        free = self._limit - self.total
        if free > self._limit // RESERVE:
            return True
        taken = self._taken.get(tenant_id, 0)
        tenants = len(self._taken) + (taken == 0)
        return free > 0 and taken < max(1, (self._limit - self._limit // RESERVE) // tenants)

    def take(self, tenant_id: TenantId, count: int = 1) -> None:
        self._taken[tenant_id] += count
        self.total += count

    def give_back(self, tenant_id: TenantId, count: int = 1) -> None:
        self._taken[tenant_id] -= count
        self.total -= count
        if self._taken[tenant_id] <= 0:
            del self._taken[tenant_id]
