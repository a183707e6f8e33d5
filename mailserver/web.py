"""The web role: granian serves the ASGI application of webmail in this process's loop.

granian's embedded server opens its own socket with SO_REUSEPORT, so several web processes share the port like other
roles. webmail stands above this package, so it is named here as text and loaded when the role starts.
"""

import asyncio
import importlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from mailserver.listeners import Endpoint, demand_bindable
from mailserver.observability.metrics import counter, histogram

RESPONSES = counter("http_responses", "Responses, by the hundreds of their status.", "status")
SECONDS = histogram("http_request_seconds", "From a request's header to the end of its answer.")

APPLICATION = ("webmail.asgi", "build")  # called with the parts of the process
LOGS_TO_ROOT = {"handlers": {}, "loggers": {"_granian": {"handlers": [], "propagate": True}}}


Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class WebConfig:
    header_timeout_s: float = 10.0  # how long a request's header may take to arrive
    requests_at_once: int = 256  # requests of one process at once; more wait, but for those that are held open
    web_socket_message_octets: int = 16_777_216  # the largest message that WAYPOST_WEBSOCKETS takes
    connections: int = 16_384  # connections of one process at once, idle ones and WebSockets too; more wait


class Web:
    """The HTTP door of a process. `draining` is called before it waits for requests to end."""

    def __init__(
        self, endpoint: Endpoint, config: WebConfig, application: Application, *, draining: Callable[[], None]
    ) -> None:
        demand_bindable(endpoint)  # granian would end without a word
        self._server: Any = Server(
            counted(application, requests_at_once=config.requests_at_once),
            address=endpoint.host,
            port=endpoint.port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=int(config.header_timeout_s * 1000)),
            backlog=1024,
            backpressure=config.connections,
            log_level=LogLevels.error,
            log_dictconfig=LOGS_TO_ROOT,
        )
        self._draining = draining
        self._is_stopping = False
        self._serving: asyncio.Task[None] | None = None

    def start(self, *, failed: Callable[[str], None]) -> None:
        """`failed` is called if the server ends by itself."""
        self._serving = asyncio.create_task(self._serve(failed), name="web")

    async def drain(self, deadline_s: float) -> None:
        """Accept no more; requests being answered get the time until the deadline."""
        self._is_stopping = True
        self._draining()
        self._server.stop()
        if self._serving is not None:
            await asyncio.wait({self._serving}, timeout=deadline_s)

    async def _serve(self, failed: Callable[[str], None]) -> None:
        try:
            await self._server.serve()
        finally:
            if not self._is_stopping:
                failed("the HTTP server ended by itself")


def load_application(parts: object) -> Application:
    """What webmail makes of the parts of a process."""
    module, name = APPLICATION
    build: Callable[[object], Application] = getattr(importlib.import_module(module), name)
    return build(parts)


class Turn:
    """One request's, which it has until its answer ended, or until it says that it is held open."""

    __slots__ = ("_began", "_turns")

    def __init__(self, turns: asyncio.Semaphore) -> None:
        self._turns: asyncio.Semaphore | None = turns
        self._began = time.perf_counter()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """While the client is waited for, others may have it."""
        turns, self._turns = self._turns, None
        if turns is None:
            yield
            return
        turns.release()
        try:
            yield
        finally:
            await turns.acquire()
            self._turns = turns

    def end(self) -> None:
        if self._turns is not None:
            SECONDS.labels().observe(time.perf_counter() - self._began)
            self._turns.release()
            self._turns = None


TURN = "waypost.turn"
"""In the scope of a request: its Turn, which an answer that takes as long as the client stays ends at its beginning."""


def counted(application: Application, *, requests_at_once: int) -> Application:
    """The same ASGI application: its HTTP answers are counted, and so many requests are at work at once."""
    turns = asyncio.Semaphore(requests_at_once)

    async def counting(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return

        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                RESPONSES.labels(f"{message['status'] // 100}xx").inc()
            await send(message)

        await turns.acquire()
        turn = scope[TURN] = Turn(turns)
        try:
            await application(scope, receive, count)
        finally:
            turn.end()

    return counting
