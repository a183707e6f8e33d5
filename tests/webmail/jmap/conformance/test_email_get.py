"""Email/get: metadata, header and body of letters that came from elsewhere (RFC 8621 §§4.1 and 4.2)."""

from datetime import datetime
from typing import Any

from tests.webmail.jmap.conformance.account import LETTERS, Account, days_ago


async def test_metadata_are_what_was_imported(account: Account) -> None:
    for name, given in LETTERS.items():
        shown = await account.email(
            name, "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt", "hasAttachment", "preview"
        )
        assert shown["mailboxIds"] == {account.boxes[box]: True for box in given.boxes}
        assert shown["keywords"] == dict.fromkeys(given.keywords, True)
        assert shown["size"] == len(given.octets)
        assert datetime.fromisoformat(shown["receivedAt"]) == datetime.fromisoformat(days_ago(given.days))
        assert shown["hasAttachment"] is (name == "report")
        assert type(shown["preview"]) is str and "<" not in shown["preview"]


async def test_only_what_is_asked_for_is_told(account: Account) -> None:
    assert await account.email("plain", "subject") == {"id": account.emails["plain"], "subject": "Lighthouse visit"}


async def test_ids_of_nothing_are_not_found(account: Account) -> None:
    told = await account.jmap.call("Email/get", {"ids": ["no-such-email", account.emails["plain"]]})
    assert (told["notFound"], len(told["list"])) == (["no-such-email"], 1)
    assert (await account.jmap.call("Email/get", {"ids": []}))["notFound"] == []


async def test_the_fields_of_a_header_have_properties(account: Account) -> None:
    plain = await account.email("plain", "from", "to", "cc", "subject", "sentAt")
    assert plain["from"] == [{"name": "Grace Hopper", "email": "grace@elsewhere.test"}]
    assert plain["to"] == [{"name": None, "email": "ada@company.test"}]
    assert plain["cc"] is None
    assert datetime.fromisoformat(plain["sentAt"]) == datetime.fromisoformat(days_ago(10))
    assert (await account.email("report", "cc"))["cc"] == [{"name": None, "email": "kim@elsewhere.test"}]
    assert (await account.email("blind", "bcc"))["bcc"] == [{"name": None, "email": "kay@elsewhere.test"}]
    assert (await account.email("untitled", "subject"))["subject"] in ("", None)
    third = await account.email("third", "messageId", "inReplyTo", "references")
    assert third["messageId"] == ["plan-3@t.test"]
    assert third["inReplyTo"] == ["plan-2@t.test"]
    assert third["references"] == ["plan-1@t.test", "plan-2@t.test"]


async def test_words_in_other_charsets_are_decoded(account: Account) -> None:
    japanese = await account.email("japanese", "from", "subject")
    assert japanese["from"] == [{"name": "金城", "email": "kin@elsewhere.test"}]
    assert japanese["subject"] == "浜辺で"
    korean = await account.email("korean", "subject", "bodyValues", "textBody", fetchTextBodyValues=True)
    assert "\ufffd" not in korean["subject"]
    (value,) = korean["bodyValues"].values()
    assert (value["value"].strip(), value["isEncodingProblem"]) == ("테스트 이메일", False)


async def test_a_field_is_had_in_every_form_that_suits_it(account: Account) -> None:
    for name, asked, expected in (
        ("plain", "header:Subject", " Lighthouse visit"),
        ("plain", "header:Subject:asText", "Lighthouse visit"),
        ("plain", "header:subject:asText", "Lighthouse visit"),
        ("plain", "header:SUBJECT:asText", "Lighthouse visit"),
        ("plain", "header:From:asAddresses", [{"name": "Grace Hopper", "email": "grace@elsewhere.test"}]),
        (
            "plain",
            "header:From:asGroupedAddresses",
            [{"name": None, "addresses": [{"name": "Grace Hopper", "email": "grace@elsewhere.test"}]}],
        ),
        ("opening", "header:Message-ID:asMessageIds", ["plan-1@t.test"]),
        ("plain", "header:Date:asDate", "2026-10-23T12:00:00Z"),
        ("list", "header:List-Unsubscribe:asURLs", ["https://elsewhere.test/leave"]),
        ("list", "header:X-Parcel:asText", "number 31-7"),
        ("plain", "header:X-Parcel:asText", None),
    ):
        assert (await account.email(name, asked))[asked] == expected, asked
    both = await account.email("plain", "header:subject:asText", "header:SUBJECT:asText")
    assert both["header:subject:asText"] == both["header:SUBJECT:asText"] == "Lighthouse visit"


async def parts(account: Account, name: str, *properties: str, **more: Any) -> Any:
    asked = ["partId", "type", "name", "disposition", "size", "cid", "blobId", "subParts"]
    return await account.email(name, *properties, bodyProperties=asked, **more)


async def test_the_structure_of_a_body_is_told(account: Account) -> None:
    shown = await parts(account, "report", "bodyStructure", "attachments")
    assert shown["bodyStructure"]["type"] == "multipart/mixed"
    assert [each["type"] for each in shown["bodyStructure"]["subParts"]] == ["text/html", "application/pdf"]
    (pdf,) = shown["attachments"]
    assert (pdf["name"], pdf["disposition"]) == ("tide.pdf", "attachment")
    assert pdf["blobId"]
    inline = await parts(account, "inline", "bodyStructure")
    assert inline["bodyStructure"]["subParts"][1]["cid"] == "pier@t.test"
    few = await account.email("report", "bodyStructure", bodyProperties=["partId", "type"])
    assert few["bodyStructure"] == {
        "partId": None,
        "type": "multipart/mixed",
        "subParts": [{"partId": "1", "type": "text/html"}, {"partId": "2", "type": "application/pdf"}],
    }


async def test_of_alternatives_each_list_has_its_own(account: Account) -> None:
    shown = await account.email(
        "alternative", "textBody", "htmlBody", "bodyValues", bodyProperties=["partId", "type"], fetchAllBodyValues=True
    )
    (plain,), (rich,) = shown["textBody"], shown["htmlBody"]
    assert (plain["type"], rich["type"]) == ("text/plain", "text/html")
    assert shown["bodyValues"][plain["partId"]]["value"] == "As text."
    assert "<b>HTML</b>" in shown["bodyValues"][rich["partId"]]["value"]


async def test_values_come_for_the_bodies_that_are_asked_for(account: Account) -> None:
    for name, fetch, words in (
        ("plain", "fetchTextBodyValues", "boat house"),
        ("alternative", "fetchHTMLBodyValues", "<b>HTML</b>"),
        ("alternative", "fetchTextBodyValues", "As text."),
    ):
        shown = await account.email(name, "bodyValues", bodyProperties=["partId"], **{fetch: True})
        (value,) = shown["bodyValues"].values()
        assert words in value["value"]
        assert (value["isEncodingProblem"], value["isTruncated"]) == (False, False)


async def test_a_long_value_is_cut(account: Account) -> None:
    shown = await account.email("large", "bodyValues", fetchTextBodyValues=True, maxBodyValueBytes=100)
    (value,) = shown["bodyValues"].values()
    assert (len(value["value"]), value["isTruncated"]) == (100, True)


async def test_a_message_that_is_malformed_is_shown_all_the_same(account: Account) -> None:
    shown = await account.email("malformed", "subject", "bodyValues", "header:X-Odd:asText", fetchTextBodyValues=True)
    assert shown["subject"] == "Not quite right"
    (value,) = shown["bodyValues"].values()
    assert value["value"].startswith("xxx")
