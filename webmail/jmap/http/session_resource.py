"""The session resource, also at the place where clients look for it first (RFC 8620 §2, §2.2)."""

from collections.abc import Mapping

from tenants.types import Principal
from webmail.jmap.http.door import Door
from webmail.jmap.http.exchange import Answer, HttpRequest
from webmail.jmap.ijson import write
from webmail.jmap.session import session_object


async def answer_session(
    door: Door, request: HttpRequest, answer: Answer, who: Principal, _variables: Mapping[str, str]
) -> None:
    await answer.json(200, write(session_object(door.parts, who, door.limits, request.origin)))
