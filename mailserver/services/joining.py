"""Copies that wait for one account go together in one transaction (`storage.joining`), and are announced after it."""

from collections.abc import Sequence

from storage.errors import StorageError
from storage.placing import Order, place
from storage.store import MailStore
from storage.types import Placed
from tenants.types import TenantId


class Joiner:
    """`place` returns when the copy is durable, or its refusal."""

    def __init__(self, store: MailStore) -> None:
        self._store = store

    async def place(self, tenant_id: TenantId, order: Order) -> Placed | StorageError:
        """Raises StoreUnavailable, and whatever made the transaction of the batch fail."""

        async def place_all(orders: Sequence[Order]) -> Sequence[Placed | StorageError]:
            store = self._store
            results = await place(store.database, store.blobs, await store.keys.of(tenant_id), tenant_id, orders)
            placed = [result.modseq for result in results if isinstance(result, Placed)]
            if placed:
                store.announce(tenant_id, orders[0].destination.account_id, max(placed))
            return results

        return await self._store.joins.placing.do((tenant_id, order.destination.account_id), order, place_all)
