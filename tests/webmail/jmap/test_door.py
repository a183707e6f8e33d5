"""The door: who may come in, from where, with what, and how many at once (RFC 8620 §2, §3; RFC 7617; RFC 6454)."""

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from mailserver.assembly import Parts
from mailserver.web import Application, Message, Receive, Send
from storage.errors import ColdTierUnavailable, OverQuota
from tests.conftest import RunningServices
from tests.people import new_person
from tests.webmail.jmap.client import Jmap, ask
from webmail.jmap.errors import JsonObject, MethodError
from webmail.jmap.http.application import jmap_application
from webmail.jmap.http.door import Door
from webmail.jmap.limits import CORE, Limits
from webmail.jmap.method import Context, Method, Run

ECHO = {"using": [CORE], "methodCalls": [["Core/echo", {}, "0"]]}
PATHS = ["/.well-known/jmap", "/jmap/session", "/jmap/session/"]


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize("path", PATHS)
async def test_the_session_says_who_one_is_and_where_to_go(jmap: Jmap, path: str) -> None:
    answer = await jmap.http("GET", path)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "no-cache, no-store, must-revalidate"
    session = answer.json()
    assert session["username"] == jmap.person.address
    assert list(session["accounts"]) == [jmap.account_id]
    account = session["accounts"][jmap.account_id]
    assert (account["name"], account["isPersonal"], account["isReadOnly"]) == (jmap.person.address, True, False)
    assert CORE not in account["accountCapabilities"]
    assert session["primaryAccounts"] == dict.fromkeys(account["accountCapabilities"], jmap.account_id)
    assert session["capabilities"][CORE] == {
        "maxSizeUpload": 52_428_800,
        "maxConcurrentUpload": 4,
        "maxSizeRequest": 10_485_760,
        "maxConcurrentRequests": 8,
        "maxCallsInRequest": 32,
        "maxObjectsInGet": 500,
        "maxObjectsInSet": 500,
        "collationAlgorithms": ["i;ascii-numeric", "i;ascii-casemap", "i;unicode-casemap"],
    }
    here = "https://mail.company.test/jmap"
    assert session["apiUrl"] == f"{here}/api/"
    assert session["uploadUrl"] == f"{here}/upload/{{accountId}}/"
    assert session["downloadUrl"] == f"{here}/download/{{accountId}}/{{blobId}}/{{name}}?type={{type}}"
    assert session["eventSourceUrl"] == f"{here}/eventsource/?types={{types}}&closeafter={{closeafter}}&ping={{ping}}"


async def test_every_answer_tells_the_state_of_the_session(jmap: Jmap) -> None:
    session = (await jmap.http("GET", "/jmap/session")).json()
    assert (await jmap.request(["Core/echo", {}]))["sessionState"] == session["state"]


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"host": "jmap.example.com:8443"}, "https://jmap.example.com:8443"),
        ({"host": "[::1]:20080"}, "https://[::1]:20080"),
        ({"host": 'evil"><script>'}, "https://mail.company.test"),
        ({"host": ""}, "https://mail.company.test"),
    ],
)
async def test_addresses_are_those_by_which_the_client_came(jmap: Jmap, headers: dict[str, str], origin: str) -> None:
    assert (await jmap.http("GET", "/jmap/session", headers=headers)).json()["apiUrl"] == f"{origin}/jmap/api/"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Basic"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic " + base64.b64encode(b"no colon").decode()},
        {"authorization": "Basic " + base64.b64encode(b"\xff\xfe:x").decode()},
        {"authorization": "Basic " + "QQ==" * 2000},
        {"authorization": "Negotiate abc"},
        {"cookie": "__Host-waypost=nonsense", "origin": "https://mail.company.test"},
        basic("nobody@nowhere.test:secret"),
        basic(":"),
    ],
)
async def test_nobody_comes_in_unknown(application: Application, headers: dict[str, str]) -> None:
    answer = await ask(application, "GET", "/jmap/session", headers=headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="Waypost", Basic realm="Waypost", charset="UTF-8"'
    assert answer.json() == {"type": "about:blank", "status": 401, "detail": "sign in"}


async def test_a_wrong_password_is_refused_and_often_wrong_is_told_to_wait(jmap: Jmap) -> None:
    statuses = []
    for number in range(40):
        answer = await jmap.http("GET", "/jmap/session", headers=basic(f"{jmap.person.address}:wrong{number}"))
        statuses.append(answer.status)
        if answer.status == 429:
            break
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert int(answer.headers["retry-after"]) >= 1


async def test_somebody_suspended_is_told_so_with_the_right_password_only(
    application: Application, services: RunningServices
) -> None:
    person = await asyncio.to_thread(new_person, services, status="suspended")
    right = await ask(application, "GET", "/jmap/session", headers=basic(f"{person.address}:{person.password}"))
    assert (right.status, right.json()["detail"]) == (403, "account suspended")
    wrong = await ask(application, "GET", "/jmap/session", headers=basic(f"{person.address}:x"))
    assert wrong.status == 401


async def test_a_page_of_ours_is_not_asked_for_a_password_by_its_browser(application: Application) -> None:
    answer = await ask(application, "GET", "/jmap/session", headers={"sec-fetch-site": "same-origin"})
    assert answer.headers["www-authenticate"] == 'Bearer realm="Waypost"'


async def test_pages_elsewhere_may_ask_with_a_password_of_their_own(jmap: Jmap) -> None:
    asked = {"origin": "https://other.example", "access-control-request-method": "POST"}
    preflight = await ask(jmap.application, "OPTIONS", "/jmap/api/", headers=asked)
    assert preflight.status == 204
    assert "authorization" in preflight.headers["access-control-allow-headers"].split(", ")
    assert "POST" in preflight.headers["access-control-allow-methods"].split(", ")
    answer = await jmap.post(ECHO, headers={"origin": "https://other.example"})
    assert answer.status == 200
    for each in (preflight, answer):
        assert each.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in each.headers


async def test_every_answer_is_for_who_asked_and_over_tls_stays_there(jmap: Jmap) -> None:
    for answer in (await jmap.http("GET", "/jmap/session"), await ask(jmap.application, "GET", "/jmap/session")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert "no-store" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/jmap/session", 405),
        ("GET", "/jmap/api/", 405),
        ("PUT", "/jmap/upload/A1/", 405),
        ("DELETE", "/jmap/download/A1/B1/x", 405),
        ("GET", "/jmap/", 404),
        ("GET", "/jmap/nothing", 404),
        ("GET", "/jmap/download/A1/B1", 404),
        ("GET", "/jmap/api/../session", 404),
    ],
)
async def test_what_is_not_there_is_told_so(jmap: Jmap, method: str, path: str, status: int) -> None:
    answer = await jmap.http(method, path)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("media_type", ["text/plain", "", "application/x-www-form-urlencoded", "application/jsonp"])
