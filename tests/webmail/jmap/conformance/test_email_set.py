"""Email/set and Email/changes: drafts written, letters marked, moved and destroyed (RFC 8621 §§4.3 and 4.6)."""

from typing import Any

import pytest

from tests.webmail.jmap.conformance.account import REPORT, Account

PLAIN = {"type": "text/plain", "partId": "1"}
HTML = {"type": "text/html", "partId": "2"}
VALUES = {"1": {"value": "As text."}, "2": {"value": "<p>As HTML.</p>"}}


@pytest.mark.parametrize(
    ("structure", "needed", "texts", "htmls"),
    [
        (PLAIN, ["1"], ["text/plain"], ["text/plain"]),
        (HTML, ["2"], ["text/html"], ["text/html"]),
        ({"type": "multipart/alternative", "subParts": [PLAIN, HTML]}, ["1", "2"], ["text/plain"], ["text/html"]),
    ],
    ids=["plain", "html", "alternative"],
)
async def test_a_draft_of_every_body_is_made(
    account: Account, structure: Any, needed: list[str], texts: list[str], htmls: list[str]
) -> None:
    values = {part: VALUES[part] for part in needed}
    given = account.words(
        "drafts", bodyStructure=structure, bodyValues=values, keywords={"$draft": True, "$seen": True}
    )
    done = await account.jmap.call("Email/set", {"create": {"a": given}})
    made = done["created"]["a"]
    assert all(made[name] for name in ("id", "blobId", "threadId", "size"))
    assert done["oldState"] != done["newState"]
    asked = {"ids": [made["id"]], "properties": ["keywords", "textBody", "htmlBody"], "bodyProperties": ["type"]}
    (shown,) = (await account.jmap.call("Email/get", asked))["list"]
    assert shown["keywords"] == {"$draft": True, "$seen": True}
    assert [each["type"] for each in shown["textBody"]] == texts
    assert [each["type"] for each in shown["htmlBody"]] == htmls
    await account.destroy(made["id"])


async def test_an_upload_is_attached(account: Account) -> None:
    blob = await account.jmap.upload(REPORT, "application/pdf")
    pdf = {"type": "application/pdf", "blobId": blob, "name": "tide.pdf", "disposition": "attachment"}
    structure = {"type": "multipart/mixed", "subParts": [PLAIN, pdf]}
    email = await account.draft("drafts", bodyStructure=structure)
    asked = {"ids": [email], "properties": ["hasAttachment", "attachments"], "bodyProperties": ["type", "name", "size"]}
    (shown,) = (await account.jmap.call("Email/get", asked))["list"]
    assert shown["hasAttachment"] is True
    assert shown["attachments"] == [{"type": "application/pdf", "name": "tide.pdf", "size": len(REPORT)}]
    await account.destroy(email)


async def test_a_mailbox_of_the_same_request_takes_a_draft(account: Account) -> None:
    given = {**account.words(), "mailboxIds": {"#new": True}}
    boxes, emails = await account.jmap.calls(
        ["Mailbox/set", {"create": {"new": {"name": "Brand new", "parentId": None}}}],
        ["Email/set", {"create": {"a": given}}],
    )
    await account.destroy(emails[1]["created"]["a"]["id"])
    box = boxes[1]["created"]["new"]["id"]
    assert (await account.jmap.call("Mailbox/set", {"destroy": [box]}))["destroyed"] == [box]


async def test_keywords_come_and_go_one_by_one_and_all_at_once(account: Account) -> None:
    async def after(patch: Any) -> Any:
        state = (await account.jmap.call("Email/get", {"ids": []}))["state"]
        update = {account.emails["tagged"]: patch}
        done = await account.jmap.call("Email/set", {"ifInState": state, "update": update})
        assert done["notUpdated"] is None
        changes = await account.jmap.call("Email/changes", {"sinceState": state})
        assert changes["updated"] == [account.emails["tagged"]]
        return (await account.email("tagged", "keywords"))["keywords"].keys()

    before = (await account.email("tagged", "keywords"))["keywords"]
    assert await after({"keywords/$flagged": True}) == {*before, "$flagged"}
    assert await after({"keywords/$forwarded": None}) == {*before, "$flagged"} - {"$forwarded"}
    assert await after({"keywords": before}) == before.keys()


async def test_an_email_is_put_into_mailboxes_and_taken_out(account: Account) -> None:
    email = await account.draft("inbox")
    inbox, first, second = (account.boxes[name] for name in ("inbox", "A", "B"))
    for patch, expected in (
        ({f"mailboxIds/{second}": True}, {inbox, second}),
        ({f"mailboxIds/{second}": None}, {inbox}),
        ({"mailboxIds": {first: True}}, {first}),
    ):
        await account.jmap.call("Email/set", {"update": {email: patch}})
        asked = {"ids": [email], "properties": ["mailboxIds"]}
        (shown,) = (await account.jmap.call("Email/get", asked))["list"]
        assert shown["mailboxIds"] == dict.fromkeys(expected, True)
    await account.destroy(email)


async def test_what_is_destroyed_is_in_no_mailbox_and_told_of(account: Account) -> None:
    jmap = account.jmap
    first = (await jmap.call("Email/get", {"ids": []}))["state"]
    emails = {await account.draft("inbox", "A"), await account.draft("B")}
    came = await jmap.call("Email/changes", {"sinceState": first})
    assert set(came["created"]) == emails
    done = await account.destroy(*emails)
    assert set(done["destroyed"]) == emails
    assert set((await jmap.call("Email/get", {"ids": list(emails)}))["notFound"]) == emails
    went = await jmap.call("Email/changes", {"sinceState": came["newState"]})
    assert set(went["destroyed"]) == emails
    for box in ("inbox", "A", "B"):
        found = await jmap.call("Email/query", {"filter": {"inMailbox": account.boxes[box]}})
        assert not emails & set(found["ids"])


async def test_nothing_changed_since_the_state_of_now(account: Account) -> None:
    state = (await account.jmap.call("Email/get", {"ids": []}))["state"]
    told = await account.jmap.call("Email/changes", {"sinceState": state})
    assert (told["oldState"], told["newState"], told["hasMoreChanges"]) == (state, state, False)
    assert [told[each] for each in ("created", "updated", "destroyed")] == [[], [], []]


async def test_what_is_not_there_is_neither_updated_nor_destroyed(account: Account) -> None:
    asked = {"update": {"no-such-email": {"keywords/$seen": True}}, "destroy": ["no-email-either"]}
    done = await account.jmap.call("Email/set", asked)
    assert done["notUpdated"]["no-such-email"]["type"] == "notFound"
    assert done["notDestroyed"]["no-email-either"]["type"] == "notFound"
