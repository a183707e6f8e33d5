"""JMAP over WebSocket (RFC 8887): requests, answered as each is done, and StateChange objects where they are wanted.

Who asks is known from the opening handshake, and stays so until the person is signed out. One task reads; a request has
a task while it is answered, telling of changes one while there is something to tell. An idle client has the one task,
and nothing waits for it but how far it was told.
"""

import asyncio
from functools import partial

from mailserver.observability.logs import get_logger
from mailserver.services.errors import TooManyConnections
from mailserver.services.open_streams import Draining, Ending
from mailserver.services.state_changes import Following, Place, changed_since, parse_place, place_of
from mailserver.tasks import end_task
from storage.errors import StorageError, StoreUnavailable
from tenants.types import Principal
from webmail.jmap.capabilities import CAPABILITIES
from webmail.jmap.dispatch import answer_calls
from webmail.jmap.errors import JsonObject, RequestError
from webmail.jmap.http.api import LONG_OCTETS
from webmail.jmap.http.authentication import signed_in
from webmail.jmap.http.door import Door
from webmail.jmap.http.event_source import state_change
from webmail.jmap.http.exchange import HttpRequest, Message, Receive, Refused, Send
from webmail.jmap.http.reading_scope import read_scope
from webmail.jmap.http.staying import looked_after
from webmail.jmap.ids import account_id
from webmail.jmap.ijson import write
from webmail.jmap.method import Context
from webmail.jmap.refusals import method_error
from webmail.jmap.requests import read_request, response_object
from webmail.jmap.session import session_state
from webmail.jmap.socket_messages import parse_message, push_wanted, request_error, request_id_of

SUBPROTOCOL = "jmap"
KIND = "WebSocket"
SEND_S = 60.0
"""Who takes nothing for so long is gone."""
FINISH_S = 20.0
"""How long requests that are being answered may take when the process drains."""

# RFC 6455 §7.4.1
NORMAL, GOING_AWAY, UNSUPPORTED_DATA, POLICY_VIOLATION, INTERNAL_ERROR, TRY_AGAIN_LATER = (
    1000,
    1001,
    1003,
    1008,
    1011,
    1013,
)
_CLOSES_AS = {Ending.SIGNED_OUT: POLICY_VIOLATION, Ending.DRAINING: GOING_AWAY}

log = get_logger()


class ClientClosed(Exception):
    """Nothing more comes, and nothing more arrives."""


async def answer_web_socket(door: Door, scope: Message, receive: Receive, send: Send) -> None:
    await receive()  # websocket.connect
    config = door.parts.config
    request = read_scope(scope, receive, hostname=config.hostname, proxies=config.proxies)
    try:
        if SUBPROTOCOL not in scope.get("subprotocols", ()):
            raise Refused(400, "the only subprotocol is jmap")
        _demand_known_origin(request)
        who = await signed_in(door.parts, request)
    except Refused as refused:
        await _refuse(scope, send, refused)
        return
    except StoreUnavailable:
        await _refuse(scope, send, Refused(503, "try again later", (("retry-after", "5"),)))
        return
    await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
    socket = JmapSocket(door, who, request.origin, receive, send)
    try:
        with (
            door.parts.open_streams.one(who, request.peer, KIND, socket.end),
            looked_after(door.parts, request, socket.end),
        ):
            code = await socket.serve()
    except TooManyConnections:
        code = TRY_AGAIN_LATER
    except Draining:
        code = GOING_AWAY
    if code is not None:
        await send({"type": "websocket.close", "code": code})


def _demand_known_origin(request: HttpRequest) -> None:
    """Pages of other origins cannot name a token at a WebSocket's handshake; but a browser adds a password that it
    remembers, whoever asks. (Cookies: `authentication`.)"""
    origin = request.headers.get("origin", "")
    is_token = request.headers.get("authorization", "").lower().startswith("bearer ")
    if origin and not is_token and origin not in (request.origin, f"https://{request.host}"):
        raise Refused(403, "not from there")


