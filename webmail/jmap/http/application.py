"""The JMAP door: an ASGI application without Django, for the paths under /jmap/ and /.well-known/jmap.

A new resource is a row of ROUTES; a WebSocket is a row of SOCKETS, by its path, and signs in by itself.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from mailserver.assembly import Parts
from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter
from storage.errors import StorageError
from webmail.jmap.errors import RequestError
from webmail.jmap.http.api import answer_api
from webmail.jmap.http.authentication import signed_in
from webmail.jmap.http.door import Door, Handler
from webmail.jmap.http.download import answer_download
from webmail.jmap.http.event_source import answer_event_source
from webmail.jmap.http.exchange import Answer, Application, ClientGone, HttpRequest, Message, Receive, Refused, Send
from webmail.jmap.http.origins import ANY_ORIGIN, EXPOSED, PREFLIGHT
from webmail.jmap.http.reading_scope import read_scope
from webmail.jmap.http.session_resource import answer_session
from webmail.jmap.http.upload import answer_upload
from webmail.jmap.http.web_socket import answer_web_socket
from webmail.jmap.refusals import method_error

REFUSED = counter("jmap_requests_refused", "JMAP requests that were refused whole, by status or the RFC's word.", "why")

log = get_logger()


@dataclass(frozen=True, slots=True)
class Route:
    """`pattern` matches the path as it came, still percent-encoded, so that a variable may hold an encoded slash."""

    pattern: re.Pattern[str]
    methods: tuple[str, ...]
    handler: Handler


_GET, _POST = ("GET", "HEAD"), ("POST",)

ROUTES = (
    Route(re.compile(r"/\.well-known/jmap/?"), _GET, answer_session),
    Route(re.compile(r"/jmap/session/?"), _GET, answer_session),
    Route(re.compile(r"/jmap/api/?"), _POST, answer_api),
    Route(re.compile(r"/jmap/upload/(?P<account>[^/]+)/?"), _POST, answer_upload),
    Route(re.compile(r"/jmap/download/(?P<account>[^/]+)/(?P<blob>[^/]+)/(?P<name>[^/]*)"), _GET, answer_download),
    Route(re.compile(r"/jmap/eventsource/?"), _GET, answer_event_source),
)
Socket = Callable[[Door, Message, Receive, Send], Awaitable[None]]
SOCKETS: Mapping[str, Socket] = {"/jmap/ws": answer_web_socket, "/jmap/ws/": answer_web_socket}


_SAFE = (("x-content-type-options", "nosniff"), ("cross-origin-resource-policy", "same-origin"))
_OVER_TLS = (("strict-transport-security", "max-age=31536000"),)


def is_ours(path: str) -> bool:
    return path == "/.well-known/jmap" or path.startswith(("/jmap/", "/.well-known/jmap/"))


def jmap_application(door: Door) -> Application:
    async def application(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            socket = SOCKETS.get(scope["path"], _no_socket)
            await socket(door, scope, receive, send)
        elif scope["type"] == "http":
            await _answer(door, scope, receive, send)

    return application


async def _answer(door: Door, scope: Message, receive: Receive, send: Send) -> None:
    config = door.parts.config
    request = read_scope(scope, receive, hostname=config.hostname, proxies=config.proxies)
    more_headers = (*ANY_ORIGIN, *EXPOSED, *_SAFE, *(_OVER_TLS if request.scheme == "https" else ()))
    answer = Answer(send, is_head=request.method == "HEAD", more_headers=more_headers)
    try:
        await _route(door, _raw_path(scope), request, answer)
    except ClientGone:
        return
    except (RequestError, Refused) as refused:
        if answer.has_begun:
            raise
        REFUSED.labels(refused.kind if isinstance(refused, RequestError) else str(refused.status)).inc()
        await answer.problem(refused.problem(), refused.headers if isinstance(refused, Refused) else ())
    except Exception as error:  # noqa: BLE001 - a door: whatever happens, the client hears of it and others go on
        await _failed(answer, request, error)


async def _route(door: Door, path: str, request: HttpRequest, answer: Answer) -> None:
    for route in ROUTES:
        found = route.pattern.fullmatch(path)
        if found is None:
            continue
        if request.method == "OPTIONS":
            await answer.begin(204, PREFLIGHT)
            await answer.end()
            return
        if request.method not in route.methods:
            raise Refused(405, "this resource has no such method", (("allow", ", ".join((*route.methods, "OPTIONS"))),))
        who = await signed_in(door.parts, request)
        variables = {name: unquote(value) for name, value in found.groupdict().items()}
        await route.handler(door, request, answer, who, variables)
        return
    raise Refused(404, "there is no such resource")


async def _failed(answer: Answer, request: HttpRequest, error: Exception) -> None:
    is_temporary = isinstance(error, StorageError) and method_error(error).kind == "serverUnavailable"
    if not is_temporary:
        log.error("a JMAP request failed", method=request.method, exc_info=error)
    if answer.has_begun:
        raise error  # the connection is cut, so that nobody takes half an answer for a whole one
    if is_temporary:
        await answer.problem(Refused(503, "try again later").problem(), (("retry-after", "5"),))
    else:
        await answer.problem(Refused(500, "this is a fault of the server, which has been noted").problem())


def _raw_path(scope: Message) -> str:
    raw: bytes | None = scope.get("raw_path")
    return scope["path"] if raw is None else raw.partition(b"?")[0].decode("latin-1")


async def _no_socket(_door: Door, _scope: Message, receive: Receive, send: Send) -> None:
    await receive()  # websocket.connect
    await send({"type": "websocket.close", "code": 1000})


def open_door(parts: Parts) -> Application:
    """The application of this process."""
    return jmap_application(Door(parts))
