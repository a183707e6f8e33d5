"""A process of upkeep that is killed at a step: `python -m tests.storage.tiers.killed WORK TENANT STEP`.

Reads WAYPOST_* of the environment. Ends with status 0 if it was not killed.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from storage import steps
from storage.blobs.hot import HotBlobs
from storage.blobs.objects import ObjectsConfig, ObjectStore
from storage.database import Database, DatabaseConfig
from storage.housekeeping import collect_blobs
from storage.keys import KeyRing
from storage.tiers import compaction, doomed, promotion, tiering
from tenants.types import TenantId


async def main(work: str, tenant: str, fatal_step: str) -> None:
    database = Database(DatabaseConfig(os.environ["WAYPOST_DATABASE_URL"], os.environ["WAYPOST_SYSTEM_DATABASE_URL"]))
    ring = KeyRing(Path(os.environ["WAYPOST_SECRETS"]), database)
    keys = await ring.of(TenantId(int(tenant)))
    objects = ObjectStore(
        ObjectsConfig(
            url=os.environ["WAYPOST_S3_URL"],
            access_key=os.environ["WAYPOST_S3_ACCESS_KEY"],
            secret_key=os.environ["WAYPOST_S3_SECRET_KEY"],
            bucket=os.environ["WAYPOST_S3_BUCKET"],
        )
    )

    def die(step: str) -> None:
        if step == fatal_step:
            os.kill(os.getpid(), signal.SIGKILL)

    steps.listener = die
    if work == "tier":
        await tiering.tier(database, objects, keys, cold_after_days=30, hot_budget_octets=None)
    elif work == "compact":
        await compaction.compact(database, objects, keys)
    elif work == "promote":
        await promotion.promote(database, objects, keys, within_days=7)
    elif work == "collect":
        await collect_blobs(database, ring, HotBlobs(grace_s=0))
        await doomed.delete_doomed(database, objects, keys.tenant_id, kept_s=0)
    await objects.close()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
