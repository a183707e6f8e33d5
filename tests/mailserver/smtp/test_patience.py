"""Work that does not wait has no timer; work that waits has a limit."""

import asyncio

import pytest

from mailserver.smtp.patience import within


async def test_work_that_does_not_wait_is_done_at_once() -> None:
    async def work() -> int:
        return 7

    assert await within(0.0, work()) == 7


async def test_work_that_waits_goes_on_where_it_was() -> None:
    steps: list[str] = []
    gate = asyncio.Event()

    async def work() -> str:
        steps.append("began")
        await gate.wait()
        await asyncio.sleep(0)
        steps.append("went on")
        return "done"

    waiting = asyncio.create_task(within(10.0, work()))
    await asyncio.sleep(0)
    assert steps == ["began"]
    gate.set()
    assert await waiting == "done"
    assert steps == ["began", "went on"]


async def test_work_that_waits_too_long_is_cancelled() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    with pytest.raises(TimeoutError):
        await within(0.001, work())
    assert ended == ["cleaned up"]


async def test_who_is_cancelled_ends_the_work() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    waiting = asyncio.create_task(within(10.0, work()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended == ["cancelled"]


@pytest.mark.parametrize("waits", [False, True])
async def test_what_the_work_raises_comes_out(waits: bool) -> None:
    async def work() -> None:
        if waits:
            await asyncio.sleep(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await within(10.0, work())