async def test_only_json_is_taken_for_json(jmap: Jmap, media_type: str) -> None:
    answer = await jmap.post(ECHO, headers={"content-type": media_type})
    assert (answer.status, answer.json()["type"]) == (400, "urn:ietf:params:jmap:error:notJSON")


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON ;charset=utf-8"])
async def test_json_may_name_its_charset(jmap: Jmap, media_type: str) -> None:
    assert (await jmap.post(ECHO, headers={"content-type": media_type})).status == 200


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_request_that_is_too_large_is_refused_before_it_is_read(jmap: Jmap, is_told: bool) -> None:
    length = {"content-length": "99999999999999999999"} if is_told else {}
    headers = {"content-type": "application/json", **length}
    pieces = [b"{"] if is_told else [b" " * 2**20] * 12
    answer = await jmap.http("POST", "/jmap/api/", headers=headers, body=pieces)
    assert answer.status == 400
    assert (answer.json()["type"], answer.json()["limit"]) == ("urn:ietf:params:jmap:error:limit", "maxSizeRequest")


async def test_a_request_that_is_cut_is_not_answered(jmap: Jmap) -> None:
    octets = json.dumps(ECHO).encode()
    headers = {"content-type": "application/json"}
    assert (await jmap.http("POST", "/jmap/api/", headers=headers, body=[octets], is_cut=True)).status == 0


class Toys:
    """Methods that do what a test tells them, at a door of their own."""

    def __init__(self, jmap: Jmap, parts: Parts, **limits: int) -> None:
        self._jmap = jmap
        self._parts = parts
        self._limits = replace(Limits(), **limits)

    def door(self, **methods: Run) -> Jmap:
        table: Mapping[str, Method] = {f"Toy/{name}": Method(f"Toy/{name}", CORE, run) for name, run in methods.items()}
        application = jmap_application(Door(self._parts, self._limits, table))
        return replace(self._jmap, application=application)


@pytest.fixture
def toys(jmap: Jmap, parts: Parts) -> Toys:
    return Toys(jmap, parts)


async def well(_context: Context, _arguments: JsonObject) -> JsonObject:
    return {"is": "well"}


def raising(error: Exception) -> Run:
    async def fail(context: Context, _arguments: JsonObject) -> JsonObject:
        context.implied.append(("Toy/well", {}))
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "kind", "is_logged"),
    [
        (MethodError("stateMismatch"), "stateMismatch", False),
        (ColdTierUnavailable("away"), "serverUnavailable", False),
        (OverQuota(2, 1), "serverFail", True),
        (ZeroDivisionError("secret"), "serverFail", True),
    ],
)
async def test_a_call_that_fails_leaves_the_others_alone(
    toys: Toys, error: Exception, kind: str, is_logged: bool
) -> None:
    door = toys.door(well=well, fail=raising(error))
    with capture_logs() as logs:
        responses = await door.calls(["Toy/well", {}, "a"], ["Toy/fail", {}, "b"], ["Toy/well", {}, "c"])
    assert [(name, arguments.get("type"), call_id) for name, arguments, call_id in responses] == [
        ("Toy/well", None, "a"),
        ("error", kind, "b"),
        ("Toy/well", None, "c"),
    ]
    assert "secret" not in json.dumps(responses)
    assert [(each["event"], each["method"]) for each in logs] == [("a JMAP method failed", "Toy/fail")] * is_logged
    assert all(each["exc_info"] is error for each in logs)


