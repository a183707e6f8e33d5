"""TLS in front of the web role, as a load balancer ends it: one request a connection."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from deploy.local.certificates import Certificates

_END = b"\r\n\r\n"


@asynccontextmanager
async def tls_front(web_port: int, certificates: Certificates) -> AsyncIterator[int]:
    """Its port, at localhost."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    at_work: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        at_work.add(task)
        try:
            await _pass_on(reader, writer, web_port)
        finally:
            at_work.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield int(server.sockets[0].getsockname()[1])
    server.close()
    for task in at_work:
        task.cancel()
    await asyncio.gather(*at_work, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, web_port: int) -> None:
    with suppress(OSError, asyncio.IncompleteReadError):
        head = await reader.readuntil(_END)
        request_line, _, fields = head.partition(b"\r\n")
        kept = [each for each in fields.split(b"\r\n") if not each.lower().startswith(b"connection:")]
        web_reader, web_writer = await asyncio.open_connection("127.0.0.1", web_port)
        said = b"\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n"
        web_writer.write(request_line + said + b"\r\n".join(kept))
        ways = [asyncio.create_task(_copy(reader, web_writer)), asyncio.create_task(_copy(web_reader, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for each in (web_writer, writer):
                each.close()
                with suppress(OSError):
                    await each.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while octets := await reader.read(65_536):
            writer.write(octets)
            await writer.drain()
