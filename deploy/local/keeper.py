"""Keeps one program running: starts it, sees its end, and starts it again after a pause that grows while it fails."""

import asyncio
import os
import time
from collections.abc import Callable

from deploy.local.child import Child, ServiceFailed

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
STEADY_S = 30.0
TRIES_AT_START = 5
END_FOR_GOOD = (71, 78)  # sysexits.h EX_OSERR, EX_CONFIG: a role says that trying again changes nothing


async def ended(child: Child) -> int:
    """Wait for the end of a child without a thread; its exit status."""
    if (status := child.exit_status()) is not None:
        return status
    loop = asyncio.get_running_loop()
    has_ended: asyncio.Future[None] = loop.create_future()
    descriptor = os.pidfd_open(child.pid)
    loop.add_reader(descriptor, lambda: None if has_ended.done() else has_ended.set_result(None))
    try:
        await has_ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    status = child.exit_status()
    return 0 if status is None else status


class Keeper:
    """`prepare` runs in a thread before every launch; `launch` in the loop's thread, because the child dies with it."""

    def __init__(
        self,
        name: str,
        launch: Callable[[], Child],
        *,
        prepare: Callable[[], None] | None = None,
        longest_pause_s: float = LONGEST_PAUSE_S,
        on_change: Callable[["Keeper", str], None],
    ) -> None:
        self.name = name
        self.child: Child | None = None
        self.is_trusted = False
        """Set when it was seen to work; before that a few failures in a row are final."""
        self._launch = launch
        self._prepare = prepare
        self._longest_pause_s = longest_pause_s
        self._on_change = on_change

    async def keep(self) -> None:
        """Runs until cancelled. Raises ServiceFailed when the program never gets to work."""
        failures = 0
        while True:
            if self._prepare is not None:
                await asyncio.to_thread(self._prepare)
            child = self.child = self._launch()
            started = time.monotonic()
            self._on_change(self, "")
            status = await ended(child)
            failures = 1 if time.monotonic() - started > STEADY_S else failures + 1
            if not self.is_trusted and (failures >= TRIES_AT_START or status in END_FOR_GOOD):
                raise child.failure()
            pause_s = pause_after(failures, self._longest_pause_s)
            self._on_change(self, f"{_how(status)}; started again in {pause_s:.1f} s")
            await asyncio.sleep(pause_s)


def pause_after(failures: int, longest_pause_s: float) -> float:
    """Twice as long after each failure in a row, of which there may be thousands."""
    return min(longest_pause_s, FIRST_PAUSE_S * 2.0 ** min(failures - 1, 30))


def _how(status: int) -> str:
    return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"


async def run_to_end(child: Child, *, deadline_s: float) -> None:
    """Wait for a command; it is killed when we are cancelled or the time is over. Raises ServiceFailed."""
    try:
        async with asyncio.timeout(deadline_s):
            status = await ended(child)
    except TimeoutError:
        raise ServiceFailed(f"{child.name} took more than {deadline_s:.0f} s; see {child.log}") from None
    finally:
        if child.exit_status() is None:
            child.stop(())
    if status != 0:
        raise child.failure()
