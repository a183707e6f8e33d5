"""VacationResponse/get and set (RFC 8621 §8)."""

from dataclasses import replace
from typing import Any

import pytest

from tests.webmail.jmap.client import Jmap
from webmail.jmap.limits import CORE, VACATION

NEVER_SET = {
    "id": "singleton",
    "isEnabled": False,
    "fromDate": None,
    "toDate": None,
    "subject": None,
    "textBody": None,
    "htmlBody": None,
    "insideTextBody": None,
}


async def only(jmap: Jmap) -> Any:
    (found,) = (await jmap.call("VacationResponse/get", {"ids": None}))["list"]
    return found


async def test_there_is_exactly_one(jmap: Jmap) -> None:
    assert await only(jmap) == NEVER_SET
    found = await jmap.call("VacationResponse/get", {"ids": ["singleton", "V1"], "properties": ["isEnabled"]})
    assert (found["list"], found["notFound"]) == ([{"id": "singleton", "isEnabled": False}], ["V1"])


async def test_what_is_set_is_told_and_changes_the_state(jmap: Jmap) -> None:
    state = (await jmap.call("VacationResponse/get"))["state"]
    patch = {
        "isEnabled": True,
        "fromDate": "2026-12-24T00:00:00Z",
        "toDate": "2027-01-07T06:30:00Z",
        "subject": "On holiday 休假",
        "textBody": "Back in January.",
        "htmlBody": "<p>Back in January.</p>",
        "insideTextBody": "Ask Bob.",
    }
    done = await jmap.call("VacationResponse/set", {"ifInState": state, "update": {"singleton": patch}})
    assert (done["updated"], done["oldState"]) == ({"singleton": None}, state)
    assert await only(jmap) == {"id": "singleton", **patch}
    assert (await jmap.call("VacationResponse/get"))["state"] == done["newState"] != state
    again = await jmap.call("VacationResponse/set", {"update": {"singleton": {"toDate": None}}})
    assert again["oldState"] == done["newState"]
    assert await only(jmap) == {"id": "singleton", **patch, "toDate": None}
    refusal = await jmap.refusal("VacationResponse/set", {"ifInState": state, "update": {}})
    assert refusal["type"] == "stateMismatch"


async def test_it_can_be_neither_made_nor_destroyed(jmap: Jmap) -> None:
    done = await jmap.call("VacationResponse/set", {"create": {"a": {}}, "destroy": ["singleton", "V1"]})
    assert done["notCreated"] == {"a": {"type": "singleton"}}
    assert done["notDestroyed"] == {"singleton": {"type": "singleton"}, "V1": {"type": "notFound"}}
    done = await jmap.call("VacationResponse/set", {"update": {"V1": {"isEnabled": True}}})
    assert done["notUpdated"] == {"V1": {"type": "notFound"}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("isEnabled", None),
        ("isEnabled", "yes"),
        ("fromDate", "2026-12-24"),
        ("toDate", "2026-12-24T00:00:00+08:00"),
        ("toDate", "2026-13-24T00:00:00Z"),
        ("subject", 7),
        ("subject", "x" * 1001),
        ("textBody", "\0"),
        ("htmlBody", []),
        ("id", "other"),
        ("colour", "red"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_set(jmap: Jmap, name: str, value: object) -> None:
    patch = {"subject": "good", name: value}
    done = await jmap.call("VacationResponse/set", {"update": {"singleton": patch}})
    assert done["notUpdated"]["singleton"] == {
        "type": "invalidProperties",
        "properties": [name],
    }
    assert await only(jmap) == NEVER_SET


async def test_who_does_not_name_our_own_capability_sees_what_the_rfc_has(jmap: Jmap) -> None:
    plain = replace(jmap, using=(CORE, VACATION))
    await jmap.call("VacationResponse/set", {"update": {"singleton": {"insideTextBody": "Ask Bob."}}})
    assert set(await only(plain)) == set(NEVER_SET) - {"insideTextBody"}
    patch = {"insideTextBody": "x"}
    done = await plain.call("VacationResponse/set", {"update": {"singleton": patch}})
    assert done["notUpdated"]["singleton"]["properties"] == ["insideTextBody"]
    assert (await plain.refusal("VacationResponse/get", {"properties": ["insideTextBody"]}))["type"] == (
        "invalidArguments"
    )
