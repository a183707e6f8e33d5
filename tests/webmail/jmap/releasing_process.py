"""A process that sends what waited for its time, and is killed at a step: `python -m ... STEP`."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta

from mailserver.assembly import assemble
from mailserver.config import read_config
from mailserver.services.releasing import Releases
from mailserver.variables import read_variables
from storage import steps
from storage.database import Database
from storage.keys import KeyRing


async def main(step: str) -> None:
    def listen(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    config = read_config(read_variables(dict(os.environ)))
    database = Database(config.database)
    keys = KeyRing(config.secrets, database)
    async with assemble(config, database, keys, None, None, None) as parts:
        steps.listener = listen
        ahead = Releases(
            parts.store,
            parts.recipients,
            parts.arrivals,
            parts.queueing,
            lease_s=0.0,
            clock=lambda: datetime.now(UTC) + timedelta(hours=2),
        )
        await ahead.release_due()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
