"""Bodies of requests to pages: bounded before Django sees them."""

import asyncio

import pytest

from mailserver.web import Message, Receive, Send, counted
from webmail import posted_bodies
from webmail.posted_bodies import MOST_OCTETS, answer_with_body

Scope = Message


def client_that_sends(*messages: Message) -> Receive:
    left = list(messages)

    async def receive() -> Message:
        if left:
            return left.pop(0)
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    return receive


def piece(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


async def pages(scope: Scope, receive: Receive, send: Send) -> None:
    await answer_with_body(echo, scope, receive, send)


async def answer(receive: Receive, *, requests_at_once: int = 1) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await counted(pages, requests_at_once=requests_at_once)({"type": "http"}, receive, send)
    return sent


async def test_a_form_comes_through_whole() -> None:
    sent = await answer(client_that_sends(piece(b"a=", more=True), piece(b"b", more=False)))
    assert [each.get("status", each.get("body")) for each in sent] == [200, b"a=b"]


async def test_too_much_is_refused_as_soon_as_it_shows() -> None:
    sent = await answer(client_that_sends(piece(b"x" * MOST_OCTETS, more=True), piece(b"x", more=True)))
    assert sent[0]["status"] == 413


async def test_what_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posted_bodies, "WAIT_S", 0.01)
    assert (await answer(client_that_sends(piece(b"x", more=True))))[0]["status"] == 408


async def test_who_goes_away_is_not_answered() -> None:
    assert await answer(client_that_sends(piece(b"x", more=True), {"type": "http.disconnect"})) == []


async def test_a_client_that_is_slow_to_send_keeps_nobody_waiting() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    application = counted(pages, requests_at_once=1)
    slow = [
        asyncio.ensure_future(application({"type": "http"}, client_that_sends(piece(b"x", more=True)), send))
        for _ in range(3)
    ]
    async with asyncio.timeout(10):
        await application({"type": "http"}, client_that_sends(piece(b"quick", more=False)), send)
    assert sent[-1]["body"] == b"quick"
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
