"""Writes that wait for one account go together in one transaction.

A write takes the account's lock until its commit is on disk. Writers of one account that each brought a transaction
would queue there, one disk wait after the other, each holding a connection; so while one transaction of an account
runs, what arrives for it waits here, and the next transaction takes all of it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from storage.errors import StoreUnavailable
from tenants.types import AccountId, TenantId

Request = TypeVar("Request")
Result = TypeVar("Result")
Account = tuple[TenantId, AccountId]

LONGEST_BATCH = 100


class Joined(Generic[Request, Result]):
    """One per process and kind of write."""

    def __init__(self) -> None:
        self._waiting: dict[Account, deque[tuple[Request, asyncio.Future[Result]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_quiet(self) -> bool:
        """No account has anything under way."""
        return not self._waiting

    async def do(
        self, account: Account, request: Request, work: Callable[[Sequence[Request]], Awaitable[Sequence[Result]]]
    ) -> Result:
        """The result of `work`, which does all it is given in one transaction, or what it raised.

        StoreUnavailable concerns all who are in a transaction. After any other failure each is done in its own, for the
        reason lies in one of them.
        """
        waiting = self._waiting.get(account)
        if waiting is not None:
            future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
            waiting.append((request, future))
            return await future
        self._waiting[account] = deque()
        try:
            (result,) = await work([request])
        finally:
            self._go_on(account, work)
        return result

    def _go_on(self, account: Account, work: Callable[[Sequence[Request]], Awaitable[Sequence[Result]]]) -> None:
        """The transaction has ended: the next one takes what came meanwhile."""
        if not self._waiting[account]:
            del self._waiting[account]
            return
        task = asyncio.get_running_loop().create_task(self._do_waiting(account, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do_waiting(
        self, account: Account, work: Callable[[Sequence[Request]], Awaitable[Sequence[Result]]]
    ) -> None:
        waiting = self._waiting[account]
        taken = [waiting.popleft() for _ in range(min(len(waiting), LONGEST_BATCH))]
        batch = [(request, future) for request, future in taken if not future.done()]  # who went away wants nothing
        try:
            await do_batch(batch, work)
        except BaseException as failure:  # each who waits is told; nobody is left waiting
            tell(batch, failure)
            if not isinstance(failure, Exception):
                raise
        finally:
            self._go_on(account, work)


async def do_batch(
    batch: Sequence[tuple[Request, "asyncio.Future[Result]"]],
    work: Callable[[Sequence[Request]], Awaitable[Sequence[Result]]],
) -> None:
    if not batch:
        return
    try:
        results = await work([request for request, _ in batch])
    except StoreUnavailable:
        raise
    except Exception:
        if len(batch) == 1:
            raise
        for each in batch:
            try:
                await do_batch([each], work)
            except Exception as failure:  # noqa: BLE001 (who asked is told, the others go on)
                tell([each], failure)
    else:
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)


def tell(batch: Sequence[tuple[Request, "asyncio.Future[Result]"]], failure: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(failure)
