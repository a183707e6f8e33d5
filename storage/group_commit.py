"""Writes of one tenant that wait go together in one transaction, whatever their accounts.

A transaction costs a wait for the disk, and processor time at both ends, much of it the same for one write and for
many. So what comes in one turn of the event loop goes together, and while a transaction of a tenant runs, what arrives
for it waits here, and the next one takes all of it. An account is in one transaction at a time, because a second one
would wait for its lock.

With `company_s`, a transaction also waits, at most so long, until as many have come as were there around the one
before: who was told of its end is about to bring the next write. Who is alone never waits.

A transaction that takes long (somebody else holds the lock of one of its accounts) holds up no others but those who are
in it: after `patience_s` those who wait get another.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from storage.joining import LONGEST_BATCH, do_batch, tell
from tenants.types import AccountId, TenantId

Request = TypeVar("Request")
Result = TypeVar("Result")
Work = Callable[[Sequence[Request]], Awaitable[Sequence[Result]]]

MOST_AT_ONCE = 8  # transactions of one tenant


@dataclass(slots=True)
class _Waiting(Generic[Request, Result]):
    account_id: AccountId
    request: Request
    work: Work[Request, Result]
    result: "asyncio.Future[Result]"


@dataclass(slots=True, eq=False)
class _Tenant(Generic[Request, Result]):
    waiting: "deque[_Waiting[Request, Result]]" = field(default_factory=deque)
    busy: set[AccountId] = field(default_factory=set)
    transactions: int = 0
    beginning: asyncio.Handle | None = None  # a transaction begins at the end of this turn, or when company has come
    is_complete: bool = False  # whether it begins without waiting for company
    expected: int = 0  # how many were there around the last transaction
    timer: asyncio.TimerHandle | None = None


class GroupCommit(Generic[Request, Result]):
    """One per process and kind of write."""

    def __init__(self, *, patience_s: float = 0.02, company_s: float = 0.0) -> None:
        self._patience_s = patience_s
        self._company_s = company_s
        self._tenants: dict[TenantId, _Tenant[Request, Result]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_quiet(self) -> bool:
        """No tenant has anything under way."""
        return not self._tenants

    async def do(
        self, tenant_id: TenantId, account_id: AccountId, request: Request, work: Work[Request, Result]
    ) -> Result:
        """The result of `work`, which does all it is given in one transaction, or what it raised.

        StoreUnavailable concerns all who are in a transaction. After any other failure each is done in its own, for
        the reason lies in one of them.
        """
        tenant = self._tenants.setdefault(tenant_id, _Tenant())
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        tenant.waiting.append(_Waiting(account_id, request, work, future))
        if tenant.transactions:
            self._be_patient(tenant_id, tenant)
        else:
            self._begin_soon(tenant_id, tenant)
        return await future

    def _begin_soon(self, tenant_id: TenantId, tenant: _Tenant[Request, Result]) -> None:
        """After all that is to be done in this turn of the loop, which may bring more, or when company had its time."""
        is_complete = not self._company_s or len(tenant.waiting) >= tenant.expected
        if tenant.beginning is not None:
            if tenant.is_complete or not is_complete:
                return
            tenant.beginning.cancel()
        loop = asyncio.get_running_loop()
        tenant.is_complete = is_complete
        if is_complete:
            tenant.beginning = loop.call_soon(self._begin_now, tenant_id, tenant)
        else:
            tenant.beginning = loop.call_later(self._company_s, self._begin_now, tenant_id, tenant)

    def _begin_now(self, tenant_id: TenantId, tenant: _Tenant[Request, Result]) -> None:
        tenant.beginning = None
        self._begin(tenant_id, tenant)
        if not tenant.transactions and not tenant.waiting:
            if tenant.timer is not None:
                tenant.timer.cancel()
            del self._tenants[tenant_id]

    def _begin(self, tenant_id: TenantId, tenant: _Tenant[Request, Result]) -> None:
        """A transaction of all who wait and whose accounts are in no other."""
        chosen: list[_Waiting[Request, Result]] = []
        passed_over: list[_Waiting[Request, Result]] = []
        while tenant.waiting and len(chosen) < LONGEST_BATCH:
            first = tenant.waiting.popleft()
            if first.result.done():  # who went away wants nothing
                continue
            (passed_over if first.account_id in tenant.busy else chosen).append(first)
        tenant.waiting.extendleft(reversed(passed_over))
        if not chosen:
            return
        accounts = {each.account_id for each in chosen}
        tenant.transactions += 1
        tenant.busy |= accounts
        task = asyncio.get_running_loop().create_task(self._do(tenant_id, tenant, chosen, accounts))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(
        self,
        tenant_id: TenantId,
        tenant: _Tenant[Request, Result],
        chosen: Sequence[_Waiting[Request, Result]],
        accounts: set[AccountId],
    ) -> None:
        batch = [(each.request, each.result) for each in chosen]
        try:
            await do_batch(batch, chosen[0].work)
        except BaseException as failure:  # each who waits is told; nobody is left waiting
            tell(batch, failure)
            if not isinstance(failure, Exception):
                raise
        finally:
            tenant.transactions -= 1
            tenant.busy -= accounts
            tenant.expected = len(chosen) + len(tenant.waiting)
            self._begin_soon(tenant_id, tenant)

    def _be_patient(self, tenant_id: TenantId, tenant: _Tenant[Request, Result]) -> None:
        if tenant.timer is None:
            loop = asyncio.get_running_loop()
            tenant.timer = loop.call_later(self._patience_s, self._look_again, tenant_id, tenant)

    def _look_again(self, tenant_id: TenantId, tenant: _Tenant[Request, Result]) -> None:
        tenant.timer = None
        if tenant.waiting and tenant.transactions < MOST_AT_ONCE:
            self._begin(tenant_id, tenant)
        if tenant.waiting:
            self._be_patient(tenant_id, tenant)
