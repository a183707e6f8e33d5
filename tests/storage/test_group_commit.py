"""Which writes of a tenant share a transaction."""

import asyncio
from collections.abc import Sequence

from storage.group_commit import GroupCommit
from tenants.types import AccountId, TenantId

TENANT = TenantId(1)
FOR_EVER_S = 600.0


class Log:
    """Work that does nothing but remember with whom each write came."""

    def __init__(self) -> None:
        self.transactions: list[list[int]] = []

    async def work(self, requests: Sequence[int]) -> list[int]:
        self.transactions.append(list(requests))
        await asyncio.sleep(0)
        return list(requests)

    async def do(self, group: GroupCommit[int, int], *numbers: int) -> list[int]:
        """Writes of different accounts that come in one turn of the loop."""
        writes = (group.do(TENANT, AccountId(number % 10), number, self.work) for number in numbers)
        async with asyncio.timeout(30):
            return list(await asyncio.gather(*writes))


async def test_what_comes_in_one_turn_goes_together() -> None:
    group, log = GroupCommit[int, int](), Log()
    assert await log.do(group, 1, 2, 3) == [1, 2, 3]
    assert log.transactions == [[1, 2, 3]]


async def test_who_comes_back_from_a_transaction_of_several_waits_for_the_others() -> None:
    group, log = GroupCommit[int, int](company_s=FOR_EVER_S), Log()
    await log.do(group, 1, 2, 3)
    early = asyncio.create_task(log.do(group, 11, 12))
    for _ in range(10):
        await asyncio.sleep(0)
    assert log.transactions == [[1, 2, 3]]
    await log.do(group, 13)
    await early
    assert log.transactions == [[1, 2, 3], [11, 12, 13]]


async def test_who_is_alone_never_waits() -> None:
    group, log = GroupCommit[int, int](company_s=FOR_EVER_S), Log()
    for number in (1, 11, 21):
        await log.do(group, number)
    assert log.transactions == [[1], [11], [21]]


async def test_who_waits_for_company_in_vain_goes_alone_and_then_waits_no_more() -> None:
    group, log = GroupCommit[int, int](company_s=0.01), Log()
    await log.do(group, 1, 2)
    await log.do(group, 11)
    await log.do(group, 21)
    assert log.transactions == [[1, 2], [11], [21]]
