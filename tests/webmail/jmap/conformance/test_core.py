"""The session and the request, as a client that knows nothing of this server uses them (RFC 8620 §§2 to 4)."""

from typing import Any

import pytest

from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.conformance.account import Account
from webmail.jmap.limits import CORE, MAIL


async def test_the_session_has_everything_of_its_type(jmap: Jmap) -> None:
    session = (await jmap.http("GET", "/jmap/session")).json()
    core = session["capabilities"][CORE]
    limits = {
        "maxSizeUpload", "maxConcurrentUpload", "maxSizeRequest", "maxConcurrentRequests",
        "maxCallsInRequest", "maxObjectsInGet", "maxObjectsInSet",
    }  # fmt: skip
    assert all(type(core[name]) is int for name in limits)
    assert core["collationAlgorithms"]
    account = session["accounts"][jmap.account_id]
    assert (type(account["name"]), account["isPersonal"], account["isReadOnly"]) == (str, True, False)
    mail = account["accountCapabilities"][MAIL]
    for name in ("maxMailboxesPerEmail", "maxMailboxDepth"):
        assert mail[name] is None or type(mail[name]) is int
    assert mail["maxSizeMailboxName"] >= 100
    assert type(mail["maxSizeAttachmentsPerEmail"]) is int
    assert {"receivedAt", "subject"} <= set(mail["emailQuerySortOptions"])
    assert mail["mayCreateTopLevelMailbox"] is True
    assert session["primaryAccounts"][MAIL] == jmap.account_id
    assert session["username"] and session["state"] and session["apiUrl"]
    for name, variables in {
        "downloadUrl": ("accountId", "blobId", "name", "type"),
        "uploadUrl": ("accountId",),
        "eventSourceUrl": ("types", "closeafter", "ping"),
    }.items():
        assert all(f"{{{each}}}" in session[name] for each in variables)


async def test_whatever_is_echoed_comes_back(jmap: Jmap) -> None:
    for given in ({}, {"a": 3.14, "b": True, "c": None, "d": [1, "two", False], "e": {"f": {"g": "h"}}}):
        assert await jmap.call("Core/echo", given) == given


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"this is no JSON", "application/json"),
        (b'{"foo": "bar"}', "application/json"),
        (b'{"using": ["urn:ietf:params:jmap:core"], "methodCalls": "none"}', "application/json"),
        (b'{"using": ["urn:ietf:params:jmap:core", "urn:no:such"], "methodCalls": []}', "application/json"),
        (b'{"using": ["urn:ietf:params:jmap:core"], "methodCalls": []}', "text/plain"),
    ],
)
async def test_what_is_no_request_is_the_clients_fault(jmap: Jmap, body: bytes, content_type: str) -> None:
    assert (await jmap.post(body, headers={"content-type": content_type})).status in range(400, 500)


async def asked(jmap: Jmap, using: list[str], *calls: list[Any]) -> Any:
    return (await jmap.post({"using": using, "methodCalls": list(calls)})).json()


async def test_without_a_capability_no_method_is_known(jmap: Jmap) -> None:
    told = await asked(jmap, [], ["Core/echo", {}, "c0"])
    assert [(name, found["type"]) for name, found, _ in told["methodResponses"]] == [("error", "unknownMethod")]


async def test_each_call_has_one_response_in_its_place(jmap: Jmap) -> None:
    told = await asked(
        jmap,
        [CORE, MAIL],
        ["Mailbox/get", {"accountId": jmap.account_id, "ids": []}, "one"],
        ["Core/echo", {}, "two"],
        ["Fake/method", {}, "three"],
    )
    answers = [(name, call_id) for name, _, call_id in told["methodResponses"]]
    assert answers == [("Mailbox/get", "one"), ("Core/echo", "two"), ("error", "three")]
    assert type(told["sessionState"]) is str


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        ("Mailbox/get", {}, "invalidArguments"),
        ("Mailbox/get", {"accountId": "no-such-account"}, "accountNotFound"),
        ("Mailbox/get", {"accountId": "mine", "ids": "no list"}, "invalidArguments"),
        ("Mailbox/set", {"accountId": "mine", "ifInState": "no such state", "update": {}}, "stateMismatch"),
    ],
)
async def test_a_call_that_is_wrong_says_why(jmap: Jmap, name: str, arguments: Any, kind: str) -> None:
    if arguments.get("accountId") == "mine":
        arguments = {**arguments, "accountId": jmap.account_id}
    told = await asked(jmap, [CORE, MAIL], [name, arguments, "c0"])
    ((answer, found, _),) = told["methodResponses"]
    assert (answer, found["type"]) == ("error", kind)


async def test_results_are_referred_to(account: Account) -> None:
    def of(call: str, name: str, path: str) -> Any:
        return {"resultOf": call, "name": name, "path": path}

    first, every, query, emails, changes, wrong = await account.jmap.calls(
        ["Mailbox/get", {"ids": None}],
        ["Mailbox/get", {"#ids": of("0", "Mailbox/get", "/list/*/id")}],
        ["Email/query", {"filter": {"inMailbox": account.boxes["inbox"]}, "limit": 3}],
        ["Email/get", {"#ids": of("2", "Email/query", "/ids"), "properties": ["subject"]}],
        ["Mailbox/changes", {"#sinceState": of("0", "Mailbox/get", "/state")}],
        ["Email/get", {"#ids": of("2", "Mailbox/get", "/ids")}],
    )
    assert every[1]["list"] == first[1]["list"]
    assert [each["id"] for each in emails[1]["list"]] == query[1]["ids"]
    assert changes[1]["newState"] == first[1]["state"]
    assert (wrong[0], wrong[1]["type"]) == ("error", "invalidResultReference")
