"""So many octets a second, and a little at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from storage.verification.pace import Pace, one_ahead


def test_what_is_spent_has_to_be_waited_for() -> None:
    now = 100.0
    pace = Pace(1000, lambda: now)
    assert pace.owes_s(500) == pytest.approx(0.5)
    assert pace.owes_s(1000) == pytest.approx(1.5)
    now += 1.5
    assert pace.owes_s(0) == pytest.approx(0.0)
    now += 3600
    assert pace.owes_s(2000) == pytest.approx(2.0 - 0.25), "a pause saves up only a little"


def test_without_a_rate_nothing_waits() -> None:
    assert Pace(None).owes_s(10**12) == 0


async def test_the_next_item_is_fetched_while_one_is_looked_at() -> None:
    fetched: list[int] = []

    async def items() -> AsyncIterator[int]:
        for number in range(3):
            fetched.append(number)
            yield number

    seen = []
    async for item in one_ahead(items()):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        seen.append((item, list(fetched)))
    assert seen == [(0, [0, 1]), (1, [0, 1, 2]), (2, [0, 1, 2])]


async def test_an_error_comes_out_where_it_belongs() -> None:
    async def items() -> AsyncIterator[int]:
        yield 1
        raise ValueError("the second")

    coming = one_ahead(items())
    assert await anext(coming) == 1
    with pytest.raises(ValueError, match="the second"):
        await anext(coming)
