"""JMAP over WebSocket, as RFC 8887 has it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from mailserver.assembly import Parts
from mailserver.services.endings import Endings
from mailserver.services.oauth import Asked
from mailserver.services.open_streams import OpenStreams
from storage.sign_in_ends import end_sign_ins
from storage.tokens import OAuthClient
from tenants.types import Scope
from tests.conftest import NOON, RunningServices
from tests.mailserver.services.test_oauth import CHALLENGE, VERIFIER
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.streams import basic, event_source, web_socket
from tests.webmail.jmap.test_event_source import streams_of_their_own
from webmail.jmap.http import staying
from webmail.jmap.http import web_socket as door
from webmail.jmap.http.application import jmap_application
from webmail.jmap.http.door import Door
from webmail.jmap.limits import Limits
from webmail.jmap.method import Context, Method

ENABLE = {"@type": "WebSocketPushEnable", "dataTypes": None}
URN = "urn:ietf:params:jmap:error:"


def email_state(told: Any, jmap: Jmap) -> str:
    assert told["@type"] == "StateChange"
    state: str = told["changed"][jmap.account_id]["Email"]
    return state


async def test_the_session_says_where_it_is(jmap: Jmap) -> None:
    session = (await jmap.http("GET", "/jmap/session")).json()
    assert session["capabilities"]["urn:ietf:params:jmap:websocket"] == {
        "url": "wss://mail.company.test/jmap/ws/",
        "supportsPush": True,
    }


async def test_the_example_of_a_request_and_its_response(jmap: Jmap) -> None:
    """RFC 8887 §4.4."""
    async with web_socket(jmap) as socket:
        assert socket.accepted == {"type": "websocket.accept", "subprotocol": "jmap"}
        response = await socket.ask(["Core/echo", {"hello": True, "high": 5}, "b3ff"])
        session = (await jmap.http("GET", "/jmap/session")).json()
    assert response == {
        "@type": "Response",
        "requestId": "R1",
        "methodResponses": [["Core/echo", {"hello": True, "high": 5}, "b3ff"]],
        "sessionState": session["state"],
    }


async def test_the_example_of_a_request_that_is_none(jmap: Jmap) -> None:
    """RFC 8887 §4.4: `using` is missing."""
    async with web_socket(jmap) as socket:
        await socket.send({"@type": "Request", "id": "R2", "methodCalls": [["Core/echo", {}, "c1"]]})
        error = await socket.next()
    assert (error["@type"], error["requestId"], error["type"], error["status"]) == (
        "RequestError",
        "R2",
        f"{URN}notRequest",
        400,
    )


async def test_the_example_of_push(jmap: Jmap) -> None:
    """RFC 8887 §4.4: only the types that were asked for, with a pushState."""
    async with web_socket(jmap) as socket:
        await socket.send({"@type": "WebSocketPushEnable", "dataTypes": ["Mailbox", "Email"]})
        await socket.ask(["Core/echo", {}, "0"])
        await jmap.receive()
        told = await socket.next()
    assert (set(told), set(told["changed"])) == ({"@type", "changed", "pushState"}, {jmap.account_id})
    assert set(told["changed"][jmap.account_id]) == {"Mailbox", "Email"}


async def test_who_comes_back_with_the_push_state_is_told_at_once_what_was_missed(jmap: Jmap) -> None:
    async with web_socket(jmap) as socket:
        await socket.send(ENABLE)
        await socket.ask(["Core/echo", {}, "0"])
        await jmap.receive()
        told = await socket.next()
    await jmap.receive()
    async with web_socket(jmap) as socket:
        await socket.send({**ENABLE, "pushState": told["pushState"]})
        assert email_state(await socket.next(), jmap) > email_state(told, jmap)


async def test_nothing_is_told_once_push_is_off(jmap: Jmap) -> None:
    async with web_socket(jmap) as socket:
        await socket.send(ENABLE)
        await socket.ask(["Core/echo", {}, "0"])
        await jmap.receive()
        await socket.next()
        await socket.send({"@type": "WebSocketPushDisable"})
        await socket.ask(["Core/echo", {}, "0"])
        await jmap.receive()
        assert (await socket.ask(["Core/echo", {}, "0"]))["@type"] == "Response"


async def test_an_id_of_whatever_length_is_repeated(jmap: Jmap) -> None:
    """RFC 8887 §4.3.3, §4.3.4."""
    name = "R" * 1_000
    async with web_socket(jmap) as socket:
        assert (await socket.ask(["Core/echo", {}, "0"], request_id=name))["requestId"] == name
        await socket.send({"@type": "Request", "id": name, "methodCalls": []})
        assert (await socket.next())["requestId"] == name


async def test_without_an_id_a_response_names_none(jmap: Jmap) -> None:
    async with web_socket(jmap) as socket:
        assert "requestId" not in await socket.ask(["Core/echo", {}, "0"], request_id=None)


@pytest.mark.parametrize(
    ("message", "kind", "request_id"),
    [
        ("{", "notJSON", None),
        ("", "notJSON", None),
        ("[]", "notRequest", None),
        ('{"@type": "Request", "id": 5}', "notRequest", None),
        ('{"@type": "Response", "id": "R9"}', "notRequest", "R9"),
        ('{"id": "R9"}', "notRequest", "R9"),
        ('{"@type": "Request", "id": "R9", "using": [], "methodCalls": [["a"]]}', "notRequest", "R9"),
        ('{"@type": "Request", "id": "R9", "using": ["urn:x"], "methodCalls": []}', "unknownCapability", "R9"),
        ('{"@type": "WebSocketPushEnable", "dataTypes": "Email"}', "notRequest", None),
        ('{"@type": "WebSocketPushEnable", "dataTypes": [1]}', "notRequest", None),
        ('{"@type": "WebSocketPushEnable", "pushState": 1}', "notRequest", None),
    ],
)
async def test_messages_that_make_no_sense_are_answered_and_the_connection_goes_on(
    jmap: Jmap, message: str, kind: str, request_id: str | None
) -> None:
    async with web_socket(jmap) as socket:
        await socket.send(message)
        error = await socket.next()
        assert (error["@type"], error["type"], error["requestId"]) == ("RequestError", URN + kind, request_id)
        assert (await socket.ask(["Core/echo", {}, "0"]))["@type"] == "Response"


async def test_a_long_message_keeps_nobody_waiting_while_it_is_read(jmap: Jmap) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with web_socket(jmap) as socket:
        working = asyncio.create_task(others())
        await socket.send({"@type": "nothing", "long": [{}] * 300_000})
        error = await socket.next()
        working.cancel()
    assert error["type"] == f"{URN}notRequest"
    assert turns > 100


async def test_a_request_that_is_too_large_is_refused(parts: Parts, jmap: Jmap) -> None:
    small = of_another_door(jmap, Door(parts, limits=Limits(max_size_request=10_000)))
    async with web_socket(small) as socket:
        await socket.send(json.dumps({"@type": "Request", "id": "R1", "more": "x" * 10_000}))
        error = await socket.next()
    assert (error["type"], error["limit"], error["requestId"]) == (f"{URN}limit", "maxSizeRequest", None)


async def test_octets_are_no_messages(jmap: Jmap) -> None:
    async with web_socket(jmap) as socket:
        await socket.send(b"{}")
        assert await socket.next() == door.UNSUPPORTED_DATA


async def test_requests_are_answered_side_by_side_and_too_many_refused(parts: Parts, jmap: Jmap) -> None:
    slow = Slow()
    busy = of_another_door(jmap, Door(parts, methods={"Core/echo": Method("Core/echo", slow.urn, slow.echo)}))
    async with web_socket(busy) as socket:
        most = Limits().max_concurrent_requests
        for number in range(most + 1):
            await socket.send(request(number))
        error = await socket.next()
        assert (error["type"], error["limit"], error["requestId"]) == (
            f"{URN}limit",
            "maxConcurrentRequests",
            f"R{most}",
        )
        slow.may_go_on.set()
        answered = {(await socket.next())["requestId"] for _ in range(most)}
    assert answered == {f"R{number}" for number in range(most)}


async def test_an_answer_that_nobody_takes_keeps_its_turn(parts: Parts, jmap: Jmap) -> None:
    """On whatever connection of the same person."""
    small = of_another_door(jmap, Door(parts, limits=Limits(max_concurrent_requests=1)))
    async with web_socket(small) as slow, web_socket(small) as other:
        slow.conversation.may_send.clear()
        await slow.send(request(1))
        while (error := await other.ask(["Core/echo", {}, "0"]))["@type"] == "Response":
            pass  # it was faster
        assert (error["type"], error["limit"]) == (f"{URN}limit", "maxConcurrentRequests")
        slow.conversation.may_send.set()
        assert (await slow.next())["requestId"] == "R1"
        assert (await other.ask(["Core/echo", {}, "0"]))["@type"] == "Response"


async def test_without_a_password_the_handshake_fails(jmap: Jmap) -> None:
    async with web_socket(jmap, authorization="") as socket:
        assert socket.accepted["type"] == "websocket.close"
    async with web_socket(jmap, authorization=basic(str(jmap.person.address), "wrong")) as socket:
        assert socket.accepted["type"] == "websocket.close"


async def test_another_subprotocol_is_refused(jmap: Jmap) -> None:
    async with web_socket(jmap, subprotocols=("chat",)) as socket:
        assert socket.accepted["type"] == "websocket.close"


async def test_a_page_of_another_origin_has_no_use_of_a_password_that_a_browser_remembers(jmap: Jmap) -> None:
    async with web_socket(jmap, origin="https://evil.example") as socket:
        assert socket.accepted["type"] == "websocket.close"
    async with web_socket(jmap, origin="https://mail.company.test") as socket:
        assert socket.accepted["type"] == "websocket.accept"


async def test_it_is_closed_when_the_person_is_signed_out(jmap: Jmap, parts: Parts) -> None:
    who = jmap.person.principal
    async with web_socket(jmap) as socket:
        assert (await socket.ask(["Core/echo", {}, "0"]))["@type"] == "Response"
        async with parts.store.database.directory() as connection:
            epoch = await end_sign_ins(connection, who.tenant_id, who.account_id)
        parts.endings.ended(who.account_id, epoch)
        assert await socket.next() == door.POLICY_VIOLATION


async def test_when_the_process_drains_requests_are_answered_before_it_is_closed(parts: Parts, jmap: Jmap) -> None:
    slow = Slow()
    busy = of_another_door(jmap, Door(parts, methods={"Core/echo": Method("Core/echo", slow.urn, slow.echo)}))
    with streams_of_their_own(parts):
        async with web_socket(busy) as socket:
            await socket.send(request(0))
            await slow.has_begun.wait()
            parts.open_streams.drain()
            slow.may_go_on.set()
            assert (await socket.next())["@type"] == "Response"
            assert await socket.next() == door.GOING_AWAY


async def test_who_has_too_many_open_is_asked_to_come_later(parts: Parts, jmap: Jmap) -> None:
    with streams_of_their_own(parts):
        few = OpenStreams(type(parts.logins.connections)(per_account=1, per_network=1))
        object.__setattr__(parts, "open_streams", few)
        async with web_socket(jmap) as first, web_socket(jmap) as second:
            assert await second.next() == door.TRY_AGAIN_LATER
            assert (await first.ask(["Core/echo", {}, "0"]))["@type"] == "Response"


async def test_nothing_is_left_of_a_client_that_went(jmap: Jmap, parts: Parts) -> None:
    who = jmap.person.principal
    async with web_socket(jmap) as socket:
        await jmap.receive()
        await socket.send(ENABLE)
        await socket.ask(["Core/echo", {}, "0"])
        await jmap.receive()
        await socket.next()
        assert parts.watchers.known_modseq((who.tenant_id, who.account_id)) > 0
    assert parts.logins.connections.is_empty
    assert parts.watchers.known_modseq((who.tenant_id, who.account_id)) == 0


async def until_over(jmap: Jmap, end: Callable[[], Awaitable[object]], **headers: str) -> None:
    """Whoever has both kinds of stream open with these headers, and what then ends it."""
    async with (
        web_socket(jmap, subprotocols=("jmap",), **headers) as socket,
        event_source(jmap, "types=*&closeafter=no&ping=0", **headers) as events,
    ):
        assert (await socket.ask(["Core/echo", {}, "0"]))["@type"] == "Response"
        await end()
        assert await socket.next() == door.POLICY_VIOLATION
        assert await events.next() is None


async def test_what_a_browser_opened_ends_soon_after_it_signed_out(
    jmap: Jmap, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staying, "LOOK_EVERY_S", 0.05)
    who = jmap.person.principal
    token = await parts.web_sessions.begin(who, is_open=True, network="", client="")
    session = await parts.web_sessions.find(token, network="")
    assert session is not None
    await until_over(
        jmap,
        lambda: parts.web_sessions.sign_out(session, network=""),
        authorization="",
        cookie=f"__Host-waypost={token}",
        origin="https://mail.company.test",
    )


async def test_what_a_token_opened_ends_soon_after_it_was_revoked(jmap: Jmap, parts: Parts) -> None:
    who = jmap.person.principal
    token = await parts.logins.tokens.make(who, "a program", {Scope.JMAP}, lasts=None, now=NOON, network="")
    ((made, *_), _) = await parts.logins.tokens.list(who)
    await until_over(
        jmap, lambda: parts.logins.tokens.revoke(who, made.id, network=""), authorization=f"Bearer {token}"
    )


async def test_what_a_token_opened_ends_soon_after_it_expired(jmap: Jmap, parts: Parts) -> None:
    token = await parts.logins.tokens.make(
        jmap.person.principal, "short", {Scope.JMAP}, lasts=timedelta(hours=1), now=datetime.now(UTC), network=""
    )
    later = datetime.now(UTC) + timedelta(hours=2)
    endings = Endings(parts.store.database, parts.logins.connections, now=lambda: later)
    await until_over(jmap, endings.look, authorization=f"Bearer {token}")


async def test_what_a_program_opened_ends_soon_after_it_gave_its_token_back_and_the_rest_stays(
    jmap: Jmap, parts: Parts, services: RunningServices
) -> None:
    """RFC 7009."""
    known = "INSERT INTO oauth_client (client_id, name, redirect_uris) VALUES ('pusher', 'Pusher', '{}')"
    async with await psycopg.AsyncConnection.connect(services.owner_url) as owner:
        await owner.execute(f"{known} ON CONFLICT DO NOTHING")
    place, scopes = "https://pusher.example/", frozenset({Scope.JMAP})
    asked = Asked(OAuthClient("pusher", "Pusher", (place,)), place, scopes, CHALLENGE)
    code = await parts.oauth.allow(jmap.person.principal, asked, network="")
    issued = await parts.oauth.redeem("pusher", code, place, VERIFIER)
    async with web_socket(jmap) as by_password:
        await until_over(
            jmap,
            lambda: parts.oauth.revoke("pusher", issued.refresh_token),
            authorization=f"Bearer {issued.access_token}",
        )
        assert (await by_password.ask(["Core/echo", {}, "0"]))["@type"] == "Response"


class Slow:
    """A Core/echo that waits."""

    urn = "urn:ietf:params:jmap:core"

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def echo(self, _context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
        self.has_begun.set()
        await self.may_go_on.wait()
        return arguments


def request(number: int) -> dict[str, Any]:
    return {"@type": "Request", "id": f"R{number}", "using": [Slow.urn], "methodCalls": [["Core/echo", {}, "0"]]}


def of_another_door(jmap: Jmap, other: Door) -> Jmap:
    return Jmap(jmap_application(other), jmap.person, jmap.store)
