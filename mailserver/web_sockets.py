"""A listener of the web role for WebSockets alone, on which an idle one takes an eighth of the memory it takes beside
HTTP (docs/decisions/jmap-push.md). The same ASGI application answers, so a proxy may lead its path here or not.

aiohttp bounds messages before they are read, and asks clients from time to time whether they are still there.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web
from multidict import CIMultiDict

from mailserver.listeners import Endpoint, bind
from mailserver.web import Application, Message, WebConfig

ASK_EVERY_S = 300.0
"""Who does not answer a ping within half of that is gone (RFC 6455 §5.5.2)."""
CLOSE_S = 5.0


class WebSockets:
    """The listener of a process, once it was started. `draining` tells what is open to end."""

    def __init__(self, runner: web.AppRunner, draining: Callable[[], None]) -> None:
        self._runner = runner
        self._draining = draining

    async def drain(self, deadline_s: float) -> None:
        """Accept no more; what is open gets the time until the deadline."""
        for site in list(self._runner.sites):
            await site.stop()
        self._draining()
        cleaning = asyncio.create_task(self._runner.cleanup())
        await asyncio.wait({cleaning}, timeout=deadline_s)


async def listen_for_web_sockets(
    endpoint: Endpoint, config: WebConfig, application: Application, *, draining: Callable[[], None]
) -> WebSockets:
    """Raises CannotListen."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("upgrade", "").lower() != "websocket":
            return web.Response(status=426, headers={"upgrade": "websocket"})
        socket = _Socket(request, config)
        await application(socket.scope(), socket.receive, socket.send)
        return socket.response

    server = web.Application()
    server.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=CLOSE_S)
    await runner.setup()
    for listening in bind(endpoint):
        await web.SockSite(runner, listening, backlog=1024).start()
    return WebSockets(runner, draining)


class _Socket:
    """One WebSocket as an ASGI application sees it (ASGI HTTP & WebSocket specification 2.5)."""

    __slots__ = ("_begun", "_config", "_request", "response")

    def __init__(self, request: web.BaseRequest, config: WebConfig) -> None:
        self._request = request
        self._config = config
        self._begun: Message | None = None
        self.response: web.StreamResponse = web.Response(status=403)

    def scope(self) -> Message:
        request = self._request
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        offered = ",".join(request.headers.getall("sec-websocket-protocol", []))
        return {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": request.path,
            "raw_path": request.raw_path.partition("?")[0].encode(),
            "query_string": request.query_string.encode(),
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.raw_headers],
            "client": (str(peer[0]), int(peer[1])) if peer else None,
            "subprotocols": [each.strip() for each in offered.split(",") if each.strip()],
            "extensions": {"websocket.http.response": {}},
        }

    async def receive(self) -> Message:
        socket = self.response
        if not isinstance(socket, web.WebSocketResponse):
            return {"type": "websocket.connect"}
        message: Any = await socket.receive()
        if message.type is WSMsgType.TEXT:
            return {"type": "websocket.receive", "text": message.data}
        if message.type is WSMsgType.BINARY:
            return {"type": "websocket.receive", "bytes": message.data}
        return {"type": "websocket.disconnect", "code": socket.close_code or WSCloseCode.ABNORMAL_CLOSURE}

    async def send(self, message: Message) -> None:
        match message["type"]:
            case "websocket.accept":
                subprotocol = message.get("subprotocol")
                socket = web.WebSocketResponse(
                    protocols=(subprotocol,) if subprotocol else (),
                    max_msg_size=self._config.web_socket_message_octets,
                    heartbeat=ASK_EVERY_S,
                    timeout=CLOSE_S,
                    compress=False,
                )
                self.response = socket
                await socket.prepare(self._request)
            case "websocket.send":
                assert isinstance(self.response, web.WebSocketResponse)
                await self.response.send_str(message["text"])
            case "websocket.close":
                if isinstance(self.response, web.WebSocketResponse):
                    await self.response.close(code=message.get("code", WSCloseCode.OK))
            case "websocket.http.response.start":
                self._begun = message
            case "websocket.http.response.body":
                assert self._begun is not None
                told = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._begun["headers"]]
                self.response = web.Response(
                    status=self._begun["status"], body=message.get("body", b""), headers=CIMultiDict(told)
                )
