"""What becomes of what accounts expunge, remembered for a few seconds: every EXPUNGE asks."""

import time
from collections.abc import Callable

from storage.database import Database
from tenants.policies import Keeping, keeping_of
from tenants.types import AccountId, TenantId

REMEMBERED_S = 5.0
_MOST_REMEMBERED = 10_000


class Keepings:
    """Of this process. A policy or a legal hold is felt after REMEMBERED_S."""

    def __init__(self, *, remembered_s: float = REMEMBERED_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._remembered_s = remembered_s
        self._clock = clock
        self._known: dict[tuple[TenantId, AccountId], tuple[float, Keeping]] = {}

    async def of(self, database: Database, tenant_id: TenantId, account_id: AccountId) -> Keeping:
        """Raises StoreUnavailable."""
        now = self._clock()
        known = self._known.get((tenant_id, account_id))
        if known is not None and known[0] > now:
            return known[1]
        async with database.read(tenant_id) as connection:
            keeping = await keeping_of(connection, tenant_id, account_id)
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[tenant_id, account_id] = (now + self._remembered_s, keeping)
        return keeping
