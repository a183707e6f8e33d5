"""Core/echo (RFC 8620 §4)."""

from webmail.jmap.errors import JsonObject
from webmail.jmap.limits import CORE
from webmail.jmap.method import Context, Method


async def echo(_context: Context, arguments: JsonObject) -> JsonObject:
    return arguments


METHODS = (Method("Core/echo", CORE, echo),)
