"""Copies that wait go together in one transaction (`storage.group_commit`), and are announced after it.

Those of large messages go with those of their account only: they take long, and hold nobody up.
"""

from collections.abc import Sequence

from storage.errors import StorageError
from storage.placing import Order, is_small, place, place_apart
from storage.store import MailStore
from storage.types import Modseq, Placed
from tenants.types import AccountId, TenantId


class Joiner:
    """`place` returns when the copy is durable, or its refusal."""

    def __init__(self, store: MailStore) -> None:
        self._store = store

    async def place(self, tenant_id: TenantId, order: Order) -> Placed | StorageError:
        """Raises StoreUnavailable, and whatever Postgres refused this very copy for."""
        store = self._store

        async def place_small(orders: Sequence[Order]) -> Sequence[Placed | StorageError]:
            results = await place_apart(store.database, store.blobs.hot, await store.keys.of(tenant_id), orders)
            self._announce(tenant_id, results)
            return results

        async def place_large(orders: Sequence[Order]) -> Sequence[Placed | StorageError]:
            results = await place(store.database, store.blobs.hot, await store.keys.of(tenant_id), tenant_id, orders)
            self._announce(tenant_id, results)
            return results

        account_id = order.destination.account_id
        if is_small(order.message):
            return await store.joins.placing.do(tenant_id, account_id, order, place_small)
        return await store.joins.placing_large.do((tenant_id, account_id), order, place_large)

    def _announce(self, tenant_id: TenantId, results: Sequence[Placed | StorageError]) -> None:
        """Once for each account, however many copies it got."""
        highest: dict[AccountId, Modseq] = {}
        for result in results:
            if isinstance(result, Placed):
                highest[result.account_id] = max(result.modseq, highest.get(result.account_id, result.modseq))
        for account_id, modseq in highest.items():
            self._store.announce(tenant_id, account_id, modseq)
