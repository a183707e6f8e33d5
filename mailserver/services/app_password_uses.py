"""When and from where app passwords were last used: written rarely, beside the sign-in and never in its way."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from storage.database import Database
from storage.errors import StoreUnavailable
from tenants.directory import note_app_password_use

WRITTEN_EVERY_S = 3600.0
LARGEST = 10_000  # uses remembered as written; the oldest are forgotten and written again
UNDER_WAY_LIMIT = 20  # more are left out: the next use is noted


class AppPasswordUses:
    """One per process; `close` drops what is under way."""

    def __init__(self, database: Database, *, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._written: OrderedDict[tuple[int, str], float] = OrderedDict()
        self._under_way: set[asyncio.Task[None]] = set()

    def note(self, app_password_id: int, network: str) -> None:
        key = (app_password_id, network)
        if self._clock() < self._written.get(key, float("-inf")) + WRITTEN_EVERY_S:
            return
        if len(self._under_way) >= UNDER_WAY_LIMIT:
            return
        self._written[key] = self._clock()
        self._written.move_to_end(key)
        if len(self._written) > LARGEST:
            self._written.popitem(last=False)
        task = asyncio.get_running_loop().create_task(self._write(app_password_id, network))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def settle(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def close(self) -> None:
        for task in self._under_way:
            task.cancel()

    async def _write(self, app_password_id: int, network: str) -> None:
        try:
            async with self._database.directory() as connection:
                await note_app_password_use(connection, app_password_id, network)
        except StoreUnavailable:
            self._written.pop((app_password_id, network), None)
