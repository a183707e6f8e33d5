"""A push service of this machine (RFC 8030), and what it was asked to pass on."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Pushed:
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)


@dataclass(slots=True)
class PushService:
    """Answers with `statuses` one after the other, then with 201."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    pushed: "asyncio.Queue[Pushed]" = field(default_factory=asyncio.Queue)

    def url(self, device: str) -> str:
        return f"http://127.0.0.1:{self.port}/push/{device}"

    async def next(self) -> Pushed:
        async with asyncio.timeout(WAIT_S):
            return await self.pushed.get()

    async def answer(self, request: web.Request) -> web.Response:
        told = {name.lower(): value for name, value in request.headers.items()}
        await self.pushed.put(Pushed(request.path, told, await request.read()))
        status = self.statuses.pop(0) if self.statuses else 201
        return web.Response(status=status, headers=self.headers if status >= 300 else {})


@asynccontextmanager
async def push_service() -> AsyncIterator[PushService]:
    service = PushService()
    application = web.Application()
    application.router.add_post("/push/{device}", service.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    service.port = runner.addresses[0][1]
    try:
        yield service
    finally:
        await runner.cleanup()
