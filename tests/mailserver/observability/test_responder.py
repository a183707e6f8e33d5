"""The responder for probes, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest

from mailserver.listeners import Endpoint, bind
from mailserver.observability.responder import Answer, Page, Responder, ResponderConfig
from tests.mailserver.test_listeners import free_port

Ask = Callable[[bytes], Awaitable[bytes]]


async def hello() -> Answer:
    return Answer(HTTPStatus.OK, b"hello\n")


async def broken() -> Answer:
    raise RuntimeError


@asynccontextmanager
async def responder(
    pages: dict[str, Page],
    config: ResponderConfig = ResponderConfig(),  # noqa: B008  it is frozen
) -> AsyncIterator[Ask]:
    endpoint = Endpoint("127.0.0.1", free_port())
    serving = Responder(pages, config)
    await serving.start(bind(endpoint))

    async def ask(request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        try:
            writer.write(request)
            return await asyncio.wait_for(reader.read(), 10)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    try:
        yield ask
    finally:
        await serving.close()


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"200 OK"),
        (b"GET /?a=b HTTP/1.1\r\n\r\n", b"200 OK"),
        (b"GET / HTTP/1.0\r\n\r\n", b"200 OK"),
        (b"HEAD / HTTP/1.1\r\n\r\n", b"200 OK"),
        (b"GET /other HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"GET /\xff HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", b"405 Method Not Allowed"),
        (b"GET /\r\n\r\n", b"400 Bad Request"),
        (b"\x16\x03\x01\r\n\r\n", b"400 Bad Request"),
        (b"GET /broken HTTP/1.1\r\n\r\n", b"500 Internal Server Error"),
    ],
)
async def test_a_request_gets_its_status(request_head: bytes, status: bytes) -> None:
    async with responder({"/": hello, "/broken": broken}) as ask:
        reply = await ask(request_head)
    assert reply.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert b"\r\nconnection: close\r\n" in reply


async def test_get_has_the_body_and_head_only_its_length() -> None:
    async with responder({"/": hello}) as ask:
        got, head = await ask(b"GET / HTTP/1.1\r\n\r\n"), await ask(b"HEAD / HTTP/1.1\r\n\r\n")
    assert got == head + b"hello\n"
    assert b"content-length: 6\r\n" in head


async def test_an_oversized_request_is_refused() -> None:
    async with responder({"/": hello}) as ask:
        reply = await ask(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000)
    assert reply == b"" or reply.startswith(b"HTTP/1.1 431 ")


async def test_a_client_that_says_nothing_is_closed_and_others_are_served() -> None:
    async with responder({"/": hello}, ResponderConfig(request_timeout_s=0.05)) as ask:
        silent = asyncio.create_task(ask(b""))
        assert (await ask(b"GET / HTTP/1.1\r\n\r\n")).endswith(b"hello\n")
        assert await silent == b""


async def test_over_the_connection_limit_a_client_is_closed_at_once() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow() -> Answer:
        entered.set()
        await leave.wait()
        return Answer(HTTPStatus.OK, b"slow\n")

    async with responder({"/slow": slow}, ResponderConfig(connection_limit=1)) as ask:
        first = asyncio.create_task(ask(b"GET /slow HTTP/1.1\r\n\r\n"))
        await entered.wait()
        assert await ask(b"GET /slow HTTP/1.1\r\n\r\n") == b""
        leave.set()
        assert (await first).endswith(b"slow\n")
