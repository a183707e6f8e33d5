"""VacationResponse/get and /set by a client that knows the RFC's capability alone (RFC 8621 §8)."""

from dataclasses import replace
from typing import Any

import pytest

from tests.webmail.jmap.client import Jmap
from webmail.jmap.limits import CORE, MAIL, VACATION


@pytest.fixture
def plain(jmap: Jmap) -> Jmap:
    return replace(jmap, using=(CORE, MAIL, VACATION))


async def singleton(jmap: Jmap) -> Any:
    (shown,) = (await jmap.call("VacationResponse/get", {"ids": ["singleton"]}))["list"]
    assert (await jmap.call("VacationResponse/get", {"ids": None}))["list"] == [shown]
    return shown


async def test_there_is_one_and_only_one(plain: Jmap) -> None:
    assert (await singleton(plain)).keys() == {
        "id", "isEnabled", "fromDate", "toDate", "subject", "textBody", "htmlBody"
    }  # fmt: skip
    assert (await plain.call("VacationResponse/get", {"ids": ["other"]}))["notFound"] == ["other"]
    done = await plain.call("VacationResponse/set", {"create": {"x": {"isEnabled": False}}, "destroy": ["singleton"]})
    assert done["notCreated"]["x"]["type"] == done["notDestroyed"]["singleton"]["type"] == "singleton"


async def test_it_is_turned_on_given_words_and_days_and_turned_off_again(plain: Jmap) -> None:
    before = await singleton(plain)
    for patch in (
        {"isEnabled": True, "subject": "Away", "textBody": "Back soon."},
        {"fromDate": "2026-03-01T00:00:00Z", "toDate": "2026-03-15T00:00:00Z"},
        {"htmlBody": "<p>Back soon.</p>"},
        {"fromDate": None, "toDate": None, "htmlBody": None},
        {"isEnabled": False},
        {name: value for name, value in before.items() if name != "id"},
    ):
        was = await singleton(plain)
        done = await plain.call("VacationResponse/set", {"update": {"singleton": patch}})
        assert done["notUpdated"] is None
        assert await singleton(plain) == {**was, **patch}
    assert await singleton(plain) == before
