"""MDN/send and MDN/parse (RFC 9007)."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from mailserver.dsn.disposition import parse_notification
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.conftest import NewJmap
from tests.webmail.jmap.sending import leaving, octets_of
from webmail.jmap.limits import CORE, MDN, SUBMISSION

DISPLAYED = {"actionMode": "manual-action", "sendingMode": "mdn-sent-manually", "type": "displayed"}
AUTOMATIC = {"actionMode": "automatic-action", "sendingMode": "mdn-sent-automatically", "type": "processed"}
SETS_KEYWORD = {"#a": {"keywords/$mdnsent": True}}


async def asking(jmap: Jmap, *more: str, to: str = "Bob <bob@elsewhere.test>") -> str:
    """An Email whose sender wants to know; its id."""
    lines = [
        "From: bob@elsewhere.test",
        f"To: {jmap.person.address}",
        "Subject: World =?utf-8?q?d=C3=B6mination?=",
        "Message-ID: <1@elsewhere.test>",
        *((f"Disposition-Notification-To: {to}",) if to else ()),
        *more,
    ]
    placed = await jmap.receive("".join(f"{line}\r\n" for line in lines).encode() + b"\r\nHello\r\n")
    return f"M{placed.message_id}"


async def identity(jmap: Jmap) -> str:
    return str((await jmap.call("Identity/get"))["list"][0]["id"])


async def send(jmap: Jmap, email: str, update: Any = None, **more: Any) -> list[Any]:
    """The responses of one MDN, `a`."""
    wish = {"forEmailId": email, "disposition": DISPLAYED, **more}
    arguments = {
        "identityId": await identity(jmap),
        "send": {"a": wish},
        "onSuccessUpdateEmail": SETS_KEYWORD if update is None else update,
    }
    return await jmap.calls(["MDN/send", arguments])


async def left(jmap: Jmap) -> list[bytes]:
    return [await octets_of(jmap.store, each) for each in await leaving(jmap.store, jmap.person.principal.tenant_id)]


async def test_the_sender_is_told_and_the_email_marked(jmap: Jmap) -> None:
    email = await asking(jmap, "Original-Recipient: rfc822;ann@old.test")
    first, second = await send(jmap, email, reportingUA="web; Waypost", extensionFields={"X-Extra": "1"})
    own = f"rfc822; {jmap.person.address}"
    assert first[1]["sent"]["a"] == {
        "subject": "Disposition: World dömination",
        "textBody": "Your message was displayed. That does not mean that it was read or understood.\n",
        "includeOriginalMessage": False,
        "finalRecipient": own,
        "mdnGateway": None,
        "originalRecipient": "rfc822;ann@old.test",
        "originalMessageId": "<1@elsewhere.test>",
        "error": None,
    }
    assert first[1]["notSent"] is None
    assert (second[0], second[1]["updated"]) == ("Email/set", {email: None})
    (found,) = (await jmap.call("Email/get", {"ids": [email], "properties": ["keywords"]}))["list"]
    assert found["keywords"] == {"$mdnsent": True}
    (recipient,) = await leaving(jmap.store, jmap.person.principal.tenant_id)
    assert (recipient.address, recipient.message.reverse_path) == ("bob@elsewhere.test", "")
    octets = await octets_of(jmap.store, recipient)
    told = parse_notification(octets)
    assert told is not None
    assert (told.subject, told.final_recipient, told.original_recipient) == (
        "Disposition: World dömination",
        own,
        "rfc822;ann@old.test",
    )
    assert (told.reporting_ua, told.has_original, dict(told.extension_fields)) == (
        "web; Waypost",
        False,
        {"X-Extra": "1"},
    )
    assert b"Disposition: manual-action/MDN-sent-manually; displayed\r\n" in octets
    assert b"In-Reply-To: <1@elsewhere.test>\r\n" in octets
    assert b"Auto-Submitted" not in octets


async def test_the_message_goes_back_where_that_is_wished(jmap: Jmap) -> None:
    email = await asking(jmap, "Return-Path: <bob@elsewhere.test>")
    await send(jmap, email, includeOriginalMessage=True, disposition=AUTOMATIC, textBody="安", subject="回执")
    (octets,) = await left(jmap)
    assert b"Content-Type: message/rfc822" in octets
    assert b"\r\n\r\nHello\r\n" in octets
    assert b"Auto-Submitted: auto-replied\r\n" in octets
    told = parse_notification(octets)
    assert told is not None
    assert (told.subject, (told.text or "").strip(), told.has_original) == ("回执", "安", True)


async def test_what_a_client_left_out_or_wrote_otherwise_is_told(jmap: Jmap) -> None:
    """RFC 9007 §2.1: all properties that it did not set."""
    own = jmap.person.address
    first, _ = await send(jmap, await asking(jmap), finalRecipient=own, subject="Seen")
    assert first[1]["sent"]["a"] == {
        "textBody": "Your message was displayed. That does not mean that it was read or understood.\n",
        "includeOriginalMessage": False,
        "reportingUA": None,
        "finalRecipient": f"rfc822; {own}",
        "mdnGateway": None,
        "originalRecipient": None,
        "originalMessageId": "<1@elsewhere.test>",
        "error": None,
        "extensionFields": None,
    }


@pytest.mark.parametrize(
    "field",
    [
        "Subject: nobody's",
        "Return-Path: <>",
        "Return-Path: <Bob@elsewhere.test>",
        "Return-Path: <bounces@lists.test>",
    ],
)
async def test_without_a_person_only_who_sent_a_message_is_told(jmap: Jmap, field: str) -> None:
    """RFC 8098 §2.1: the one address that asks must be that of the Return-Path."""
    (answer,) = await send(jmap, await asking(jmap, field), disposition=AUTOMATIC)
    assert answer[1]["notSent"]["a"]["type"] == "forbidden"
    two = await asking(jmap, "Return-Path: <bob@elsewhere.test>", to="bob@elsewhere.test, eve@elsewhere.test")
    (answer,) = await send(jmap, two, disposition=AUTOMATIC)
    assert answer[1]["notSent"]["a"]["type"] == "forbidden"
    assert await left(jmap) == []


async def test_a_notification_is_not_answered_by_another(jmap: Jmap) -> None:
    """RFC 8098 §2.1."""
    header = f"Disposition-Notification-To: bob@elsewhere.test\r\nTo: {jmap.person.address}\r\n"
    placed = await jmap.receive(header.encode() + NOTIFICATION)
    (answer,) = await send(jmap, f"M{placed.message_id}")
    assert answer[1]["notSent"]["a"]["type"] == "notFound"


async def test_an_account_that_is_not_there_is_an_invalid_argument(jmap: Jmap) -> None:
    """RFC 9007 §2.1, §2.2; elsewhere it is accountNotFound."""
    arguments = {"accountId": "A1", "identityId": await identity(jmap), "send": {}}
    assert (await jmap.refusal("MDN/send", arguments))["type"] == "invalidArguments"
    assert (await jmap.refusal("MDN/parse", {"accountId": "A1", "blobIds": []}))["type"] == "invalidArguments"
    assert (await jmap.refusal("MDN/send", {**arguments, "accountId": jmap.account_id, "send": {"#a": {}}}))[
        "type"
    ] == "invalidArguments"


async def test_it_sets_a_keyword_and_so_needs_the_capability_of_emails(jmap: Jmap) -> None:
    """RFC 9007 §2.1."""
    email = await asking(jmap)
    wish = {"identityId": await identity(jmap), "send": {"a": {"forEmailId": email, "disposition": DISPLAYED}}}
    plain = replace(jmap, using=(CORE, MDN, SUBMISSION))
    assert (await plain.refusal("MDN/send", {**wish, "onSuccessUpdateEmail": SETS_KEYWORD}))["type"] == "unknownMethod"
    assert await left(jmap) == []
    assert (await plain.call("MDN/parse", {"blobIds": []}))["parsed"] is None


async def test_nobody_is_told_twice(jmap: Jmap) -> None:
    email = await asking(jmap)
    answers = await asyncio.gather(*(send(jmap, email) for _ in range(4)))
    told = [answer[0][1] for answer in answers]
    assert sum(each["sent"] is not None for each in told) == 1
    assert [each["notSent"]["a"]["type"] for each in told if each["notSent"]] == ["mdnAlreadySent"] * 3
    assert len(await left(jmap)) == 1


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"finalRecipient": "rfc822; eve@elsewhere.test"}, "forbiddenFrom"),
        ({"finalRecipient": "nobody"}, "forbiddenFrom"),
        ({"disposition": {**DISPLAYED, "type": "eaten"}}, "invalidProperties"),
        ({"disposition": {**DISPLAYED, "type": "Displayed"}}, "invalidProperties"),
        ({"disposition": {**DISPLAYED, "type": ["displayed"]}}, "invalidProperties"),
        ({"extensionFields": {"Error": "x"}}, "invalidProperties"),
        ({"extensionFields": {"X-A": "1"}, "extension": {"X-A": "2"}}, "invalidProperties"),
        ({"disposition": None}, "invalidProperties"),
        ({"extensionFields": {"Disposition": "x"}}, "invalidProperties"),
        ({"extensionFields": {"X-A": "two\r\nlines"}}, "invalidProperties"),
        ({"extensionFields": {"X A": "1"}}, "invalidProperties"),
        ({"originalRecipient": "rfc822; a@b.test"}, "invalidProperties"),
        ({"includeOriginalMessage": "yes"}, "invalidProperties"),
        ({"subject": 7}, "invalidProperties"),
        ({"update": {}}, "invalidProperties"),
        ({"update": {"#a": {"keywords/$seen": True}}}, "invalidProperties"),
    ],
)
async def test_what_may_not_go_does_not_and_leaves_no_mark(jmap: Jmap, more: dict[str, Any], kind: str) -> None:
    email = await asking(jmap)
    (answer,) = await send(jmap, email, **more)
    assert answer[1]["sent"] is None
    assert answer[1]["notSent"]["a"]["type"] == kind
    (found,) = (await jmap.call("Email/get", {"ids": [email], "properties": ["keywords"]}))["list"]
    assert found["keywords"] == {}
    assert await left(jmap) == []


async def test_who_did_not_ask_or_cannot_be_told_is_not_found(new_jmap: NewJmap) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    domain = ann.person.address.partition("@")[2]
    emails = [
        await asking(ann, to=""),
        await asking(ann, to="nobody at all"),
        await asking(ann, to=f"nobody@{domain}"),
        await asking(ann, "Disposition-Notification-To: eve@elsewhere.test"),
        await asking(bob),
        "M1",
        "x",
    ]
    for email in emails:
        (answer,) = await send(ann, email)
        assert answer[1]["notSent"]["a"]["type"] == "notFound", email
    assert await left(ann) == []
    refusal = await ann.refusal("MDN/send", {"identityId": await identity(bob), "send": {}})
    assert refusal["type"] == "invalidArguments"


async def test_it_reaches_people_here(new_jmap: NewJmap) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    first, _ = await send(ann, await asking(ann, to=bob.person.address))
    assert first[1]["sent"] is not None
    (received,) = (await bob.call("Email/get", {"ids": (await bob.call("Email/query"))["ids"]}))["list"]
    parsed = await bob.call("MDN/parse", {"blobIds": [received["blobId"]]})
    assert parsed["parsed"][received["blobId"]]["disposition"] == DISPLAYED


NOTIFICATION = (
    b"From: Joe <joe@elsewhere.test>\r\nSubject: =?utf-8?q?Gelesen=3A_W=C3=B6rter?=\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nSeen.\r\n"
    b"--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
    b"Reporting-UA: joes-pc.example.com;\r\n Foomail 97.1\r\nMDN-Gateway: dns; gate.test\r\n"
    b"Original-Recipient: rfc822;joe@old.test\r\nFinal-Recipient: rfc822;joe@elsewhere.test\r\n"
    b"Original-Message-ID: <1@x>\r\nDisposition: automatic-action/MDN-sent-automatically (so); displayed/error\r\n"
    b"Error: one\r\nError: two\r\nX-Colour: red\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nhi\r\n--b--\r\n"
)


async def test_what_others_send_is_read(new_jmap: NewJmap) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    good, broken = await ann.upload(NOTIFICATION), await ann.upload(NOTIFICATION.replace(b"displayed", b"eaten"))
    other, theirs = await ann.upload(b"Subject: x\r\n\r\nhi\r\n"), await bob.upload(NOTIFICATION)
    told = await ann.call("MDN/parse", {"blobIds": [good, broken, other, theirs, "x"]})
    assert (told["notParsable"], told["notFound"]) == ([broken, other], [theirs, "x"])
    assert told["parsed"] == {
        good: {
            "forEmailId": None,
            "subject": "Gelesen: Wörter",
            "textBody": "Seen.",
            "includeOriginalMessage": True,
            "reportingUA": "joes-pc.example.com; Foomail 97.1",
            "disposition": {
                "actionMode": "automatic-action",
                "sendingMode": "mdn-sent-automatically",
                "type": "displayed",
            },
            "mdnGateway": "dns; gate.test",
            "originalRecipient": "rfc822;joe@old.test",
            "finalRecipient": "rfc822;joe@elsewhere.test",
            "originalMessageId": "<1@x>",
            "error": ["one", "two"],
            "extensionFields": {"X-Colour": "red"},
        }
    }
