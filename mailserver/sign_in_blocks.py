"""The blocks of sign-ins, for `manage.py account`: what the processes that serve people share in Redis."""

import asyncio
import ipaddress
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from mailserver.redis_client import connect_redis, ping
from mailserver.services.failure_counts import (
    LocalFailureCounts,
    SharedFailureCounts,
    account_key,
    network_key,
    pair_key,
    second_factor_key,
)
from mailserver.services.throttle import Failures, LadderConfig, Standing, ThrottleConfig, networks_of, refused_for_s
from mailserver.settings import from_environment
from mailserver.variables import read_variables
from tenants.errors import BlocksUnreachable, NetworkInvalid
from tenants.types import Block

Result = TypeVar("Result")
TIMEOUT_S = 2.0


class RedisBlocks:
    """Reads the settings of the environment, as the processes do."""

    def __init__(self) -> None:
        values = read_variables(os.environ).values
        self._url = values.get("WAYPOST_REDIS_URL", "")
        self._config = from_environment(ThrottleConfig, "WAYPOST_THROTTLE_", values)

    def of_account(self, account_id: int) -> Sequence[Block]:
        async def look(counts: SharedFailureCounts) -> list[Block]:
            blocks = []
            for account in _accounts(account_id):
                places = await counts.places(account)
                found = await counts.look([account, *(pair_key(account, place) for place in places)])
                blocks += [
                    self._block(place, failures, self._config.account)
                    for place, failures in zip([None, *places], found, strict=True)
                ]
            return [block for block in blocks if block.failures]

        return self._run(look)

    def lift_account(self, account_id: int) -> None:
        async def lift(counts: SharedFailureCounts) -> None:
            for account in _accounts(account_id):
                for key in [account, *(pair_key(account, place) for place in await counts.places(account))]:
                    await counts.clear(key)

        self._run(lift)

    def of_network(self, network: str) -> Sequence[Block]:
        names = _networks(network)

        async def look(counts: SharedFailureCounts) -> list[Block]:
            found = await counts.look([network_key(name) for name in names])
            ladders = (self._config.network, self._config.wide_network)
            blocks = [self._block(*each) for each in zip(names, found, ladders, strict=False)]
            return [block for block in blocks if block.failures]

        return self._run(look)

    def lift_network(self, network: str) -> None:
        names = _networks(network)

        async def lift(counts: SharedFailureCounts) -> None:
            for name in names:
                await counts.clear(network_key(name))

        self._run(lift)

    def _block(self, network: str | None, failures: Failures, ladder: LadderConfig) -> Block:
        config = ThrottleConfig(
            account=ladder,
            refuse_first_s=self._config.refuse_first_s,
            refuse_most_s=self._config.refuse_most_s,
            forget_after_s=self._config.forget_after_s,
        )
        refused_s = refused_for_s(Standing(pair=failures), config, time.monotonic())
        return Block(network, failures.count, refused_s)

    def _run(self, work: Callable[[SharedFailureCounts], Awaitable[Result]]) -> Result:
        async def run() -> Result:
            redis = connect_redis(self._url)
            local = LocalFailureCounts(
                forget_after_s=self._config.forget_after_s,
                known_for_s=self._config.known_for_s,
                limit=1,
                clock=time.monotonic,
            )
            counts = SharedFailureCounts(
                redis,
                local,
                forget_after_s=self._config.forget_after_s,
                known_for_s=self._config.known_for_s,
                timeout_s=TIMEOUT_S,
                clock=time.monotonic,
            )
            try:
                await ping(redis)
                return await work(counts)
            finally:
                await redis.aclose()

        if not self._url:
            raise BlocksUnreachable("WAYPOST_REDIS_URL is not set")
        try:
            return asyncio.run(run())
        except (OSError, ValueError) as error:
            raise BlocksUnreachable(str(error) or type(error).__name__) from None


def _accounts(account_id: int) -> tuple[str, str]:
    """Under which names an account's failures are counted: wrong passwords, and wrong codes."""
    return account_key(account_id, ""), second_factor_key(account_id)


def _networks(text: str) -> list[str]:
    """The narrow and the wide network of an address. Raises NetworkInvalid."""
    try:
        ipaddress.ip_address(text.strip())
    except ValueError:
        raise NetworkInvalid(text) from None
    networks = networks_of(text.strip())
    return [name for name in (networks.narrow, networks.wide) if name]
