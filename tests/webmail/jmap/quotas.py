"""What people may have, and in which language they are spoken to, set as an administrator would."""

import asyncio

from tenants.types import Principal
from tests.conftest import RunningServices, owner_connection


async def set_quota(services: RunningServices, who: Principal, octets: int | None) -> None:
    def write() -> None:
        with owner_connection(services) as owner:
            owner.execute("UPDATE account SET quota_octets = %s WHERE id = %s", (octets, who.account_id))

    await asyncio.to_thread(write)


async def set_language(services: RunningServices, who: Principal, language: str) -> None:
    def write() -> None:
        with owner_connection(services) as owner:
            owner.execute("UPDATE account SET language = %s WHERE id = %s", (language, who.account_id))

    await asyncio.to_thread(write)
