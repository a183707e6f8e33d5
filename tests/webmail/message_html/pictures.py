"""Small files that are, or say that they are, images; and a web server of this machine that has them."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.letters import lines_of

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'


@dataclass(slots=True)
class PictureServer:
    """`answers` by path, each status line, headers and body; `requests` are the headers of what was asked."""

    url: str
    answers: Mapping[str, bytes]
    requests: list[str] = field(default_factory=list)


def lines(octets: bytes) -> bytes:
    """base64."""
    return lines_of(octets, 76, ends=True)


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def picture_server(answers: Mapping[str, bytes]) -> AsyncIterator[PictureServer]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        serving.requests.append(request.decode())
        writer.write(serving.answers.get(request.split(b" ", 2)[1].decode(), answer(b"", status="404 Not Found")))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    serving = PictureServer(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", answers)
    yield serving
    server.close()
    await server.wait_closed()
