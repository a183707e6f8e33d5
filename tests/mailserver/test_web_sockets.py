"""The listener for WebSockets is to an application what any ASGI server is, and bounds what comes."""

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from mailserver.listeners import Endpoint
from mailserver.web import Message, Receive, Send, WebConfig
from mailserver.web_sockets import WebSockets, listen_for_web_sockets

MOST = 1_000


class Echo:
    """Says again what comes; `scopes` it was asked with."""

    def __init__(self) -> None:
        self.scopes: list[Message] = []
        self.ended = asyncio.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        assert (await receive())["type"] == "websocket.connect"
        if "jmap" not in scope["subprotocols"]:
            headers = [
                (b"content-type", b"text/plain"),
                (b"www-authenticate", b"Bearer"),
                (b"www-authenticate", b"Basic"),
            ]
            await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": b"who?"})
            return
        await send({"type": "websocket.accept", "subprotocol": "jmap"})
        while (message := await receive())["type"] == "websocket.receive":
            if "bytes" in message:
                await send({"type": "websocket.close", "code": 1003})
            else:
                await send({"type": "websocket.send", "text": message["text"]})
        self.ended.set()


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def url() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/jmap/ws/?a=b"


@pytest.fixture
async def sockets(echo: Echo, url: str) -> AsyncIterator[WebSockets]:
    endpoint = Endpoint.from_text(url.split("/")[2])
    config = WebConfig(web_socket_message_octets=MOST)
    listening = await listen_for_web_sockets(endpoint, config, echo, draining=lambda: None)
    yield listening
    await listening.drain(5.0)


@pytest.fixture
async def client(sockets: WebSockets) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_messages_go_both_ways(client: aiohttp.ClientSession, url: str, echo: Echo) -> None:
    async with client.ws_connect(url, protocols=("chat", "jmap"), headers={"X-Of-Mine": "yes"}) as ws:
        assert ws.protocol == "jmap"
        await ws.send_str("grüße")
        assert await ws.receive_str() == "grüße"
    await echo.ended.wait()
    (scope,) = echo.scopes
    assert (scope["type"], scope["path"], scope["query_string"]) == ("websocket", "/jmap/ws/", b"a=b")
    assert scope["client"][0] == "127.0.0.1"
    assert (b"x-of-mine", b"yes") in scope["headers"]


async def test_a_handshake_may_be_refused_with_a_reason(client: aiohttp.ClientSession, url: str) -> None:
    with pytest.raises(WSServerHandshakeError) as refused:
        await client.ws_connect(url)
    assert refused.value.status == 401
    assert refused.value.headers is not None
    assert refused.value.headers.getall("www-authenticate") == ["Bearer", "Basic"]


async def test_the_application_closes_with_its_code(client: aiohttp.ClientSession, url: str) -> None:
    async with client.ws_connect(url, protocols=("jmap",)) as ws:
        await ws.send_bytes(b"x")
        assert (await ws.receive()).type is WSMsgType.CLOSE
        assert ws.close_code == 1003


async def test_a_message_that_is_too_large_is_not_taken(client: aiohttp.ClientSession, url: str, echo: Echo) -> None:
    async with client.ws_connect(url, protocols=("jmap",)) as ws:
        await ws.send_str("x" * (MOST - 1))
        assert len(await ws.receive_str()) == MOST - 1
        await ws.send_str("x" * 10 * MOST)
        assert (await ws.receive()).type is WSMsgType.CLOSE
        assert ws.close_code == 1009
    await echo.ended.wait()


async def test_nothing_else_is_answered(client: aiohttp.ClientSession, url: str, echo: Echo) -> None:
    async with client.get(url) as answer:
        assert answer.status == 426
    assert echo.scopes == []


async def test_a_client_that_is_cut_off_ends_it(url: str, sockets: WebSockets, echo: Echo) -> None:
    async with aiohttp.ClientSession() as session:
        ws = await session.ws_connect(url, protocols=("jmap",))
        assert ws._response.connection is not None
        assert ws._response.connection.transport is not None
        ws._response.connection.transport.abort()
        await echo.ended.wait()
