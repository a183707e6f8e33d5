"""The door to messages as HTML, an ASGI application without Django: documents to be framed, and images for them.

    GET /message/{emailId}/html?images=none|remote      for whoever is signed in, as JMAP knows them
    GET /image/…                                        for whoever has a path that we signed

A document says in `waypost-remote-images` how many images of elsewhere it refers to; a page of ours asks by HEAD.
"""

import asyncio
import re
from urllib.parse import parse_qs

from mailserver.assembly import Parts
from mailserver.observability.logs import get_logger
from mailserver.services.messages import open_content
from mailserver.web import TURN
from storage.errors import MessageGone, StorageError
from tenants.types import Principal
from webmail.jmap.http.authentication import signed_in
from webmail.jmap.http.exchange import Answer, Application, ClientGone, HttpRequest, Message, Receive, Refused, Send
from webmail.jmap.http.reading_scope import read_scope
from webmail.jmap.ids import parse_email_id
from webmail.jmap.refusals import method_error
from webmail.message_html.document import headers
from webmail.message_html.image_proxy import Images
from webmail.message_html.reading import HtmlPart, ShownMessage, TextPart, read_shown
from webmail.message_html.references import RemoteImages
from webmail.message_html.rendering import Rendered, render
from webmail.message_html.sanitise import VERSION
from webmail.message_html.signatures import PartImage, Permitted, RemoteImage
from webmail.message_html.words import words_for

log = get_logger()

LONG_AT_ONCE = 2
"""Long messages that are sanitised at once, in threads; others wait."""
_LONG_CHARACTERS = 24 * 1024
_DOCUMENT = re.compile(r"/message/(M[0-9]{1,20})/html")
_METHODS = frozenset({"GET", "HEAD"})
_REVALIDATED = ("cache-control", "private, no-cache")


def is_ours(path: str) -> bool:
    return path.startswith(("/message/", "/image/"))


def open_door(parts: Parts) -> Application:
    """The application of this process."""
    return MessageDoor(parts, Images(parts)).answer


class MessageDoor:
    """One per process."""

    def __init__(self, parts: Parts, images: Images) -> None:
        self._parts = parts
        self._images = images
        self._long = asyncio.Semaphore(LONG_AT_ONCE)

    async def answer(self, scope: Message, receive: Receive, send: Send) -> None:
        config = self._parts.config
        request = read_scope(scope, receive, hostname=config.hostname, proxies=config.proxies)
        answer = Answer(send, is_head=request.method == "HEAD", more_headers=())
        if request.path.startswith("/image/") and TURN in scope:
            scope[TURN].end()  # slow ones of elsewhere keep nobody waiting; their number is bounded by itself
        try:
            await self._route(request, answer)
        except ClientGone:
            return
        except Refused as refused:
            await answer.problem(refused.problem(), (*_without_prompt(refused), ("x-content-type-options", "nosniff")))
        except Exception as error:  # noqa: BLE001 - a door: whatever happens, the client hears of it and others go on
            await _failed(answer, error)

    async def _route(self, request: HttpRequest, answer: Answer) -> None:
        if request.method not in _METHODS:
            raise Refused(405, "this resource is only read", (("allow", "GET, HEAD"),))
        if request.path.startswith("/image/"):
            await self._images.answer(request.path, answer)
            return
        found = _DOCUMENT.fullmatch(request.path)
        if found is None:
            raise Refused(404, "there is no such resource")
        who = await signed_in(self._parts, request)
        await self._document(request, answer, who, found[1])

    async def _document(self, request: HttpRequest, answer: Answer, who: Principal, email_id: str) -> None:
        message_id = parse_email_id(email_id)
        if message_id is None:
            raise Refused(404, "there is no such message")
        try:
            content = await open_content(self._parts.store, who, message_id)
        except MessageGone:
            raise Refused(404, "there is no such message") from None
        wanted = _wanted_images(request.query)
        words = words_for(who.language)
        etag = f'"{email_id}-{VERSION}-{wanted.value}-{words.tag}-{self._images.day()}"'
        shared = (*headers(origin=request.origin), _REVALIDATED, ("etag", etag))
        if etag in request.headers.get("if-none-match", ""):
            await answer.begin(304, shared)
            await answer.end()
            return
        content.note_reading()
        message = await read_shown(content)
        sign = self._images.signer()
        tenant, account = who.tenant_id, who.account_id

        def rendered() -> Rendered:
            return render(
                message,
                wanted,
                words,
                part_url=lambda path: sign(Permitted(tenant, account, PartImage(message_id, path))),
                remote_url=lambda url: sign(Permitted(tenant, account, RemoteImage(url))),
            )

        if _characters(message) > _LONG_CHARACTERS:
            async with self._long:
                made = await asyncio.to_thread(rendered)
        else:
            made = rendered()
        told = ("waypost-remote-images", str(made.remote_images))
        await answer.whole(200, made.html.encode("utf-8", "replace"), (*shared, told))


def _without_prompt(refused: Refused) -> list[tuple[str, str]]:
    """A frame whose person was signed out shows that it was refused; no browser asks for a password in it."""
    return [(name, value) for name, value in refused.headers if not value.startswith("Basic ")]


def _wanted_images(query: str) -> RemoteImages:
    """None of elsewhere, unless they are asked for."""
    try:
        given = parse_qs(query, max_num_fields=20).get("images", [""])[-1]
    except ValueError:
        given = ""
    return RemoteImages.PROXIED if given == RemoteImages.PROXIED.value else RemoteImages.NONE


def _characters(message: ShownMessage) -> int:
    count = 0
    for part in message.parts:
        match part:
            case HtmlPart(text) | TextPart(text, _):
                count += len(text)
    return count


async def _failed(answer: Answer, error: Exception) -> None:
    is_temporary = isinstance(error, StorageError) and method_error(error).kind == "serverUnavailable"
    if not is_temporary:
        log.error("a message could not be shown", exc_info=error)
    if answer.has_begun:
        raise error  # the connection is cut, so that nobody takes half an answer for a whole one
    if is_temporary:
        await answer.problem(Refused(503, "try again later").problem(), (("retry-after", "5"),))
    else:
        await answer.problem(Refused(500, "this is a fault of the server, which has been noted").problem())
