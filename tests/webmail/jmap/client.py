"""A JMAP client that speaks to the ASGI application itself: all of the door but the socket."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mailserver.services.delivery import Deliveries
from mailserver.web import Application
from storage.errors import StorageError
from storage.store import MailStore
from storage.types import Placed
from tests.conftest import NOON, as_recipient, plain_message
from tests.people import Person
from webmail.jmap.limits import BLOB, CORE, MAIL, MDN, QUOTA, SUBMISSION, VACATION, VACATION_EXTENSION

Call = list[Any]
ALL = (CORE, MAIL, BLOB, QUOTA, SUBMISSION, VACATION, VACATION_EXTENSION, MDN)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """`pieces` as they were sent; a header that comes twice is joined by a comma."""

    status: int
    headers: Mapping[str, str]
    pieces: list[bytes]

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    application: Application,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | Iterable[bytes] = b"",
    is_cut: bool = False,
    peer: str = "192.0.2.9",
) -> HttpAnswer:
    """One request. A body of several pieces comes without a length; one that `is_cut` ends with the connection."""
    path, _, query = target.partition("?")
    given = {"host": "mail.company.test", **(headers or {})}
    if isinstance(body, bytes):
        pieces = [body]
        if body:
            given.setdefault("content-length", str(len(body)))
    else:
        pieces = list(body) or [b""]
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": is_cut or place + 1 < len(pieces)}
        for place, piece in enumerate(pieces)
    ]
    waiting = iter([*messages, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return next(waiting)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": (peer, 50_000),
    }
    await application(scope, receive, send)
    if not sent:
        return HttpAnswer(0, {}, [])
    told: dict[str, str] = {}
    for name, value in sent[0]["headers"]:
        told[name.decode()] = ", ".join(filter(None, (told.get(name.decode()), value.decode())))
    return HttpAnswer(sent[0]["status"], told, [each["body"] for each in sent[1:] if each["body"]])


@dataclass(frozen=True, slots=True)
class Jmap:
    """Somebody at work: `await jmap.call("Email/get", {"ids": [...]})` is what the one response says.

    `accountId` is filled in. `using` is every capability, so that each test names only what it is about.
    """

    application: Application
    person: Person
    store: MailStore
    using: tuple[str, ...] = field(default=ALL)

    @property
    def account_id(self) -> str:
        return f"A{self.person.principal.account_id}"

    @property
    def authorization(self) -> str:
        return "Basic " + base64.b64encode(f"{self.person.address}:{self.person.password}".encode()).decode()

    async def http(self, method: str, target: str, **how: Any) -> HttpAnswer:
        """With this person's password, unless the headers say otherwise."""
        headers = {"authorization": self.authorization, **how.pop("headers", {})}
        return await ask(self.application, method, target, headers=headers, **how)

    async def post(self, request: Any, **more: Any) -> HttpAnswer:
        """A request as it is, bytes or something to be written as JSON, to the API."""
        octets = request if isinstance(request, bytes) else json.dumps(request).encode()
        headers = {"content-type": "application/json", **more.pop("headers", {})}
        return await self.http("POST", "/jmap/api/", headers=headers, body=octets, **more)

    async def request(self, *calls: Call, **more: Any) -> Any:
        """The whole Response object. Calls are `[name, arguments, call id]`; a missing call id is its number."""
        numbered = [[*call, str(place)][:3] for place, call in enumerate(calls)]
        for call in numbered:
            if call[0] != "Core/echo":
                call[1] = {"accountId": self.account_id, **call[1]}
        answer = await self.post({"using": list(self.using), "methodCalls": numbered, **more})
        assert answer.status == 200, answer.body
        return answer.json()

    async def calls(self, *calls: Call) -> list[Any]:
        """The method responses."""
        responses: list[Any] = (await self.request(*calls))["methodResponses"]
        return responses

    async def call(self, name: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """The arguments of the one response, which is no error."""
        ((told, found, _),) = await self.calls([name, dict(arguments or {})])
        assert told == name, found
        return found

    async def refusal(self, name: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """The arguments of the error that the call is answered with."""
        ((told, found, _),) = await self.calls([name, dict(arguments or {})])
        assert told == "error", found
        return found

    async def upload(self, octets: bytes, media_type: str = "application/octet-stream") -> str:
        """Its blob id."""
        target = f"/jmap/upload/{self.account_id}/"
        answer = await self.http("POST", target, headers={"content-type": media_type}, body=octets)
        assert answer.status == 201, answer.body
        return str(answer.json()["blobId"])

    async def receive(self, octets: bytes | None = None) -> Placed:
        """A message comes by delivery."""
        (placed,) = await Deliveries(self.store).deliver(
            plain_message() if octets is None else octets,
            [as_recipient(self.person.principal)],
            reverse_path="",
            received_at=NOON,
        )
        assert placed is not None
        assert not isinstance(placed, StorageError)
        return placed
