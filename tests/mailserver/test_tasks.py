"""Ending tasks."""

import asyncio

from mailserver.tasks import end_task


async def test_a_task_that_loses_its_first_cancellation_is_ended_all_the_same() -> None:
    is_running = asyncio.Event()
    losses: list[str] = []

    async def stubborn() -> None:
        while True:
            try:
                is_running.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if losses:
                    raise
                losses.append("one")

    task = asyncio.create_task(stubborn())
    await is_running.wait()
    await end_task(task)
    assert task.cancelled()
    assert losses == ["one"]


async def test_a_task_that_failed_before_is_ended_without_a_word() -> None:
    async def fail() -> None:
        raise RuntimeError

    task = asyncio.create_task(fail())
    await asyncio.wait({task})
    await end_task(task)
    await end_task(None)