async def _refuse(scope: Message, send: Send, refused: Refused) -> None:
    """Where the server can tell no more, the handshake fails with 403. Each header has one line: granian 2.8 ends the
    whole process at a name that comes twice here."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return
    told = (("content-type", "application/problem+json"), ("cache-control", "no-store"), *refused.headers)
    lines: dict[str, str] = {}
    for name, value in told:
        lines[name] = f"{lines[name]}, {value}" if name in lines else value
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines.items()]
    await send({"type": "websocket.http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": write(refused.problem())})


class JmapSocket:
    """One connection, from its acceptance on."""

    __slots__ = (
        "_account", "_asked", "_door", "_ending", "_following", "_origin", "_place", "_reading", "_receive", "_send",
        "_sending", "_telling", "_types", "_who",
    )  # fmt: skip

    def __init__(self, door: Door, who: Principal, origin: str, receive: Receive, send: Send) -> None:
        self._door = door
        self._who = who
        self._account = account_id(who.account_id)
        self._origin = origin
        self._receive = receive
        self._send = send
        self._sending = asyncio.Lock()
        self._reading: asyncio.Task[Message] | None = None
        self._asked: set[asyncio.Task[None]] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._following: Following | None = None
        self._types: frozenset[str] | None = None
        self._place: Place | None = None
        self._ending: int | None = None

    def end(self, why: Ending) -> None:
        """Read no more; `serve` returns."""
        self._close(_CLOSES_AS[why])

    def _close(self, code: int) -> None:
        self._ending = self._ending or code
        if self._reading is not None:
            self._reading.cancel()

    async def serve(self) -> int | None:
        """Until the client closes, or is told to; returns the code to close with, None if nobody hears it."""
        try:
            while self._ending is None:
                await self._take(await self._next())
            if self._ending == POLICY_VIOLATION:  # at once; what is being done ends by itself
                await self._send({"type": "websocket.close", "code": POLICY_VIOLATION})
                return None
        except ClientClosed:
            return None
        finally:
            await self._finish()
        return self._ending

    async def _next(self) -> Message:
        self._reading = asyncio.ensure_future(self._receive())
        try:
            message = await self._reading
        except asyncio.CancelledError:
            if self._ending is None:
                raise
            return {"type": "ended"}
        finally:
            self._reading = None
        if message["type"] == "websocket.disconnect":
            raise ClientClosed
        return message

    async def _take(self, message: Message) -> None:
        if message["type"] != "websocket.receive":
            return
        text = message.get("text")
        if text is None:  # RFC 8887 §4.3.1: text only
            self._ending = UNSUPPORTED_DATA
            return
        request_id: str | None = None
        try:
            given = await self._parsed(text)
            del text
            request_id = request_id_of(given)
            match given.get("@type"):
                case "Request":
                    self._begin(given, request_id)
                case "WebSocketPushEnable":
                    await self._enable(given)
                case "WebSocketPushDisable":
                    self._disable()
                case _:
                    raise RequestError("notRequest", "@type is Request, WebSocketPushEnable or WebSocketPushDisable")
        except RequestError as error:
            await self._tell(request_error(error.problem(), request_id))
        except StoreUnavailable:
            await self._tell(request_error(Refused(503, "try again later").problem(), request_id))

    async def _parsed(self, text: str) -> JsonObject:
        """Long ones in a thread: the others need not wait so long. Raises RequestError."""
        parse = partial(parse_message, text, most_octets=self._door.limits.max_size_request)
        return await asyncio.to_thread(parse) if len(text) > LONG_OCTETS else parse()

    # -- requests

    def _begin(self, given: JsonObject, request_id: str | None) -> None:
        """Raises RequestError: limit, where as many are being answered as may be."""
        limits = self._door.limits
        asked = self._asked = self._asked or set()
        if len(asked) >= limits.max_concurrent_requests:
            most = limits.max_concurrent_requests
            raise RequestError("limit", f"at most {most} at once", status=429, limit="maxConcurrentRequests")
        task = asyncio.create_task(self._answer(given, request_id), name="JMAP over WebSocket")
        asked.add(task)
        task.add_done_callback(asked.discard)

    async def _answer(self, given: JsonObject, request_id: str | None) -> None:
        """Who takes the answer slowly keeps the turn: it stands in memory until then."""
        try:
            with self._door.requests.one(self._who.account_id):
                await self._tell(await self._told(given, request_id))
        except RequestError as error:
            await self._tell(request_error(error.problem(), request_id))

    async def _told(self, given: JsonObject, request_id: str | None) -> JsonObject:
        try:
            return await self._answered(given, request_id)
        except RequestError as error:
            return request_error(error.problem(), request_id)
        except Exception as error:  # noqa: BLE001 - a door: whatever happens, the client hears of it and others go on
            return request_error(_failure(error), request_id)

    async def _answered(self, given: JsonObject, request_id: str | None) -> JsonObject:
        door, who = self._door, self._who
        asked = read_request(given, limits=door.limits, capabilities=CAPABILITIES)
        context = Context(door.parts, who, door.limits, asked.using, created_ids=dict(asked.created_ids or {}))
        responses = await answer_calls(context, asked.calls, door.methods)
        response = response_object(
            responses,
            created_ids=None if asked.created_ids is None else context.created_ids,
            session_state=session_state(door.parts, who, door.limits, self._origin),
        )
        named = {} if request_id is None else {"requestId": request_id}
        return {"@type": "Response", **named, **response}

    # -- push

    async def _enable(self, given: JsonObject) -> None:
        """With the pushState that a client saw last it hears at once of what changed since (RFC 8887 §4.3.5.2).

        Raises RequestError, StoreUnavailable.
        """
        types, push_state = push_wanted(given)
        who = self._who
        following = self._following
        if following is None:
            following = self._door.parts.state_changes.follow(who.tenant_id, who.account_id, self._stir)
        try:
            states = await following.now()
        except BaseException:
            if self._following is None:
                following.close()
            raise
        self._types = types
        self._place = place_of(states) if push_state is None else parse_place(push_state)
        self._following = following
        self._stir()

    def _disable(self) -> None:
        if self._following is not None:
            self._following.close()
        self._following = self._place = None

    def _stir(self) -> None:
        """There may be something to tell. Whatever comes while that is done is told after it."""
        if self._telling is None and self._unseen() is not None and self._ending is None:
            self._telling = asyncio.create_task(self._tell_changes(), name="JMAP push over WebSocket")

    async def _tell_changes(self) -> None:
        try:
            while (change := self._unseen()) is not None and self._following is not None:
                self._place = place_of(self._following.latest)
                await self._tell(change)
        finally:
            self._telling = None

    def _unseen(self) -> JsonObject | None:
        """A StateChange of what was not told yet; None: there is nothing, or push is off."""
        if self._following is None or self._place is None:
            return None
        states = self._following.latest
        changed = changed_since(states, self._place, self._types)
        return {**state_change(self._account, changed), "pushState": str(place_of(states))} if changed else None

    # -- what goes out

    async def _tell(self, told: JsonObject) -> None:
        """Nothing goes to somebody who was signed out meanwhile, or takes nothing."""
        if self._ending == POLICY_VIOLATION:
            return
        text = write(told).decode()
        try:
            async with asyncio.timeout(SEND_S), self._sending:
                await self._send({"type": "websocket.send", "text": text})
        except Exception:  # noqa: BLE001 - each server says in its own way that the client is gone
            self._close(INTERNAL_ERROR)

    async def _finish(self) -> None:
        """Requests that are being answered end; where the client may still hear, with their answers."""
        self._disable()
        await end_task(self._telling)
        if self._asked:
            await asyncio.wait(self._asked, timeout=FINISH_S)
            for task in list(self._asked):
                await end_task(task)


def _failure(error: Exception) -> JsonObject:
    if isinstance(error, StorageError) and method_error(error).kind == "serverUnavailable":
        return Refused(503, "try again later").problem()
    log.error("a JMAP request failed", method="WebSocket", exc_info=error)
    return Refused(500, "this is a fault of the server, which has been noted").problem()
