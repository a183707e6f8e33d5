"""A listener behind a load balancer: connections in clear, whose client the PROXY protocol names."""

import asyncio
import socket
from collections.abc import Callable, Sequence

from mailserver.accepting import Acceptor
from mailserver.proxy_protocol import Network, Source
from mailserver.smtp.connection import Connection


class ProxiedListener:
    """Accepts until `close`."""

    def __init__(
        self, listening: socket.socket, connect: Callable[[], Connection], proxies: Sequence[Network], *, door: str
    ) -> None:
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[object]] = set()
        self._acceptor = Acceptor(listening, proxies, self._take, door=door)

    def close(self) -> None:
        self._acceptor.close()

    def _take(self, accepted: socket.socket, source: Source) -> None:
        def connect() -> Connection:
            connection = self._connect()
            connection.told_address = source.host.partition("%")[0]
            return connection

        opening: asyncio.Task[object] = self._loop.create_task(self._open(connect, accepted))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    async def _open(self, connect: Callable[[], Connection], accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(connect, accepted)
        except OSError:
            accepted.close()
