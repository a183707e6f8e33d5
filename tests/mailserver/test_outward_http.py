"""What others name is asked for only where it is on the Internet, and taken only where it is small."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from mailserver.outward_http import AnswerTooLarge, NotPublic, OutwardAnswer, OutwardConfig, OutwardFailed, OutwardHttp

Serve = Callable[[bytes], Awaitable[str]]
"""Starts a web server of this machine that answers so, and returns its URL."""


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[asyncio.Server] = []

    async def start(answer: bytes) -> str:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await reader.readuntil(b"\r\n\r\n")
            writer.write(answer.replace(b"%PATH%", request.split(b" ", 2)[1]))
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def here() -> AsyncIterator[OutwardHttp]:
    """May ask this machine."""
    outward = OutwardHttp(OutwardConfig(reach="loopback"))
    yield outward
    await outward.close()


@pytest.fixture
async def abroad() -> AsyncIterator[OutwardHttp]:
    outward = OutwardHttp(OutwardConfig())
    yield outward
    await outward.close()


def whole(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def get(outward: OutwardHttp, url: str, *, most_octets: int = 1_000, timeout_s: float = 5.0) -> OutwardAnswer:
    return await outward.get(url, {}, timeout_s=timeout_s, most_octets=most_octets, most_redirects=3)


async def test_an_answer_is_read(here: OutwardHttp, serve: Serve) -> None:
    answer = await get(here, await serve(whole("200 OK", b"a picture", "Content-Type: image/png")))
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "image/png", b"a picture")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "localhost",
        "0.0.0.0",  # noqa: S104  asked, not bound
        "[::1]",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "100.64.0.1",
        "[fe80::1]",
        "[fd00::1]",
        "[64:ff9b::7f00:1]",
        "224.0.0.1",
    ],
)
async def test_nothing_leads_inside(abroad: OutwardHttp, host: str) -> None:
    for scheme in ("http", "https"):
        with pytest.raises(NotPublic):
            await get(abroad, f"{scheme}://{host}:1/")


async def test_an_address_inside_is_called_that(abroad: OutwardHttp, serve: Serve) -> None:
    url = await serve(whole("200 OK", b"secret"))
    with pytest.raises(NotPublic):
        await get(abroad, url)
    with pytest.raises(NotPublic):
        await get(abroad, url.replace("127.0.0.1", "localhost"))


async def test_a_redirect_does_not_lead_inside_either(here: OutwardHttp, serve: Serve) -> None:
    for inside in ("http://10.0.0.1/", "https://192.168.0.1/", "//169.254.169.254/latest", "file:///etc/passwd"):
        with pytest.raises(NotPublic):
            await get(here, await serve(whole("302 Found", b"", f"Location: {inside}")))


async def test_redirects_are_followed_a_few_times(here: OutwardHttp, serve: Serve) -> None:
    end = await serve(whole("200 OK", b"the end"))
    assert (await get(here, await serve(whole("307 Temporary Redirect", b"", f"Location: {end}")))).body == b"the end"
    with pytest.raises(OutwardFailed, match="too often"):
        await get(here, await serve(whole("302 Found", b"", "Location: %PATH%x")))


async def test_who_posts_is_not_redirected(here: OutwardHttp, serve: Serve) -> None:
    url = await serve(whole("308 Permanent Redirect", b"", "Location: http://127.0.0.1:1/"))
    answer = await here.post(url, b"{}", {}, timeout_s=5.0, most_octets=1_000)
    assert answer.status == 308


async def test_an_answer_that_is_too_large_is_not_kept(here: OutwardHttp, serve: Serve) -> None:
    with pytest.raises(AnswerTooLarge):
        await get(here, await serve(whole("200 OK", b"x" * 1_001)))
    with pytest.raises(AnswerTooLarge):
        await get(here, await serve(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 1_001))


async def test_an_answer_that_does_not_end_is_given_up(here: OutwardHttp, serve: Serve) -> None:
    with pytest.raises(OutwardFailed):
        await get(here, await serve(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"), timeout_s=0.3)


async def test_what_is_no_http_is_an_error(here: OutwardHttp, serve: Serve) -> None:
    with pytest.raises(OutwardFailed):
        await get(here, await serve(b"220 mail.example.com ESMTP\r\n"))


async def test_no_proxy_of_the_environment_is_asked(
    here: OutwardHttp, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", await serve(whole("200 OK", b"the proxy")))
    assert (await get(here, await serve(whole("200 OK", b"the host")))).body == b"the host"


@pytest.mark.parametrize(
    "url",
    ["https://user@push.example/", "ftp://push.example/", "https:///x", "https://a b/", "https://push.example:0/", "x"],
)
def test_what_is_no_url_of_a_web_server_is_not_asked_for(url: str) -> None:
    assert not OutwardHttp(OutwardConfig()).allows(url, https_only=False)


def test_where_nothing_may_be_asked_nothing_is() -> None:
    assert OutwardHttp(OutwardConfig()).allows("https://push.example/", https_only=True)
    assert not OutwardHttp(OutwardConfig()).allows("http://push.example/", https_only=True)
    assert not OutwardHttp(OutwardConfig(reach="nothing")).allows("https://push.example/", https_only=True)
