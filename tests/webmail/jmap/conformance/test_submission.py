"""EmailSubmission: a draft is written, sent and put away (RFC 8621 §7)."""

from datetime import datetime
from typing import Any

import pytest

from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.conformance.account import Account


async def send(account: Account, email: str, *, envelope: Any = None, **more: Any) -> list[Any]:
    """The method responses of one creation, `s`."""
    identity = (await account.jmap.call("Identity/get", {"ids": None}))["list"][0]
    create: dict[str, Any] = {"identityId": identity["id"], "emailId": email}
    if envelope is not None:
        create["envelope"] = envelope
    return await account.jmap.calls(["EmailSubmission/set", {"create": {"s": create}, **more}])


@pytest.mark.parametrize("has_envelope", [False, True])
async def test_a_draft_is_sent_and_may_go_at_once(account: Account, has_envelope: bool) -> None:
    email = await account.draft("drafts", keywords={"$draft": True})
    me, to = account.jmap.person.address, "bob@elsewhere.test"
    envelope = {"mailFrom": {"email": me, "parameters": None}, "rcptTo": [{"email": to, "parameters": None}]}
    ((_, done, _),) = await send(account, email, envelope=envelope if has_envelope else None)
    made = done["created"]["s"]
    assert made["undoStatus"] in ("pending", "final")
    assert datetime.fromisoformat(made["sendAt"])
    assert email in (await account.destroy(email))["destroyed"]
    told = await account.jmap.call("EmailSubmission/get", {"ids": [made["id"]]})
    (shown,) = told["list"]
    assert shown["emailId"] == email
    assert all(shown[name] for name in ("identityId", "threadId", "sendAt", "undoStatus"))
    assert [each["email"] for each in shown["envelope"]["rcptTo"]] == [to]
    assert made["id"] in (await account.jmap.call("EmailSubmission/query", {"filter": None}))["ids"]


async def test_what_was_sent_is_put_away_in_the_same_request(account: Account) -> None:
    email = await account.draft("drafts", keywords={"$draft": True, "$seen": True})
    sent, drafts = account.boxes["sent"], account.boxes["drafts"]
    patch = {f"mailboxIds/{sent}": True, f"mailboxIds/{drafts}": None, "keywords/$draft": None}
    responses = await send(account, email, onSuccessUpdateEmail={"#s": patch})
    assert [name for name, _, _ in responses] == ["EmailSubmission/set", "Email/set"]
    assert responses[0][2] == responses[1][2]
    asked = {"ids": [email], "properties": ["mailboxIds", "keywords"]}
    (shown,) = (await account.jmap.call("Email/get", asked))["list"]
    assert (shown["mailboxIds"], shown["keywords"]) == ({sent: True}, {"$seen": True})
    await account.destroy(email)


async def test_what_is_to_nobody_is_not_sent(account: Account) -> None:
    email = await account.draft("inbox", to=None)
    ((_, done, _),) = await send(account, email)
    assert (done["created"], done["notCreated"]["s"]["type"]) == (None, "noRecipients")
    await account.destroy(email)


async def test_lists_of_submissions_have_every_argument(jmap: Jmap) -> None:
    told = await jmap.call("EmailSubmission/get", {"ids": ["no-such-submission"]})
    assert (told["list"], told["notFound"], told["accountId"]) == ([], ["no-such-submission"], jmap.account_id)
    for filter_ in ({}, None, {"undoStatus": "final"}):
        found = await jmap.call("EmailSubmission/query", {"filter": filter_})
        assert (type(found["queryState"]), type(found["canCalculateChanges"])) == (str, bool)
        assert (found["position"], type(found["ids"])) == (0, list)
    state = told["state"]
    changes = await jmap.call("EmailSubmission/changes", {"sinceState": state})
    assert (changes["oldState"], changes["newState"], changes["hasMoreChanges"]) == (state, state, False)
    assert [changes[each] for each in ("created", "updated", "destroyed")] == [[], [], []]
