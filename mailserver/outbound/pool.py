"""Connections that wait for the next message to the same site; after a while, or when there are too many, they quit."""

import asyncio
from collections import OrderedDict
from typing import NamedTuple

from mailserver.outbound.config import ExchangeConfig
from mailserver.outbound.connection import Connection
from mailserver.outbound.sites import Credentials, Security, Site
from mailserver.tasks import end_task


class PoolKey(NamedTuple):
    """Whose connections may stand in for one another. Credentials are part of it: one tenant's are not another's."""

    site: str
    port: int
    security: Security
    credentials: Credentials | None


def pool_key(site: Site) -> PoolKey:
    return PoolKey(site.key, site.port, site.security, site.credentials)


class Pool:
    """Holds only connections that nobody uses."""

    def __init__(self, config: ExchangeConfig) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._idle: dict[PoolKey, list[Connection]] = {}
        self._timers: OrderedDict[Connection, tuple[PoolKey, asyncio.TimerHandle]] = OrderedDict()
        self._quitting: set[asyncio.Task[None]] = set()

    def take(self, key: PoolKey) -> Connection | None:
        """The connection used last, if it is still good."""
        while idle := self._idle.get(key):
            connection = idle[-1]
            self._remove(connection)
            if connection.is_reusable:
                return connection
            self._quit(connection)
        return None

    def give_back(self, key: PoolKey, connection: Connection) -> None:
        if not connection.is_reusable:
            self._quit(connection)
            return
        self._idle.setdefault(key, []).append(connection)
        timer = self._loop.call_later(self._config.idle_s, self._retire, connection)
        self._timers[connection] = (key, timer)
        while len(self._timers) > self._config.idle_connections_limit:
            self._retire(next(iter(self._timers)))

    async def close(self) -> None:
        """Quit them all; those that do not answer are cut after the time for that."""
        for connection in list(self._timers):
            self._retire(connection)
        if self._quitting:
            await asyncio.wait(self._quitting, timeout=self._config.quit_timeout_s + 1)
        for task in list(self._quitting):
            await end_task(task)

    def _retire(self, connection: Connection) -> None:
        self._remove(connection)
        self._quit(connection)

    def _remove(self, connection: Connection) -> None:
        key, timer = self._timers.pop(connection)
        timer.cancel()
        idle = self._idle[key]
        idle.remove(connection)
        if not idle:
            del self._idle[key]

    def _quit(self, connection: Connection) -> None:
        if connection.is_lost:
            connection.abort()
            return
        task = self._loop.create_task(connection.quit(), name="quit")
        self._quitting.add(task)
        task.add_done_callback(self._quitting.discard)
