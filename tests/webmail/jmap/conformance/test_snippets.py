"""SearchSnippet/get of what a query found (RFC 8621 §5)."""

from typing import Any

from tests.webmail.jmap.conformance.account import Account


async def snippets(account: Account, words: str, *emails: str) -> Any:
    ids = [account.emails.get(name, name) for name in emails]
    return await account.jmap.call("SearchSnippet/get", {"filter": {"text": words}, "emailIds": ids})


async def test_what_is_found_is_marked(account: Account) -> None:
    for words, name, member in (("theremin", "third", "preview"), ("tide report", "report", "subject")):
        assert await account.found({"text": words}) == [name]
        (snippet,) = (await snippets(account, words, name))["list"]
        assert snippet["emailId"] == account.emails[name]
        assert "<mark>" in snippet[member] and "</mark>" in snippet[member]


async def test_what_does_not_match_has_nothing_to_show(account: Account) -> None:
    told = await snippets(account, "theremin", "plain", "no-such-email")
    assert told["list"] == [{"emailId": account.emails["plain"], "subject": None, "preview": None}]
    assert told["notFound"] == ["no-such-email"]
