"""Who shares a transaction with whom, and who waits for whom."""

import asyncio
from collections.abc import Sequence

from storage.group_commit import GroupCommit
from tenants.types import AccountId, TenantId

TENANT = TenantId(1)
FOR_EVER_S = 3_600.0


class Ledger:
    """What it was given, transaction by transaction."""

    def __init__(self, company_s: float) -> None:
        self.together = GroupCommit[int, int](company_s=company_s)
        self.transactions: list[set[int]] = []
        self.has_begun = asyncio.Event()

    async def write(self, requests: Sequence[int]) -> Sequence[int]:
        self.transactions.append(set(requests))
        self.has_begun.set()
        await asyncio.sleep(0)
        return requests

    async def bring(self, who: int, times: int) -> None:
        """Again and again, each time when the last is done."""
        for _ in range(times):
            assert await self.together.do(TENANT, AccountId(who), who, self.write) == who


async def test_who_is_alone_waits_for_nobody() -> None:
    ledger = Ledger(company_s=FOR_EVER_S)
    await ledger.bring(1, times=3)
    assert ledger.transactions == [{1}] * 3


async def test_those_who_were_together_wait_for_each_other() -> None:
    ledger = Ledger(company_s=FOR_EVER_S)
    alone = asyncio.create_task(ledger.bring(1, times=4))
    await ledger.has_begun.wait()
    await asyncio.gather(alone, *(ledger.bring(who, times=3) for who in (2, 3)))
    assert ledger.transactions == [{1}] + [{1, 2, 3}] * 3


async def test_who_does_not_come_again_is_waited_for_once_and_not_for_long() -> None:
    ledger = Ledger(company_s=0.001)
    await asyncio.gather(ledger.bring(1, times=4), ledger.bring(2, times=4), ledger.bring(3, times=1))
    assert ledger.transactions == [{1, 2, 3}] + [{1, 2}] * 3
