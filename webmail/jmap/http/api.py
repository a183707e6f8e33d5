"""The API resource: a Request is posted, a Response answers (RFC 8620 §3.1)."""

import asyncio
from collections.abc import Mapping
from functools import partial

from tenants.types import Principal
from webmail.jmap.capabilities import CAPABILITIES
from webmail.jmap.dispatch import answer_calls
from webmail.jmap.errors import RequestError
from webmail.jmap.http.door import Door
from webmail.jmap.http.exchange import Answer, BodyTooLarge, HttpRequest
from webmail.jmap.method import Context
from webmail.jmap.requests import Request, parse_request, write_response
from webmail.jmap.session import session_state

LONG_OCTETS = 128 * 1024


async def answer_api(
    door: Door, request: HttpRequest, answer: Answer, who: Principal, _variables: Mapping[str, str]
) -> None:
    if request.media_type != "application/json":
        raise RequestError("notJSON", "the content type must be application/json")
    with door.requests.one(who.account_id):
        try:
            octets = await request.body(door.limits.max_size_request)
        except BodyTooLarge:
            raise too_large(door) from None
        asked = await _parsed(door, octets)
        del octets
        response = await respond(door, who, asked, origin=request.origin)
        await answer.json(200, response)  # who takes it slowly keeps the turn: it stands in memory until then


async def _parsed(door: Door, octets: bytes) -> Request:
    """Long ones in a thread: the others need not wait so long."""
    parse = partial(parse_request, octets, limits=door.limits, capabilities=CAPABILITIES)
    return await asyncio.to_thread(parse) if len(octets) > LONG_OCTETS else parse()


async def respond(door: Door, who: Principal, asked: Request, *, origin: str) -> bytes:
    """The Response to a Request, written. (WebSocket has its own way in: RFC 8887.)"""
    context = Context(door.parts, who, door.limits, asked.using, created_ids=dict(asked.created_ids or {}))
    responses = await answer_calls(context, asked.calls, door.methods)
    return write_response(
        responses,
        created_ids=None if asked.created_ids is None else context.created_ids,
        session_state=session_state(door.parts, who, door.limits, origin),
    )


def too_large(door: Door) -> RequestError:
    words = f"a request has at most {door.limits.max_size_request} octets"
    return RequestError("limit", words, limit="maxSizeRequest")
