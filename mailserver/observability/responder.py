"""A small HTTP/1.1 responder for scrapers and probes: GET and HEAD of a few fixed paths, one request a connection.

It is not a web server. A request is at most 8 KiB and must be there within the timeout, at most `connection_limit` are
served at once, bodies of requests are not read, and every answer closes the connection.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from mailserver.observability.logs import get_logger

REQUEST_LIMIT_OCTETS = 8192

log = get_logger()


@dataclass(frozen=True, slots=True)
class Answer:
    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Page = Callable[[], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class ResponderConfig:
    request_timeout_s: float = 5.0  # how long a probe may take to send its request and to read the answer
    connection_limit: int = 32  # probes served at once; more are closed at once


class Responder:
    """Serves `pages` (path to the coroutine function that answers it) on sockets that already listen."""

    def __init__(self, pages: Mapping[str, Page], config: ResponderConfig) -> None:
        self._pages = pages
        self._config = config
        self._servers: list[asyncio.Server] = []
        self._open = 0

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        for each in sockets:
            server = await asyncio.start_server(self._serve, sock=each, limit=REQUEST_LIMIT_OCTETS)
            self._servers.append(server)

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= self._config.connection_limit:
            writer.transport.abort()
            return
        self._open += 1
        try:
            async with asyncio.timeout(self._config.request_timeout_s):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_wire(await self._answer(head), is_head=head.startswith(b"HEAD ")))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            writer.transport.abort()
        except asyncio.LimitOverrunError:
            writer.write(_wire(_plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE), is_head=False))
            writer.close()
        finally:
            self._open -= 1

    async def _answer(self, head: bytes) -> Answer:
        match head.split(b"\r\n", 1)[0].split(b" "):
            case [b"GET" | b"HEAD", target, b"HTTP/1.1" | b"HTTP/1.0"]:
                page = self._pages.get(target.split(b"?", 1)[0].decode("latin-1"))
            case [_, _, b"HTTP/1.1" | b"HTTP/1.0"]:
                return _plain(HTTPStatus.METHOD_NOT_ALLOWED)
            case _:
                return _plain(HTTPStatus.BAD_REQUEST)
        if page is None:
            return _plain(HTTPStatus.NOT_FOUND)
        try:
            return await page()
        except Exception:
            log.exception("a page of the responder failed")
            return _plain(HTTPStatus.INTERNAL_SERVER_ERROR)


def _plain(status: HTTPStatus) -> Answer:
    return Answer(status, f"{status.value} {status.phrase}\n".encode())


def _wire(answer: Answer, *, is_head: bool) -> bytes:
    allow = "allow: GET, HEAD\r\n" if answer.status is HTTPStatus.METHOD_NOT_ALLOWED else ""
    head = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
        f"content-type: {answer.content_type}\r\n"
        f"content-length: {len(answer.body)}\r\n"
        f"{allow}cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (b"" if is_head else answer.body)
