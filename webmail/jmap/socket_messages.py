"""Messages of a WebSocket as values: what a client sends, and the answer to what makes no sense (RFC 8887 §4.3)."""

from collections.abc import Mapping
from typing import Any

from webmail.jmap.errors import JsonObject, RequestError
from webmail.jmap.ijson import NotIJson, parse

_MOST_TYPES = 100


def parse_message(text: str, *, most_octets: int) -> JsonObject:
    """Raises RequestError: notJSON, notRequest, limit."""
    octets = text.encode() if len(text) <= most_octets else b""
    if text and not 0 < len(octets) <= most_octets:
        raise RequestError("limit", f"a request has at most {most_octets} octets", limit="maxSizeRequest")
    try:
        given = parse(octets)
    except NotIJson as error:
        raise RequestError("notJSON", f"the message is not I-JSON: {error}") from None
    if not isinstance(given, dict):
        raise RequestError("notRequest", "a message is an object")
    return given


def request_id_of(given: Mapping[str, Any]) -> str | None:
    """The client's name of its request, of whatever length: every answer has to repeat it. Raises RequestError."""
    request_id = given.get("id")
    if not isinstance(request_id, str | None):
        raise RequestError("notRequest", "id is a string")
    return request_id


def push_wanted(given: Mapping[str, Any]) -> tuple[frozenset[str] | None, str | None]:
    """Of a WebSocketPushEnable: the types, None for all, and the pushState (§4.3.5.2). Raises RequestError."""
    types, push_state = given.get("dataTypes"), given.get("pushState")
    if types is not None and not (
        isinstance(types, list) and len(types) <= _MOST_TYPES and all(isinstance(each, str) for each in types)
    ):
        raise RequestError("notRequest", "dataTypes is null or a list of type names")
    if push_state is not None and not isinstance(push_state, str):
        raise RequestError("notRequest", "pushState is a string")
    return None if types is None else frozenset(types), push_state


def request_error(problem: JsonObject, request_id: str | None) -> JsonObject:
    """§4.3.4; without an id where the message did not say one that could be read."""
    return {"@type": "RequestError", "requestId": request_id, **problem}
