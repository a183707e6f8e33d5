"""How much somebody has and may have (RFC 9425)."""

from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import RunningServices
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.quotas import set_language, set_quota
from webmail.jmap.limits import CORE, QUOTA


@pytest.fixture
async def limited(jmap: Jmap, services: RunningServices) -> Jmap:
    """Somebody who may have a million octets."""
    await set_quota(services, jmap.person.principal, 1_000_000)
    return jmap


async def test_a_quota_says_what_is_used_and_what_may_be(limited: Jmap) -> None:
    placed = await limited.receive()
    async with limited.store.database.read(limited.person.principal.tenant_id) as connection:
        cursor = await connection.execute("SELECT octets FROM message WHERE id = %s", (placed.message_id,))
        ((used,),) = await cursor.fetchall()
    told = await limited.call("Quota/get", {"ids": None})
    (quota,) = told["list"]
    assert quota.pop("description")
    assert quota == {
        "id": "Qmail",
        "resourceType": "octets",
        "used": used,
        "hardLimit": 1_000_000,
        "warnLimit": 800_000,
        "softLimit": None,
        "scope": "account",
        "name": limited.person.address,
        "types": ["Email"],
    }


async def test_whom_nothing_limits_has_no_quota(jmap: Jmap) -> None:
    told = await jmap.call("Quota/get", {"ids": None})
    assert told["list"] == []
    assert (await jmap.call("Quota/get", {"ids": ["Qmail"]}))["notFound"] == ["Qmail"]
    assert (await jmap.call("Quota/query"))["ids"] == []


async def test_who_does_not_name_the_capability_of_emails_sees_no_quota_of_them(limited: Jmap) -> None:
    """RFC 9425 §4.1: a quota without a type that the client knows is not returned."""
    plain = replace(limited, using=(CORE, QUOTA))
    assert (await plain.call("Quota/get", {"ids": None}))["list"] == []
    assert (await plain.call("Quota/get", {"ids": ["Qmail"]}))["notFound"] == ["Qmail"]
    assert (await plain.call("Quota/query"))["ids"] == []
    changes = await plain.call("Quota/changes", {"sinceState": (await plain.call("Quota/get"))["state"]})
    assert (changes["created"], changes["updated"], changes["destroyed"]) == ([], [], [])


@pytest.mark.parametrize(("language", "word"), [("en", "Each message"), ("zh", "邮件")])
async def test_a_quota_is_described_in_the_language_of_its_person(
    limited: Jmap, services: RunningServices, language: str, word: str
) -> None:
    await set_language(services, limited.person.principal, language)
    (quota,) = (await limited.call("Quota/get"))["list"]
    assert word in quota["description"]


async def test_mail_that_comes_changes_what_is_used_alone(limited: Jmap) -> None:
    before = (await limited.call("Quota/get"))["state"]
    await limited.receive()
    responses = await limited.calls(
        ["Quota/changes", {"sinceState": before}],
        [
            "Quota/get",
            {
                "#ids": {"resultOf": "0", "name": "Quota/changes", "path": "/updated"},
                "#properties": {"resultOf": "0", "name": "Quota/changes", "path": "/updatedProperties"},
            },
        ],
    )
    assert responses[0][1]["updated"] == ["Qmail"]
    assert responses[0][1]["updatedProperties"] == ["used"]
    assert responses[1][1]["list"][0].keys() == {"id", "used"}
    now = responses[0][1]["newState"]
    assert now == responses[1][1]["state"] != before
    told = await limited.call("Quota/changes", {"sinceState": now})
    assert (told["created"], told["updated"], told["destroyed"]) == ([], [], [])


async def test_a_quota_comes_and_goes(jmap: Jmap, services: RunningServices) -> None:
    without = (await jmap.call("Quota/get"))["state"]
    await set_quota(services, jmap.person.principal, 5_000)
    told = await jmap.call("Quota/changes", {"sinceState": without})
    assert (told["created"], told["updated"], told["destroyed"]) == (["Qmail"], [], [])
    added = await jmap.call("Quota/queryChanges", {"sinceQueryState": without, "calculateTotal": True})
    assert (added["added"], added["removed"], added["total"]) == ([{"id": "Qmail", "index": 0}], [], 1)
    await set_quota(services, jmap.person.principal, None)
    told = await jmap.call("Quota/changes", {"sinceState": told["newState"]})
    assert told["destroyed"] == ["Qmail"]


async def test_a_state_that_was_never_given_leads_nowhere(limited: Jmap) -> None:
    assert (await limited.refusal("Quota/changes", {"sinceState": "x"}))["type"] == "cannotCalculateChanges"
    assert (await limited.refusal("Quota/queryChanges", {"sinceQueryState": "x"}))["type"] == "cannotCalculateChanges"


@pytest.mark.parametrize(
    ("condition", "is_found"),
    [
        ({}, True),
        ({"scope": "account", "resourceType": "octets"}, True),
        ({"scope": "domain"}, False),
        ({"type": "Email"}, True),
        ({"type": "Calendar"}, False),
        ({"name": "ann@"}, True),
        ({"operator": "NOT", "conditions": [{"scope": "domain"}]}, True),
        ({"operator": "AND", "conditions": [{"scope": "account"}, {"resourceType": "count"}]}, False),
        ({"operator": "OR", "conditions": [{"scope": "account"}, {"resourceType": "count"}]}, True),
    ],
)
async def test_a_quota_is_found_by_what_it_is(limited: Jmap, condition: Any, is_found: bool) -> None:
    told = await limited.call("Quota/query", {"filter": condition, "sort": [{"property": "used"}]})
    assert told["ids"] == (["Qmail"] if is_found else [])


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        ({"filter": {"colour": "blue"}}, "unsupportedFilter"),
        ({"filter": {"scope": 1}}, "invalidArguments"),
        ({"filter": {"operator": "XOR", "conditions": []}}, "invalidArguments"),
        ({"sort": [{"property": "colour"}]}, "unsupportedSort"),
        ({"sort": [{"isAscending": True}]}, "invalidArguments"),
        ({"anchor": "Q2"}, "anchorNotFound"),
        ({"limit": -1}, "invalidArguments"),
        ({"position": "0"}, "invalidArguments"),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(limited: Jmap, arguments: Any, refused: str) -> None:
    assert (await limited.refusal("Quota/query", arguments))["type"] == refused
