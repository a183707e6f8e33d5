"""What a client that holds a connection open sees of the ASGI application itself: an event source, a WebSocket."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from mailserver.tasks import end_task
from mailserver.web import Application
from tests.webmail.jmap.client import Jmap

WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Event:
    """As a browser's EventSource would dispatch it; an id without data makes none (the HTML standard §9.2.6)."""

    name: str
    data: Any
    id: str | None


@dataclass(slots=True)
class Conversation:
    """One scope of an application: what it sends waits in `sent`."""

    application: Application
    scope: dict[str, Any]
    sent: "asyncio.Queue[Any]" = field(default_factory=asyncio.Queue)
    incoming: "asyncio.Queue[Any]" = field(default_factory=asyncio.Queue)
    may_send: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None

    def start(self) -> None:
        self.may_send.set()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        await self.application(self.scope, self.incoming.get, self._send)
        await self.sent.put({"type": "ended"})

    async def _send(self, message: Any) -> None:
        await self.may_send.wait()  # the client reads
        await self.sent.put(message)

    async def next(self) -> Any:
        async with asyncio.timeout(WAIT_S):
            return await self.sent.get()


@dataclass(slots=True)
class Events:
    """An event source, from its first octet on. `last_id` is what a browser would ask with when it comes back."""

    conversation: Conversation
    status: int
    headers: Mapping[str, str]
    last_id: str = ""
    comments: int = 0
    _buffer: bytes = b""

    async def next(self) -> Event | None:
        """The next event; None: the response ended."""
        while True:
            while b"\n\n" not in self._buffer:
                message = await self.conversation.next()
                if message["type"] == "ended" or not message["more_body"]:
                    return None
                self._buffer += message["body"]
            block, _, self._buffer = self._buffer.partition(b"\n\n")
            event = self._parse(block.decode())
            if event is not None:
                return event

    def _parse(self, block: str) -> Event | None:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        self.comments += sum(line.startswith(":") for line in block.split("\n"))
        self.last_id = fields.get("id", self.last_id)
        if "data" not in fields:
            return None
        return Event(fields.get("event", "message"), json.loads(fields["data"]), fields.get("id"))


@asynccontextmanager
async def event_source(jmap: Jmap, query: str, **headers: str) -> AsyncIterator[Events]:
    given = {"host": "mail.company.test", "authorization": jmap.authorization}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    scope = _scope("/jmap/eventsource/", given) | {"type": "http", "method": "GET", "query_string": query.encode()}
    async with _conversation(jmap.application, scope) as conversation:
        await conversation.incoming.put({"type": "http.request", "body": b"", "more_body": False})
        begun = await conversation.next()
        told = {name.decode(): value.decode() for name, value in begun["headers"]}
        events = Events(conversation, begun["status"], told)
        yield events
        await conversation.incoming.put({"type": "http.disconnect"})


@dataclass(slots=True)
class Socket:
    """A WebSocket that was accepted, or `closed` with a code."""

    conversation: Conversation
    accepted: Any

    async def send(self, message: Any) -> None:
        """Something to be written as JSON; text or octets as they are."""
        kind = "bytes" if isinstance(message, bytes) else "text"
        given = message if isinstance(message, bytes | str) else json.dumps(message)
        await self.conversation.incoming.put({"type": "websocket.receive", kind: given})

    async def next(self) -> Any:
        """The next message, or the code with which the server closed."""
        message = await self.conversation.next()
        if message["type"] == "websocket.close":
            return message["code"]
        assert message["type"] == "websocket.send", message
        return json.loads(message["text"])

    async def ask(self, *calls: list[Any], request_id: str | None = "R1") -> Any:
        named = {} if request_id is None else {"id": request_id}
        await self.send(
            {"@type": "Request", **named, "using": ["urn:ietf:params:jmap:core"], "methodCalls": list(calls)}
        )
        return await self.next()


@asynccontextmanager
async def web_socket(jmap: Jmap, *, subprotocols: tuple[str, ...] = ("jmap",), **headers: str) -> AsyncIterator[Socket]:
    given = {"host": "mail.company.test", "upgrade": "websocket", "authorization": jmap.authorization}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    scope = _scope("/jmap/ws/", given) | {"type": "websocket", "scheme": "wss", "subprotocols": list(subprotocols)}
    async with _conversation(jmap.application, scope) as conversation:
        await conversation.incoming.put({"type": "websocket.connect"})
        yield Socket(conversation, await conversation.next())
        await conversation.incoming.put({"type": "websocket.disconnect", "code": 1000})


@asynccontextmanager
async def _conversation(application: Application, scope: dict[str, Any]) -> AsyncIterator[Conversation]:
    conversation = Conversation(application, scope)
    conversation.start()
    try:
        yield conversation
        conversation.may_send.set()
        async with asyncio.timeout(WAIT_S):
            assert conversation.task is not None
            await conversation.task
    finally:
        await end_task(conversation.task)


def _scope(path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items() if value],
        "client": ("192.0.2.9", 50_000),
    }


def basic(address: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{address}:{password}".encode()).decode()
