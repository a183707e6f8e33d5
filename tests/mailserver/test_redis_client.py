"""The client of Redis: what happens when many want it at once."""

import asyncio

from mailserver.redis_client import connect_redis, ping
from tests.conftest import RunningServices


async def test_more_askers_than_connections_take_turns(services: RunningServices) -> None:
    client = connect_redis(services.redis_url, max_connections=2)
    try:
        await asyncio.gather(*(ping(client) for _ in range(40)))
    finally:
        await client.aclose()