@pytest.mark.parametrize("error", [MethodError("stateMismatch"), ColdTierUnavailable("away"), ZeroDivisionError()])
async def test_a_call_that_fails_half_way_does_not_look_as_if_nothing_had_happened(
    toys: Toys, error: Exception
) -> None:
    async def half(context: Context, _arguments: JsonObject) -> JsonObject:
        context.has_changed = True
        raise error

    responses = await toys.door(half=half, fail=raising(error)).calls(["Toy/half", {}], ["Toy/fail", {}])
    first, second = (arguments["type"] for _, arguments, _ in responses)
    assert first == "serverPartialFail" != second


async def test_a_method_of_a_capability_that_is_not_used_is_unknown(jmap: Jmap) -> None:
    for using in ([], ["urn:ietf:params:jmap:mail"]):
        answer = await jmap.post({"using": using, "methodCalls": [["Core/echo", {}, "0"], ["core/echo", {}, "1"]]})
        assert answer.json()["methodResponses"] == [["error", {"type": "unknownMethod"}, each] for each in "01"]


async def test_a_call_that_a_call_makes_follows_under_the_same_id(toys: Toys) -> None:
    async def lead(context: Context, _arguments: JsonObject) -> JsonObject:
        context.implied += [("Toy/well", {"a": 1}), ("Toy/follow", {})]
        return {}

    async def follow(context: Context, _arguments: JsonObject) -> JsonObject:
        context.implied.append(("Toy/well", {}))
        return {}

    responses = await toys.door(well=well, lead=lead, follow=follow).calls(["Toy/lead", {}, "x"], ["Toy/well", {}, "y"])
    assert [(name, call_id) for name, _, call_id in responses] == [
        ("Toy/lead", "x"),
        ("Toy/well", "x"),
        ("Toy/follow", "x"),
        ("Toy/well", "x"),
        ("Toy/well", "y"),
    ]


async def test_what_was_made_is_told_to_whom_asks(toys: Toys) -> None:
    async def make(context: Context, _arguments: JsonObject) -> JsonObject:
        context.created_ids["k2"] = "M2"
        return {"first": context.real_id("#k1")}

    door = toys.door(make=make)
    told = await door.request(["Toy/make", {}], createdIds={"k1": "M1"})
    assert told["createdIds"] == {"k1": "M1", "k2": "M2"}
    assert told["methodResponses"][0][1] == {"first": "M1"}
    assert "createdIds" not in await door.request(["Toy/make", {}])


async def test_an_answer_that_nobody_takes_keeps_its_turn(jmap: Jmap, parts: Parts) -> None:
    """It stands in memory; one person could have hundreds of them there."""
    door = Toys(jmap, parts, max_concurrent_requests=1).door(well=well)
    begun, taking = asyncio.Event(), asyncio.Event()

    async def slow(scope: Message, receive: Receive, send: Send) -> None:
        async def send_later(message: Message) -> None:
            begun.set()
            await taking.wait()
            await send(message)

        await door.application(scope, receive, send_later)

    request = {"using": [CORE], "methodCalls": [["Toy/well", {}, "0"]]}
    first = asyncio.create_task(replace(door, application=slow).post(request))
    await begun.wait()
    refused = await door.post(request)
    assert (refused.status, refused.json()["limit"]) == (429, "maxConcurrentRequests")
    taking.set()
    assert (await first).status == 200
    assert (await door.post(request)).status == 200


async def test_more_at_once_than_one_may_are_refused(jmap: Jmap, parts: Parts) -> None:
    begun, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def wait(_context: Context, _arguments: JsonObject) -> JsonObject:
        begun.release()
        await go_on.wait()
        return {}

    door = Toys(jmap, parts, max_concurrent_requests=2).door(wait=wait, well=well)
    waiting = [asyncio.create_task(door.calls(["Toy/wait", {}])) for _ in range(2)]
    for _ in waiting:
        await begun.acquire()
    answer = await door.post({"using": [CORE], "methodCalls": [["Toy/well", {}, "0"]]})
    assert (answer.status, answer.json()["limit"]) == (429, "maxConcurrentRequests")
    go_on.set()
    await asyncio.gather(*waiting)
    assert await door.call("Toy/well") == {"is": "well"}


async def test_a_fault_of_the_door_itself_is_told_without_details(toys: Toys) -> None:
    async def odd(_context: Context, _arguments: JsonObject) -> JsonObject:
        return {"secret": object()}  # which nobody can write as JSON

    with capture_logs() as logs:
        answer = await toys.door(odd=odd).post({"using": [CORE], "methodCalls": [["Toy/odd", {}, "0"]]})
    assert answer.status == 500
    assert answer.json()["detail"] == "this is a fault of the server, which has been noted"
    assert [each["event"] for each in logs] == ["a JMAP request failed"]
