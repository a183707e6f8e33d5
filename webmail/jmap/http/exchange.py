"""One HTTP request and its answer, over ASGI: what handlers see of it, and what they send."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from webmail.jmap.errors import JsonObject
from webmail.jmap.ijson import write

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

PIECE_WAIT_S = 30.0
"""The longest wait for the next octets of a body."""
BODY_WAIT_S = 1_800.0
"""The longest wait for all of it: longer than a slow line needs for the largest upload, and shorter than keys may be
held that were read when it began (`storage.key_rotation`)."""


def _nothing() -> None:
    """Nobody counts."""


class ClientGone(Exception):
    """The connection ended before the whole body came."""


class BodyTooLarge(Exception):
    """More octets than may come; they were not kept."""


@dataclass(eq=False)
class Refused(Exception):
    """A request that is refused as HTTP knows it, told as problem details (RFC 7807)."""

    status: int
    detail: str
    headers: tuple[tuple[str, str], ...] = ()

    def problem(self) -> JsonObject:
        return {"type": "about:blank", "status": self.status, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`headers` by lower-case name, the last of those that come twice; `peer` is the IP address of who asks.

    `hold` says that the answer takes as long as the client stays: it counts no more among requests at work.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    scheme: str
    host: str
    peer: str
    receive: Receive
    hold: Callable[[], None] = _nothing

    @property
    def origin(self) -> str:
        """Ours, as the client wrote it (RFC 6454 §6.2)."""
        return f"{self.scheme}://{self.host}"

    @property
    def media_type(self) -> str:
        """Without parameters, in lower case; empty if none is given."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def demand_length(self, limit_octets: int) -> None:
        """Raises BodyTooLarge for a body that says it is; one that says nothing is counted as it comes."""
        length = self.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and (len(length) > 18 or int(length) > limit_octets):
            raise BodyTooLarge

    async def pieces(self, limit_octets: int) -> AsyncIterator[bytes]:
        """The body as it comes. Raises BodyTooLarge, ClientGone, and Refused when it does not come."""
        self.demand_length(limit_octets)
        octets = 0
        until = asyncio.get_running_loop().time() + BODY_WAIT_S
        while True:
            try:
                async with asyncio.timeout_at(min(until, asyncio.get_running_loop().time() + PIECE_WAIT_S)):
                    message = await self.receive()
            except TimeoutError:
                raise Refused(408, "the body did not come in time") from None
            if message["type"] != "http.request":
                raise ClientGone
            piece: bytes = message.get("body", b"")
            octets += len(piece)
            if octets > limit_octets:
                raise BodyTooLarge
            if piece:
                yield piece
            if not message.get("more_body", False):
                return

    async def body(self, limit_octets: int) -> bytes:
        """All of it. Raises as `pieces` does."""
        return b"".join([piece async for piece in self.pieces(limit_octets)])


class Answer:
    """Sends one response; `has_begun` once its status is out."""

    def __init__(self, send: Send, *, is_head: bool, more_headers: Iterable[tuple[str, str]]) -> None:
        self._send = send
        self.is_head = is_head
        self._more_headers = tuple(more_headers)
        self.has_begun = False

    async def begin(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        self.has_begun = True
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (*headers, *self._more_headers)]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def write(self, octets: bytes) -> None:
        if not self.is_head:
            await self._send({"type": "http.response.body", "body": octets, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def whole(self, status: int, octets: bytes, headers: Iterable[tuple[str, str]]) -> None:
        await self.begin(status, (*headers, ("content-length", str(len(octets)))))
        await self._send({"type": "http.response.body", "body": b"" if self.is_head else octets, "more_body": False})

    async def json(self, status: int, octets: bytes, headers: Iterable[tuple[str, str]] = ()) -> None:
        """JSON that is never kept: it is the person's own, as of now."""
        kept = ("cache-control", "no-cache, no-store, must-revalidate")
        await self.whole(status, octets, (("content-type", "application/json"), kept, *headers))

    async def problem(self, problem: JsonObject, headers: Iterable[tuple[str, str]] = ()) -> None:
        kept = ("cache-control", "no-store")
        told = (("content-type", "application/problem+json"), kept, *headers)
        await self.whole(problem["status"], write(problem), told)
