"""Nobody learns anything of others: another company's, and a colleague's, is as if it were not there."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from storage.provisioning import provision_account
from tests.conftest import RunningServices
from tests.people import new_colleague
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.conftest import NewJmap
from webmail.jmap.capabilities import CAPABILITIES
from webmail.jmap.methods import METHODS

OF_NO_ACCOUNT = {"Core/echo", "PushSubscription/get", "PushSubscription/set"}


@dataclass(frozen=True, slots=True)
class Theirs:
    """Ids of somebody else, each of something that is there."""

    account: str
    mailbox: str
    email: str
    thread: str
    blob: str
    upload: str


@pytest.fixture(params=["another company", "a colleague"])
async def theirs(request: pytest.FixtureRequest, jmap: Jmap, new_jmap: NewJmap, services: RunningServices) -> Theirs:
    if request.param == "another company":
        other = await new_jmap()
    else:
        person = await asyncio.to_thread(new_colleague, services, jmap.person)
        who = person.principal
        await provision_account(jmap.store.database, who.tenant_id, who.account_id)
        other = Jmap(jmap.application, person, jmap.store)
    placed = await other.receive()
    (email,) = (await other.call("Email/get", {"ids": [f"M{placed.message_id}"], "properties": ["threadId"]}))["list"]
    return Theirs(
        account=other.account_id,
        mailbox=f"F{placed.mailbox_id}",
        email=email["id"],
        thread=email["threadId"],
        blob=f"B{email['id']}",
        upload=await other.upload(b"secret"),
    )


@pytest.mark.parametrize("name", sorted(METHODS.keys() - OF_NO_ACCOUNT))
async def test_no_method_looks_into_another_account(jmap: Jmap, theirs: Theirs, name: str) -> None:
    """With the arguments that each needs, so that it comes to the account."""
    needed: dict[str, Any] = {"sinceState": "1-1", "sinceQueryState": "1-1", "ids": [], "typeNames": [], "create": {}}
    needed |= {"blobIds": [], "emails": {}, "emailIds": [], "fromAccountId": jmap.account_id}
    kinds = set()
    for account in (theirs.account, "A999999999999", "nobody"):
        answers = [
            await jmap.post(
                {"using": list(CAPABILITIES), "methodCalls": [[name, {"accountId": account, **given}, "0"]]}
            )
            for given in ({}, *({key: value} for key, value in needed.items()))
        ]
        found = [answer.json()["methodResponses"][0] for answer in answers]
        assert {each[0] for each in found} == {"error"}
        kinds.add(tuple(str(each[1]) for each in found))
    assert len(kinds) == 1, "they tell what is there from what is not"


async def test_ids_of_others_are_found_by_no_get(jmap: Jmap, theirs: Theirs) -> None:
    for name, theirs_id in (
        ("Mailbox/get", theirs.mailbox),
        ("Email/get", theirs.email),
        ("Thread/get", theirs.thread),
        ("Blob/get", theirs.blob),
        ("Blob/get", theirs.upload),
    ):
        told = await jmap.call(name, {"ids": [theirs_id]})
        assert (told["list"], told["notFound"]) == ([], [theirs_id]), name
    parsed = await jmap.call("Email/parse", {"blobIds": [theirs.blob, theirs.upload]})
    assert sorted(parsed["notFound"]) == sorted([theirs.blob, theirs.upload])


async def test_what_others_have_cannot_be_changed_or_used(jmap: Jmap, theirs: Theirs) -> None:
    (inbox,) = (await jmap.call("Mailbox/query", {"filter": {"role": "inbox"}}))["ids"]
    email = await jmap.call(
        "Email/set",
        {
            "create": {
                "there": {"mailboxIds": {theirs.mailbox: True}},
                "with": {
                    "mailboxIds": {inbox: True},
                    "attachments": [{"blobId": theirs.upload, "type": "text/plain"}],
                },
            },
            "update": {theirs.email: {"keywords/$seen": True}},
        },
    )
    assert email["created"] is None
    assert email["notUpdated"][theirs.email]["type"] == "notFound"
    email = await jmap.call("Email/set", {"destroy": [theirs.email]})
    assert email["notDestroyed"][theirs.email]["type"] == "notFound"
    box = await jmap.call(
        "Mailbox/set",
        {
            "create": {"below": {"name": "Mine", "parentId": theirs.mailbox}},
            "update": {theirs.mailbox: {"name": "Mine"}},
        },
    )
    assert box["created"] is None
    assert box["notUpdated"][theirs.mailbox]["type"] == "notFound"
    box = await jmap.call("Mailbox/set", {"destroy": [theirs.mailbox]})
    assert box["notDestroyed"][theirs.mailbox]["type"] == "notFound"
    imported = await jmap.call("Email/import", {"emails": {"k": {"blobId": theirs.blob, "mailboxIds": {inbox: True}}}})
    assert imported["created"] is None


async def test_searching_finds_nothing_of_others(jmap: Jmap, theirs: Theirs) -> None:
    told = await jmap.calls(
        ["Email/query", {"filter": {"text": "Lunch"}}],
        ["Email/query", {}],
        ["SearchSnippet/get", {"filter": {"text": "Lunch"}, "emailIds": [theirs.email]}],
    )
    assert [told[0][1]["ids"], told[1][1]["ids"]] == [[], []]
    assert (told[2][1]["list"], told[2][1]["notFound"]) == ([], [theirs.email])
