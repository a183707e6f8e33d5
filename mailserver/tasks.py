"""Ending a task for certain."""

import asyncio
from typing import Any

ASK_AGAIN_S = 0.2


async def end_task(task: "asyncio.Task[Any] | None") -> None:
    """Cancel a task and wait for its end; what it raised is dropped.

    Asked more than once, because a cancellation gets lost where a library awaits `asyncio.wait_for` and its inner
    future is done in the same turn (Python 3.11).
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=ASK_AGAIN_S)
    if task is not None and not task.cancelled():
        task.exception()
