"""Copies that wait for one account go together in one transaction.

Placing takes the account's lock until the commit is on disk. Writers of one account that each brought a transaction
would queue there, one disk wait after the other, each holding a connection; so while one transaction of an account
runs, what arrives for it waits here, and the next transaction takes all of it.
"""

import asyncio
from collections import deque

from storage.errors import StorageError
from storage.placing import Order, place
from storage.store import MailStore
from storage.types import Placed
from tenants.types import AccountId, TenantId

_LONGEST_BATCH = 100

Batch = list[tuple[Order, "asyncio.Future[Placed | StorageError]"]]
Waiting = deque[tuple[Order, "asyncio.Future[Placed | StorageError]"]]


class Joiner:
    """One per process. `place` returns when the copy is durable, or its refusal."""

    def __init__(self, store: MailStore) -> None:
        self._store = store
        self._waiting: dict[tuple[TenantId, AccountId], Waiting] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def place(self, tenant_id: TenantId, order: Order) -> Placed | StorageError:
        """Raises StoreUnavailable, and whatever made the transaction of the batch fail."""
        account = (tenant_id, order.destination.account_id)
        waiting = self._waiting.get(account)
        if waiting is not None:
            future: asyncio.Future[Placed | StorageError] = asyncio.get_running_loop().create_future()
            waiting.append((order, future))
            return await future
        self._waiting[account] = deque()
        try:
            (result,) = await self._place(tenant_id, [order])
        finally:
            self._go_on(account)
        return result

    def _go_on(self, account: tuple[TenantId, AccountId]) -> None:
        """The transaction has ended: the next one takes what came meanwhile."""
        if not self._waiting[account]:
            del self._waiting[account]
            return
        task = asyncio.get_running_loop().create_task(self._place_waiting(account))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _place_waiting(self, account: tuple[TenantId, AccountId]) -> None:
        waiting = self._waiting[account]
        batch = [waiting.popleft() for _ in range(min(len(waiting), _LONGEST_BATCH))]
        batch = [(order, future) for order, future in batch if not future.done()]  # who went away wants no copy
        try:
            await self._place_batch(account[0], batch)
        except BaseException as failure:  # each who waits is told; nobody is left waiting
            _tell(batch, failure)
            if not isinstance(failure, Exception):
                raise
        finally:
            self._go_on(account)

    async def _place_batch(self, tenant_id: TenantId, batch: Batch) -> None:
        """In one transaction; when that fails for a reason in one of the messages, each in its own."""
        if not batch:
            return
        try:
            results = await self._place(tenant_id, [order for order, _ in batch])
        except StorageError:
            raise
        except Exception:
            if len(batch) == 1:
                raise
            for each in batch:
                try:
                    await self._place_batch(tenant_id, [each])
                except Exception as failure:  # noqa: BLE001 (its sender is told, the others go on)
                    _tell([each], failure)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)

    async def _place(self, tenant_id: TenantId, orders: list[Order]) -> list[Placed | StorageError]:
        keys = await self._store.keys.of(tenant_id)
        results = await place(self._store.database, self._store.blobs, keys, tenant_id, orders)
        for result in results:
            if isinstance(result, Placed):
                self._store.announce(tenant_id, result.account_id, result.modseq)
        return results


def _tell(batch: Batch, failure: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(failure)
