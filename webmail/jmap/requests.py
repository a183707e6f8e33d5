"""The Request and Response objects (RFC 8620 §3.3, §3.4): octets become a Request, or one of the refusals of §3.6.1."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from webmail.jmap.errors import JsonObject, RequestError
from webmail.jmap.ids import is_id
from webmail.jmap.ijson import NotIJson, TooManyValues, parse, write
from webmail.jmap.limits import Limits


@dataclass(frozen=True, slots=True)
class Invocation:
    """A method call, or a response to one: `call_id` is the client's word, which its responses repeat (§3.2)."""

    name: str
    arguments: JsonObject
    call_id: str


@dataclass(frozen=True, slots=True)
class Request:
    """`created_ids` None: the client neither gives any nor wants to hear of them."""

    using: frozenset[str]
    calls: tuple[Invocation, ...]
    created_ids: Mapping[str, str] | None


def parse_request(octets: bytes, *, limits: Limits, capabilities: Collection[str]) -> Request:
    """Raises RequestError: notJSON, notRequest, unknownCapability, limit."""
    try:
        given = parse(octets)
    except TooManyValues as error:
        raise RequestError("limit", str(error), limit="maxSizeRequest") from None
    except NotIJson as error:
        raise RequestError("notJSON", f"the request is not I-JSON: {error}") from None
    return read_request(given, limits=limits, capabilities=capabilities)


def read_request(given: object, *, limits: Limits, capabilities: Collection[str]) -> Request:
    """The same of a value that was parsed already (RFC 8887 §4.3.2). Other properties are passed over (§3.3)."""
    if not isinstance(given, dict):
        raise _not_request("it is not an object")
    using, calls = given.get("using"), given.get("methodCalls")
    if not isinstance(using, list) or not all(isinstance(each, str) for each in using):
        raise _not_request("using must be a list of strings")
    if not isinstance(calls, list):
        raise _not_request("methodCalls must be a list")
    created_ids = _created_ids(given.get("createdIds"))
    invocations = tuple(map(_invocation, calls))
    for urn in using:
        if urn not in capabilities:
            raise RequestError("unknownCapability", f"{urn[:200]} is not a capability of this server")
    if len(calls) > limits.max_calls_in_request:
        raise RequestError("limit", f"at most {limits.max_calls_in_request} calls", limit="maxCallsInRequest")
    return Request(frozenset(using), invocations, created_ids)


def write_response(
    responses: Sequence[Invocation], *, created_ids: Mapping[str, str] | None, session_state: str
) -> bytes:
    return write(response_object(responses, created_ids=created_ids, session_state=session_state))


def response_object(
    responses: Sequence[Invocation], *, created_ids: Mapping[str, str] | None, session_state: str
) -> JsonObject:
    found: JsonObject = {
        "methodResponses": [(each.name, each.arguments, each.call_id) for each in responses],
        "sessionState": session_state,
    }
    return found if created_ids is None else {**found, "createdIds": dict(created_ids)}


def _invocation(given: object) -> Invocation:
    match given:
        case [str(name), dict(arguments), str(call_id)]:
            return Invocation(name, arguments, call_id)
    raise _not_request("a method call is a list of a name, an object of arguments and a call id")


def _created_ids(given: object) -> Mapping[str, str] | None:
    if given is None:
        return None
    if not isinstance(given, dict) or not all(
        is_id(name) and isinstance(value, str) and is_id(value) for name, value in given.items()
    ):
        raise _not_request("createdIds must be a map of ids to ids")
    return given


def _not_request(what: str) -> RequestError:
    return RequestError("notRequest", f"this is not a Request object: {what}")
