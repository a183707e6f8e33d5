"""Push over real sockets: an event source, and a WebSocket at either listener."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from mailserver.assembly import Parts
from mailserver.listeners import Endpoint
from mailserver.web import Application, Web, WebConfig
from mailserver.web_sockets import WebSockets, listen_for_web_sockets
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.test_event_source import streams_of_their_own

ENABLE = {"@type": "WebSocketPushEnable", "dataTypes": None}


def free_endpoint() -> Endpoint:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return Endpoint("127.0.0.1", free.getsockname()[1])


@pytest.fixture
async def base_url(application: Application) -> AsyncIterator[str]:
    """Of a whole HTTP door."""
    endpoint = free_endpoint()
    web = Web(endpoint, WebConfig(), application, draining=lambda: None)
    web.start(failed=pytest.fail)
    await reachable(endpoint)
    yield f"http://{endpoint}"
    await web.drain(5.0)


@pytest.fixture(params=["beside HTTP", "alone"])
async def socket_url(request: pytest.FixtureRequest, application: Application) -> AsyncIterator[str]:
    """Of a WebSocket."""
    endpoint = free_endpoint()
    listening: Web | WebSockets
    if request.param == "alone":
        listening = await listen_for_web_sockets(endpoint, WebConfig(), application, draining=lambda: None)
    else:
        listening = Web(endpoint, WebConfig(), application, draining=lambda: None)
        listening.start(failed=pytest.fail)
        await reachable(endpoint)
    yield f"http://{endpoint}/jmap/ws/"
    await listening.drain(5.0)


@pytest.fixture
async def client(jmap: Jmap) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers={"authorization": jmap.authorization}) as session:
        yield session


async def test_an_event_source_tells_of_a_delivery(jmap: Jmap, client: aiohttp.ClientSession, base_url: str) -> None:
    async with client.get(f"{base_url}/jmap/eventsource/?types=*&closeafter=state&ping=0") as answer:
        assert (await answer.content.readuntil(b"\n\n")).startswith(b"id: ")
        await jmap.receive()
        event = (await answer.read()).decode()
    assert event.startswith("event: state\ndata: ")
    assert jmap.account_id in json.loads(event.split("\n")[1].removeprefix("data: "))["changed"]


async def test_a_web_socket_answers_and_tells_of_a_delivery(
    jmap: Jmap, client: aiohttp.ClientSession, socket_url: str
) -> None:
    async with client.ws_connect(socket_url, protocols=("jmap",)) as ws:
        assert ws.protocol == "jmap"
        await ws.send_json(ENABLE)
        echo = {"using": ["urn:ietf:params:jmap:core"], "methodCalls": [["Core/echo", {"a": 1}, "0"]]}
        await ws.send_json({"@type": "Request", "id": "R1", **echo})
        assert (await ws.receive_json())["methodResponses"] == [["Core/echo", {"a": 1}, "0"]]
        await jmap.receive()
        told = await ws.receive_json()
    assert "EmailDelivery" in told["changed"][jmap.account_id]


async def test_who_is_not_known_gets_no_web_socket(jmap: Jmap, socket_url: str) -> None:
    async with aiohttp.ClientSession() as nobody:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await nobody.ws_connect(socket_url, protocols=("jmap",))
    assert refused.value.status == 401
    assert refused.value.headers is not None
    assert refused.value.headers["www-authenticate"].count("realm=") == 2


async def test_whoever_holds_something_open_is_told_when_the_process_drains(
    jmap: Jmap, client: aiohttp.ClientSession, application: Application, parts: Parts
) -> None:
    with streams_of_their_own(parts):
        endpoint, other = free_endpoint(), free_endpoint()
        web = Web(endpoint, WebConfig(), application, draining=parts.open_streams.drain)
        web.start(failed=pytest.fail)
        await reachable(endpoint)
        sockets = await listen_for_web_sockets(other, WebConfig(), application, draining=parts.open_streams.drain)
        source = await client.get(f"http://{endpoint}/jmap/eventsource/?types=*&closeafter=no&ping=0")
        ours = await client.ws_connect(f"http://{endpoint}/jmap/ws/", protocols=("jmap",))
        theirs = await client.ws_connect(f"http://{other}/jmap/ws/", protocols=("jmap",))
        await asyncio.gather(web.drain(5.0), sockets.drain(5.0), ours.receive(), theirs.receive(), source.read())
        assert (ours.close_code, theirs.close_code) == (1001, 1001)
        source.release()


async def reachable(endpoint: Endpoint) -> None:
    """granian listens soon after it was told to."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
