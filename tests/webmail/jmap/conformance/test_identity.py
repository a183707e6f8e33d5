"""Identity/get, /changes and /set (RFC 8621 §6)."""

from typing import Any

from tests.webmail.jmap.client import Jmap

TYPES = {"id": str, "name": str, "email": str, "textSignature": str, "htmlSignature": str, "mayDelete": bool}


async def first(jmap: Jmap) -> Any:
    return (await jmap.call("Identity/get", {"ids": None}))["list"][0]


async def test_an_identity_has_every_property(jmap: Jmap) -> None:
    identity = await first(jmap)
    assert {name: type(identity[name]) for name in TYPES} == TYPES
    assert identity["replyTo"] is None or type(identity["replyTo"]) is list
    assert identity["bcc"] is None or type(identity["bcc"]) is list
    assert "@" in identity["email"]
    told = await jmap.call("Identity/get", {"ids": [identity["id"], "no-such-identity"]})
    assert (told["list"], told["notFound"]) == ([identity], ["no-such-identity"])


async def test_what_is_updated_is_told_of_and_can_be_taken_back(jmap: Jmap) -> None:
    before = await first(jmap)
    for name, value in (
        ("name", "Somebody else"),
        ("textSignature", "-- \nAda"),
        ("htmlSignature", "<p><b>Ada</b></p>"),
        ("replyTo", [{"name": "Desk", "email": "desk@elsewhere.test"}]),
    ):
        state = (await jmap.call("Identity/get", {"ids": []}))["state"]
        done = await jmap.call("Identity/set", {"update": {before["id"]: {name: value}}})
        assert before["id"] in done["updated"]
        assert (await first(jmap))[name] == value
        changes = await jmap.call("Identity/changes", {"sinceState": state})
        assert (changes["oldState"], changes["updated"]) == (state, [before["id"]])
        await jmap.call("Identity/set", {"update": {before["id"]: {name: before[name]}}})
    assert await first(jmap) == before


async def test_nothing_changed_since_the_state_of_now(jmap: Jmap) -> None:
    state = (await jmap.call("Identity/get", {"ids": []}))["state"]
    told = await jmap.call("Identity/changes", {"sinceState": state})
    assert (told["oldState"], told["newState"], told["hasMoreChanges"]) == (state, state, False)
    assert [told[each] for each in ("created", "updated", "destroyed")] == [[], [], []]


async def test_an_identity_that_is_not_there_is_not_updated(jmap: Jmap) -> None:
    done = await jmap.call("Identity/set", {"update": {"no-such-identity": {"name": "x"}}})
    assert done["notUpdated"]["no-such-identity"]["type"] == "notFound"
