"""The web role's own server in the process of the tests, over a socket."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mailserver.assembly import Parts
from mailserver.listeners import Endpoint
from mailserver.web import Web, WebConfig
from tests.mailserver.test_listeners import free_port
from webmail.asgi import build

PATIENCE_S = 20.0


@asynccontextmanager
async def web_role(parts: Parts) -> AsyncIterator[int]:
    """Its port."""
    port = free_port()
    web = Web(Endpoint("127.0.0.1", port), WebConfig(), build(parts), draining=lambda: None)
    ended: list[str] = []
    web.start(failed=ended.append)
    await asyncio.to_thread(_until_it_listens, port)
    yield port
    await web.drain(PATIENCE_S)
    assert ended == []


def _until_it_listens(port: int) -> None:
    """granian does not say when."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise TimeoutError
