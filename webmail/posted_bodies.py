"""What is posted to pages, read before Django sees the request.

Django would put a body of any size into a file, for as long as it takes to come, whoever sends it. Forms are small.
"""

import asyncio
from contextlib import nullcontext

from mailserver.web import TURN, Application, Message, Receive, Send

MOST_OCTETS = 128 * 1024
WAIT_S = 20.0
"""For all of it."""


async def answer_with_body(pages: Application, scope: Message, receive: Receive, send: Send) -> None:
    """Asks `pages`, or refuses: 413 for too much, 408 for too slow. Others have the request's turn while it waits."""
    if scope["type"] != "http":
        await pages(scope, receive, send)
        return
    turn = scope.get(TURN)
    try:
        async with turn.lent() if turn is not None else nullcontext(), asyncio.timeout(WAIT_S):
            body = await _body(receive)
    except TimeoutError:
        await _refuse(send, 408)
        return
    except _TooLarge:
        await _refuse(send, 413)
        return
    if body is None:
        return
    was_read = False

    async def replay() -> Message:
        nonlocal was_read
        if was_read:
            return await receive()
        was_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    await pages(scope, replay, send)


class _TooLarge(Exception):
    """It was not kept."""


async def _body(receive: Receive) -> bytes | None:
    """None: the client has gone. Raises _TooLarge."""
    pieces: list[bytes] = []
    octets = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        pieces.append(message.get("body", b""))
        octets += len(pieces[-1])
        if octets > MOST_OCTETS:
            raise _TooLarge
        if not message.get("more_body", False):
            return b"".join(pieces)


async def _refuse(send: Send, status: int) -> None:
    headers = [(b"content-length", b"0"), (b"cache-control", b"no-store"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
