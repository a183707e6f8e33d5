"""Runs the calls of a request one after the other (RFC 8620 §3.6.2, §3.10): each answers, or says what is wrong."""

import time
from collections.abc import Mapping

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter, histogram
from storage.errors import StorageError
from webmail.jmap.errors import JsonObject, MethodError
from webmail.jmap.method import Context, Method
from webmail.jmap.references import References
from webmail.jmap.refusals import method_error
from webmail.jmap.requests import Invocation

CALLS = counter("jmap_calls", "Calls of JMAP methods, by what came of them: ok, or the error's type.", "method", "came")
SECONDS = histogram("jmap_call_seconds", "How long a call of a JMAP method took.", "method")
UNKNOWN = "unknown"

log = get_logger()


async def answer_calls(
    context: Context, calls: tuple[Invocation, ...], methods: Mapping[str, Method]
) -> list[Invocation]:
    """The responses, in order. Calls that a call makes of itself come after it, with its call id (§5.4)."""
    responses: list[Invocation] = []
    references = References(responses)
    for call in calls:
        context.implied.clear()
        method = methods.get(call.name)
        if method is None or method.capability not in context.using:
            CALLS.labels(UNKNOWN, "unknownMethod").inc()
            responses.append(_error(MethodError("unknownMethod"), call.call_id))
            continue
        responses.append(await _answer(context, method, call, references))
        while context.implied:
            name, arguments = context.implied.pop(0)
            responses.append(
                await _answer(context, methods[name], Invocation(name, arguments, call.call_id), references)
            )
    return responses


async def _answer(context: Context, method: Method, call: Invocation, references: References) -> Invocation:
    started = time.perf_counter()
    waiting = len(context.implied)
    came = "ok"
    context.has_changed = False
    try:
        arguments = references.resolved(call.arguments)
        return Invocation(method.name, await method.run(context, arguments), call.call_id)
    except Exception as error:  # noqa: BLE001 - a door: one call that fails leaves the others and their answers alone
        del context.implied[waiting:]
        refusal = _refusal(method, error)
        if context.has_changed:
            refusal = MethodError("serverPartialFail", "a part of it was done: ask what changed")
        came = refusal.kind
        return _error(refusal, call.call_id)
    finally:
        CALLS.labels(method.name, came).inc()
        SECONDS.labels(method.name).observe(time.perf_counter() - started)


def _refusal(method: Method, error: Exception) -> MethodError:
    if isinstance(error, MethodError):
        return error
    if isinstance(error, StorageError):
        refusal = method_error(error)
        if refusal.kind != "serverFail":
            return refusal
    else:
        refusal = MethodError("serverFail", "this is a fault of the server, which has been noted")
    log.error("a JMAP method failed", method=method.name, exc_info=error)
    return refusal


def _error(error: MethodError, call_id: str) -> Invocation:
    arguments: JsonObject = error.arguments()
    return Invocation("error", arguments, call_id)
