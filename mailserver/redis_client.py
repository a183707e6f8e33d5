"""Clients of Redis that fail fast: no retries inside, short timeouts, because nothing here may wait for Redis."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

CONNECT_TIMEOUT_S = 1.0
ANSWER_TIMEOUT_S = 2.0
TURN_TIMEOUT_S = 0.5  # for one of the connections to be free


def connect_redis(url: str, *, max_connections: int = 8) -> Redis:
    """A client of `redis://…` or `unix://…`; it connects when it is first used. Raises ValueError for a bad URL.

    Who finds all connections in use waits for a turn: the plain pool would raise, and twenty people signing in at once
    would look like a Redis that is away.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        timeout=TURN_TIMEOUT_S,
        protocol=2,  # what 6.2 and all later versions speak, without the greeting of 3
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=ANSWER_TIMEOUT_S,
        max_connections=max_connections,
        driver_info=None,
    )
    return Redis.from_pool(pool)


async def ping(client: Redis) -> None:
    """Return if Redis answers; raises ConnectionError if not."""
    try:
        await client.execute_command("PING")  # type: ignore[no-untyped-call]
    except RedisError as error:
        raise ConnectionError(type(error).__name__) from None
